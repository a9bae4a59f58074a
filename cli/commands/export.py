"""``adascale export``: what searches know, as training data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from adascale.engine.datasets.card import SCHEMA, Origins, describe_recipe, describe_tally
from adascale.engine.datasets.dataset import Recipe, Tally, rows_of
from adascale.engine.datasets.formats import FORMATS, FormatName
from adascale.engine.datasets.rows import Row
from adascale.engine.datasets.selection import Filters
from adascale.engine.datasets.writing import Labelling, PairKind, Split
from adascale.engine.errors import UsageError
from adascale.engine.types import Mode, Problem
from adascale.models.datasets.files import FileFormat, HashedFile, check_parquet, open_dataset

from ..disk.files import check_apart, check_writable, unwritable
from ..disk.sources import Source, find_sources, read_sources
from ..terminal.console import say, write_payload
from ..terminal.text import thousands

_FILTERS = "Filters"


@dataclass(frozen=True, slots=True)
class _Input:
    """What is read."""

    sources: Sequence[Source]
    problems: Sequence[Problem]
    draw_seed: int
    mixed: bool


@dataclass(frozen=True, slots=True)
class _Output:
    """What is written.

    Attributes:
        files: One for each split.
        licence: Of the questions, as the user says; None for unknown.
    """

    format: FormatName
    files: Mapping[Split, Path]
    file_format: FileFormat
    licence: str | None


def export(
    to: Annotated[FormatName, typer.Option("--to", help="Format of the dataset (docs/export.md).")],
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="runs|rollouts|draws|PATH",
            help="What this machine keeps, a trace, a folder of traces, or a store; may be repeated.",
            show_default="runs",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Ends in .jsonl, or in .parquet.", show_default=False),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", "-d", metavar="FILE", help="Questions that were evaluated, for draws."),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Least probability that is labelled right.")] = 0.5,
    min_gap: Annotated[float, typer.Option(help="Least difference of the probabilities of a pair.")] = 0.3,
    pairs: Annotated[PairKind, typer.Option(help="What a preference compares.")] = "steps",
    split: Annotated[
        float,
        typer.Option(help="Share of the questions to train on; the others go into a file of their own."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    draw_seed: Annotated[int, typer.Option(help="The seed of the evaluation whose draws are read.")] = 0,
    calibrated: Annotated[
        bool,
        typer.Option("--calibrated", help="Only steps with a calibrated estimate.", rich_help_panel=_FILTERS),
    ] = False,
    in_domain: Annotated[
        bool,
        typer.Option(
            "--in-domain",
            help="Only questions like those that the calibration was fitted on.",
            rich_help_panel=_FILTERS,
        ),
    ] = False,
    known_answers: Annotated[
        bool,
        typer.Option(
            "--known-answers", help="Only questions whose answer is known.", rich_help_panel=_FILTERS
        ),
    ] = False,
    ran: Annotated[
        bool, typer.Option("--ran", help="Only programs that ran to their end.", rich_help_panel=_FILTERS)
    ] = False,
    min_count: Annotated[
        int, typer.Option(min=0, help="Least number of draws through a step.", rich_help_panel=_FILTERS)
    ] = 0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of a solution.", rich_help_panel=_FILTERS)
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="Only solutions that reason like this.", rich_help_panel=_FILTERS)
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the questions, for the card.")] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Several generators may be in one dataset.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: print the card and the first row.")
    ] = False,
) -> None:
    """Write what searches know as training data.

    adascale export --to trl-prm -o steps.jsonl
    adascale export --from rollouts --to verl --split .9 -o train.parquet
    adascale export --from draws -d test.jsonl --to trl-preference --dry-run

    Steps get their success probabilities, siblings become pairs, verified solutions conversations. A card
    beside each file says where it comes from and what was left out.
    """
    recipe = Recipe(
        FORMATS[to],
        Labelling(threshold, min_gap, pairs),
        Filters(calibrated, in_domain, known_answers, ran, min_count, max_tokens, mode),
        split,
        seed,
    )
    found = find_sources(sources or ["runs"])
    read = _Input(found, _evaluated(found, data or []), draw_seed, mixed)
    if dry_run:
        _show(recipe, read, to)
        return
    written = _plan_output(to, output, split, licence, found, data or [])
    _check_output(written, overwrite)
    _write(recipe, read, written)


def _evaluated(sources: Sequence[Source], data: Sequence[Path]) -> list[Problem]:
    """The questions whose draws are read; a store of draws does not name them.

    Raises:
        UsageError: draws are read and no questions are given.
    """
    from adascale.models.questions import read_known

    if any(source.kind == "draws" for source in sources) and not data:
        raise UsageError(
            "draws are kept under digests of their questions: the files that were evaluated are needed",
            hint="--data questions.jsonl",
            slug="no-questions",
        )
    return [problem for file in read_known(data) for problem in file]


def _plan_output(
    to: FormatName,
    output: Path | None,
    split: float,
    licence: str | None,
    sources: Sequence[Source],
    data: Sequence[Path],
) -> _Output:
    """The files to write: ``x.jsonl``, or ``x-train.jsonl`` and ``x-test.jsonl``.

    Raises:
        UsageError: no output, one that says no format, or one that is read.
    """
    usual = ".parquet" if FORMATS[to].parquet else ".jsonl"
    if output is None:
        raise UsageError("say where to write the dataset", hint=f"-o {to}{usual}, or --dry-run")
    if output.suffix not in (".jsonl", ".parquet"):
        raise UsageError(
            f'the name of {output} does not say which kind of file; "{output.suffix}" is none',
            hint=f"-o {output.stem}{usual}",
        )
    if output.suffix == ".parquet":
        check_parquet()
    files: dict[Split, Path] = {"train": output}
    if split < 1:
        files = {name: output.with_stem(f"{output.stem}-{name}") for name in ("train", "test")}
    for path in files.values():
        check_apart(path, [*(source.path for source in sources), *data], f"-o {path.stem}-{to}{path.suffix}")
    return _Output(to, files, "parquet" if output.suffix == ".parquet" else "jsonl", licence)


def _check_output(output: _Output, overwrite: bool) -> None:
    """Refuse what cannot be written, before anything is read.

    Raises:
        UsageError: a folder is missing, or a file is there already.
    """
    for path in output.files.values():
        check_writable(path)
        there = [each for each in (path, _card_path(path)) if each.exists()]
        if there and not overwrite:
            raise UsageError(
                f"{there[0]} is there already", hint="--overwrite, or another name", slug="output-exists"
            )


def _write(recipe: Recipe, read: _Input, output: _Output) -> None:
    """Write all files, then their cards; after an error none of them is there.

    Raises:
        UsageError: a file cannot be written, or nothing is left to write.
    """
    tally, origins = Tally(), Origins(read.mixed)
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
        for split, path in output.files.items():
            card = _card(recipe, read, output.format, origins, tally)
            own = {"file": path.name, "sha256": hashed[split].sha256, "split": split}
            questions = {"questions_licence": output.licence}
            _card_path(path).write_text(
                json.dumps({**own, **card, **questions}, indent=2) + "\n", encoding="utf-8"
            )
    except OSError as error:
        raise unwritable(output.files["train"], error) from error
    for split, path in output.files.items():
        say(f"adascale: wrote {path}: {thousands(tally.rows[split])} rows; its card is {_card_path(path)}")


def _show(recipe: Recipe, read: _Input, to: FormatName) -> None:
    """Print the card and the first row as JSON; nothing is written."""
    tally, origins = Tally(), Origins(read.mixed)
    example: Row | None = None
    for _, row in _rows(recipe, read, origins, tally):
        example = example or row
    card = _card(recipe, read, to, origins, tally)
    write_payload(json.dumps({**card, "example": example}, indent=2, ensure_ascii=False))


def _rows(recipe: Recipe, read: _Input, origins: Origins, tally: Tally) -> Iterator[tuple[Split, Row]]:
    questions = read_sources(read.sources, read.problems, read.draw_seed)
    return rows_of(origins.follow(questions), recipe, tally)


def _card(recipe: Recipe, read: _Input, to: FormatName, origins: Origins, tally: Tally) -> dict[str, Any]:
    from adascale import __version__
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
    reasons = [f"{count:,} {reason}" for reason, count in tally.left_out.most_common()]
    return UsageError(
        f"nothing is left to write of {tally.questions:,} questions",
        *reasons,
        hint="leave filters out, or choose another source with --from",
        slug="empty-dataset",
    )
