"""``adascale export``: searches as training data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from adascale import __version__
from adascale.engine.codec import to_plain
from adascale.engine.errors import UsageError
from adascale.engine.types import Problem
from adascale.export.card import SCHEMA, Origins
from adascale.export.dataset import Recipe, Tally, check_parquet, open_dataset, rows_of
from adascale.export.formats import FORMATS, FormatName, Row, Split

from ..disk.files import check_apart, check_output, unwritable, write_file
from ..disk.sources import Source, find_sources, read_sources
from ..options.declare import flag
from ..options.export import DATASET_FLAGS, DatasetOptions, OutputOptions
from ..options.flatten import with_options
from ..terminal.console import say, write_json


@with_options(DatasetOptions, DATASET_FLAGS)
def export(
    to: Annotated[FormatName, flag(None, "--to", "Format of the dataset (docs/export.md).")],
    *,
    options: DatasetOptions,
) -> None:
    """Write searches as training data.

    adascale export --to trl-prm -o steps.jsonl
    adascale export --from rollouts --to verl --split .9 -o train.parquet
    adascale export --from draws -d test.jsonl --to trl-preference --dry-run

    Steps get their success probabilities, siblings become pairs, verified solutions conversations. A card
    for each file says where it comes from and what was left out.
    """
    dataset = _Dataset(to, options)
    if options.output.dry_run:
        example: Row | None = None
        for _, row in dataset.rows():
            example = example or row
        write_json({**dataset.card(), "example": example})
        return
    files = _plan_files(to, options.output)
    for file in files.values():
        check_apart(file, dataset.inputs, f"-o {file.stem}-{to}{file.suffix}")
        for path in (file, _card_path(file)):
            check_output(path, "--overwrite, or another name", overwrite=options.output.overwrite)
    _write(dataset, files, options.output.licence)


class _Dataset:
    """The dataset that a user describes; its counts grow as its rows go by."""

    def __init__(self, to: FormatName, options: DatasetOptions) -> None:
        output, self._read = options.output, options.input
        self._to = to
        self.recipe = Recipe(FORMATS[to], options.labelling, options.filters, output.split, output.seed)
        self._sources = find_sources(self._read.sources or ["runs"])
        self._problems = _read_problems(self._sources, self._read.data)
        self._origins = Origins(self._read.mixed)
        self.tally = Tally()

    @property
    def inputs(self) -> list[Path]:
        """Files that are read."""
        return [*(source.path for source in self._sources), *self._read.data]

    def rows(self) -> Iterator[tuple[Split, Row]]:
        """Yield all rows, each with its side of the split."""
        questions = read_sources(self._sources, self._problems, self._read.draw_seed)
        yield from rows_of(self._origins.follow(questions), self.recipe, self.tally)

    def card(self) -> dict[str, Any]:
        """The card of the rows that went by."""
        from adascale.models.files.catalog import catalog

        licences = {spec.sha256: spec.licence for spec in catalog().values()}
        return {
            "schema": SCHEMA,
            "adascale": __version__,
            "format": self._to,
            "sources": dict(Counter(source.kind for source in self._sources)),
            **self._origins.describe(licences),
            "labelling": to_plain(self.recipe.labelling),
            "filters": to_plain(self.recipe.filters),
            "train_share": self.recipe.train_share,
            "seed": self.recipe.seed,
            "questions": self.tally.questions,
            "nodes": self.tally.nodes,
            "rows": dict(self.tally.rows),
            "left_out": dict(self.tally.omissions.most_common()),
        }


def _read_problems(sources: Sequence[Source], data: Sequence[Path]) -> list[Problem]:
    """The questions whose draws are read: a store of draws does not name them.

    Raises:
        UsageError: Draws are read and no questions are given.
    """
    from adascale.models.question_sets import read_known

    if any(source.kind == "draws" for source in sources) and not data:
        raise UsageError(
            "draws are kept under digests of their questions: the files that were evaluated are needed",
            hint="--data questions.jsonl",
            slug="no-questions",
        )
    return [problem for file in read_known(data) for problem in file]


def _plan_files(to: FormatName, options: OutputOptions) -> Mapping[Split, Path]:
    """The files to write: ``x.jsonl``, or ``x-train.jsonl`` and ``x-test.jsonl``.

    Raises:
        UsageError: There is no output, or its name says no format.
    """
    path, usual = options.path, FORMATS[to].suffix
    if path is None:
        raise UsageError("say where to write the dataset", hint=f"-o {to}{usual}, or --dry-run")
    if path.suffix not in (".jsonl", ".parquet"):
        raise UsageError(
            f'the name of {path} does not say which kind of file; "{path.suffix}" is not one of them',
            hint=f"-o {path.stem}{usual}",
        )
    if path.suffix == ".parquet":
        check_parquet()
    if options.split == 1:
        return {"train": path}
    return {name: path.with_stem(f"{path.stem}-{name}") for name in ("train", "test")}


def _write(dataset: _Dataset, files: Mapping[Split, Path], licence: str | None) -> None:
    """Write all files, then their cards; after an error while rows are written none of them is there.

    Raises:
        UsageError: A file cannot be written, or no row is left.
    """
    tally, row_type = dataset.tally, dataset.recipe.format.row
    try:
        with ExitStack() as stack:
            append = {
                split: stack.enter_context(open_dataset(path, row_type)) for split, path in files.items()
            }
            for split, row in dataset.rows():
                append[split](row)
            if not tally.rows:
                raise UsageError(
                    f"nothing is left to write of {tally.questions:,} questions",
                    *(f"{count:,} {reason}" for reason, count in tally.omissions.most_common()),
                    hint="leave filters out, or choose another source with --from",
                    slug="empty-dataset",
                )
    except OSError as error:
        raise unwritable(files["train"], error) from error
    for split, path in files.items():
        with path.open("rb") as file:
            own = {"file": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        card = {**own, "split": split, **dataset.card(), "questions_licence": licence}
        write_file(_card_path(path), (json.dumps(card, indent=2) + "\n").encode())
        say(f"adascale: wrote {path}: {tally.rows[split]:,} rows; its card is {_card_path(path)}")


def _card_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.card.json")
