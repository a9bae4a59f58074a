"""``adascale export``: searches as training data."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

from adascale.engine.errors import UsageError
from adascale.engine.types import Problem
from adascale.export.dataset import Card, Recipe, check_parquet, open_dataset, rows_of
from adascale.export.formats import FORMATS, FormatName, Row, Split

from ..disk.files import check_apart, check_output, write_file, writing
from ..disk.sources import Source, find_sources, read_sources
from ..options.declare import TOP
from ..options.export import DATASET_FLAGS, DatasetOptions, OutputOptions
from ..options.flatten import with_options
from ..terminal.console import say, write_json


@with_options(DatasetOptions, DATASET_FLAGS)
def export(
    to: Annotated[FormatName, TOP.flag("--to", "Format of the dataset (docs/export.md).")],
    *,
    options: DatasetOptions,
) -> None:
    """Write searches as training data.

    adascale export --to trl-prm -o steps.jsonl
    adascale export --from rollouts --to verl --split .9 -o train.parquet
    adascale export --from draws -d test.jsonl --to trl-preference --dry-run

    Rows have steps with their probabilities of success, pairs of a good and a bad continuation, or verified
    solutions as conversations. A card beside each file says where it comes from and what was left out.
    """
    read, output = options.input, options.output
    sources = find_sources(read.sources or ["runs"])
    with closing(read_sources(sources, _read_problems(sources, read.data), read.draw_seed)) as questions:
        card = Card(Recipe(to, options.labelling, options.filters, output.split, output.seed), read.mixed)
        rows = rows_of(questions, card)
        if output.dry_run:
            example = [row for at, (_, row) in enumerate(rows) if at == 0]
            write_json({**_described(card, sources), "example": example[0] if example else None})
            return
        files = _plan_files(to, output)
        for file in files.values():
            other = file.with_stem(f"{file.stem}-{to}")
            check_apart(file, [*(each.path for each in sources), *read.data], _output(other))
            for path in (file, _card_path(file)):
                check_output(path, "--overwrite, or another name", overwrite=output.overwrite)
        _write(rows, card, files)
        for split, path in files.items():
            with path.open("rb") as written:
                own = {"file": path.name, "sha256": hashlib.file_digest(written, "sha256").hexdigest()}
            told = {**own, "split": split, **_described(card, sources), "questions_licence": output.licence}
            write_file(_card_path(path), (json.dumps(told, indent=2) + "\n").encode())
            say(f"adascale: wrote {path}: {card.rows[split]:,} rows; its card is {_card_path(path)}")


def _described(card: Card, sources: Sequence[Source]) -> dict[str, Any]:
    """The card of the rows that went by, with the licences of models and the kinds of sources."""
    from adascale.models.files.catalog import catalog

    licences = {spec.sha256: spec.licence for spec in catalog().values()}
    return {**card.describe(licences), "sources": dict(Counter(source.kind for source in sources))}


def _read_problems(sources: Sequence[Source], data: Sequence[Path]) -> list[Problem]:
    """The questions whose draws are read: a store of draws does not name them.

    Raises:
        UsageError: Draws are read and no questions are given, or the other way round.
    """
    from adascale.models.question_sets import read_known

    reads_draws = any(source.kind == "draws" for source in sources)
    if data and not reads_draws:
        raise UsageError("--data names the questions of draws, and none are read", hint="--from draws")
    if reads_draws and not data:
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
            hint=_output(path.with_suffix(usual)),
        )
    if path.suffix == ".parquet":
        check_parquet()
    if options.split == 1:
        return {"train": path}
    return {name: path.with_stem(f"{path.stem}-{name}") for name in ("train", "test")}


def _write(rows: Iterator[tuple[Split, Row]], card: Card, files: Mapping[Split, Path]) -> None:
    """Write all files; after an error while rows are written none of them is there.

    Raises:
        UsageError: A file cannot be written, or no row is left.
    """
    row_type = FORMATS[card.recipe.format].row
    with writing(files["train"]), ExitStack() as stack:
        append = {split: stack.enter_context(open_dataset(path, row_type)) for split, path in files.items()}
        for split, row in rows:
            append[split](row)
        if not card.rows:
            raise UsageError(
                f"nothing is left to write of {card.questions:,} questions",
                *(f"{count:,} {reason}" for reason, count in card.omissions.most_common()),
                hint="leave filters out, or choose another source with --from",
                slug="empty-dataset",
            )


def _output(path: Path) -> str:
    return f"-o {shlex.quote(str(path))}"


def _card_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.card.json")
