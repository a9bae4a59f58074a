"""``adascale export``: what searches know, as training data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from adascale import __version__
from adascale.engine.datasets.card import SCHEMA, Origins, describe_recipe, describe_tally
from adascale.engine.datasets.dataset import Recipe, Tally, rows_of
from adascale.engine.datasets.formats import FORMATS, FormatName
from adascale.engine.datasets.rows import Row
from adascale.engine.datasets.writing import Split
from adascale.engine.errors import UsageError
from adascale.engine.types import Problem
from adascale.models.datasets.files import FileFormat, HashedFile, check_parquet, open_dataset

from ..disk.files import check_apart, check_output, unwritable, write_file
from ..disk.sources import Source, find_sources, read_sources
from ..options.declare import flag
from ..options.export import DATASET_FLAGS, DatasetOptions, InputOptions, OutputOptions
from ..options.flatten import with_options
from ..terminal.console import say, write_json


@dataclass(frozen=True, slots=True)
class _Input:
    """What is read: files of sampled questions, and the evaluated questions that draws belong to."""

    sources: Sequence[Source]
    problems: Sequence[Problem]
    options: InputOptions


@dataclass(frozen=True, slots=True)
class _Output:
    """What is written: one file for each split."""

    format: FormatName
    files: Mapping[Split, Path]
    file_format: FileFormat
    licence: str | None


@with_options(DatasetOptions, DATASET_FLAGS)
def export(
    to: Annotated[FormatName, flag(None, "--to", "Format of the dataset (docs/export.md).")],
    *,
    options: DatasetOptions,
) -> None:
    """Write what searches know as training data.

    adascale export --to trl-prm -o steps.jsonl
    adascale export --from rollouts --to verl --split .9 -o train.parquet
    adascale export --from draws -d test.jsonl --to trl-preference --dry-run

    Steps get their success probabilities, siblings become pairs, verified solutions conversations. A card
    beside each file says where it comes from and what was left out.
    """
    output = options.output
    recipe = Recipe(FORMATS[to], options.labelling, options.filters, output.split, output.seed)
    sources = find_sources(options.input.sources or ["runs"])
    read = _Input(sources, _read_problems(sources, options.input.data), options.input)
    if output.dry_run:
        _print_card(recipe, read, to)
        return
    written = _plan_output(to, output, read)
    _check_output(written, output.overwrite)
    _write(recipe, read, written)


def _read_problems(sources: Sequence[Source], data: Sequence[Path]) -> list[Problem]:
    """The questions whose draws are read; a store of draws does not name them.

    Raises:
        UsageError: draws are read and no questions are given.
    """
    from adascale.models.question_sets import read_known

    if any(source.kind == "draws" for source in sources) and not data:
        raise UsageError(
            "draws are kept under digests of their questions: the files that were evaluated are needed",
            hint="--data questions.jsonl",
            slug="no-questions",
        )
    return [problem for file in read_known(data) for problem in file]


def _plan_output(to: FormatName, options: OutputOptions, read: _Input) -> _Output:
    """The files to write: ``x.jsonl``, or ``x-train.jsonl`` and ``x-test.jsonl``.

    Raises:
        UsageError: no output, one that says no format, or one that is read.
    """
    path = options.path
    usual = ".parquet" if FORMATS[to].parquet else ".jsonl"
    if path is None:
        raise UsageError("say where to write the dataset", hint=f"-o {to}{usual}, or --dry-run")
    if path.suffix not in (".jsonl", ".parquet"):
        raise UsageError(
            f'the name of {path} does not say which kind of file; "{path.suffix}" is none',
            hint=f"-o {path.stem}{usual}",
        )
    if path.suffix == ".parquet":
        check_parquet()
    files: dict[Split, Path] = {"train": path}
    if options.split < 1:
        files = {name: path.with_stem(f"{path.stem}-{name}") for name in ("train", "test")}
    inputs = [*(source.path for source in read.sources), *read.options.data]
    for file in files.values():
        check_apart(file, inputs, f"-o {file.stem}-{to}{file.suffix}")
    return _Output(to, files, "parquet" if path.suffix == ".parquet" else "jsonl", options.licence)


def _check_output(output: _Output, overwrite: bool) -> None:
    """Refuse what cannot be written, before anything is read.

    Raises:
        UsageError: a folder is missing, or a file is there already.
    """
    for dataset in output.files.values():
        for path in (dataset, _card_path(dataset)):
            check_output(path, "--overwrite, or another name", overwrite=overwrite)


def _write(recipe: Recipe, read: _Input, output: _Output) -> None:
    """Write all files, then their cards; after an error while rows are written none of them is there.

    Raises:
        UsageError: a file cannot be written, or nothing is left to write.
    """
    tally, origins = Tally(), Origins(read.options.mixed)
    hashed: dict[Split, HashedFile] = {}
    try:
        with ExitStack() as stack:
            writers = {}
            for split, path in output.files.items():
                opened = open_dataset(path, output.file_format, recipe.format.row)
                writers[split], hashed[split] = stack.enter_context(opened)
            for split, row in _rows(recipe, read, origins, tally):
                writers[split].write(row)
            if not tally.rows:
                raise _nothing_left(tally)
    except OSError as error:
        raise unwritable(output.files["train"], error) from error
    card = _card(recipe, read, output.format, origins, tally)
    questions = {"questions_licence": output.licence}
    for split, path in output.files.items():
        own = {"file": path.name, "sha256": hashed[split].sha256, "split": split}
        text = json.dumps({**own, **card, **questions}, indent=2) + "\n"
        write_file(_card_path(path), text.encode())
        say(f"adascale: wrote {path}: {tally.rows[split]:,} rows; its card is {_card_path(path)}")


def _print_card(recipe: Recipe, read: _Input, to: FormatName) -> None:
    """Print the card and the first row as JSON; nothing is written."""
    tally, origins = Tally(), Origins(read.options.mixed)
    example: Row | None = None
    for _, row in _rows(recipe, read, origins, tally):
        example = example or row
    card = _card(recipe, read, to, origins, tally)
    write_json({**card, "example": example})


def _rows(recipe: Recipe, read: _Input, origins: Origins, tally: Tally) -> Iterator[tuple[Split, Row]]:
    questions = read_sources(read.sources, read.problems, read.options.draw_seed)
    return rows_of(origins.follow(questions), recipe, tally)


def _card(recipe: Recipe, read: _Input, to: FormatName, origins: Origins, tally: Tally) -> dict[str, Any]:
    from adascale.models.files.catalog import catalog

    licences = {spec.sha256: spec.licence for spec in catalog().values() if spec.sha256}
    kinds = {
        kind: sum(source.kind == kind for source in read.sources)
        for kind in ("run", "trace", "rollouts", "draws")
    }
    return {
        "schema": SCHEMA,
        "adascale": __version__,
        "format": to,
        "sources": {kind: count for kind, count in kinds.items() if count},
        **origins.describe(licences),
        **describe_recipe(recipe),
        **describe_tally(tally),
    }


def _card_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.card.json")


def _nothing_left(tally: Tally) -> UsageError:
    reasons = [f"{count:,} {reason}" for reason, count in tally.omissions.most_common()]
    return UsageError(
        f"nothing is left to write of {tally.questions:,} questions",
        *reasons,
        hint="leave filters out, or choose another source with --from",
        slug="empty-dataset",
    )
