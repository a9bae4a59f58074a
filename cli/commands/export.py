"""``adascale export``: searches as training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from adascale.engine.errors import TraceError, UsageError
from adascale.export import FORMATS, FormatName, Row, SampledQuestion
from adascale.models.calibration.rollouts import RolloutStore
from adascale.models.lines import BEGIN
from adascale.models.storage import atomic_write, data_folder

from ..disk.files import check_output, writing
from ..disk.runs import past_runs, runs_dir
from ..disk.traces import read_record
from ..options.flags import OverwriteFlag
from ..terminal.streams import json_line, say, write_piece


def export(
    to: Annotated[FormatName, typer.Option("--to", help="Format of the rows (docs/export.md).")],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Searches to read: kept runs, rollouts of calibrate, a trace, or a folder of traces. Can be "
            "given several times.",
            metavar="runs|rollouts|PATH",
            show_default="runs",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write; - prints the rows.", show_default="-"),
    ] = None,
    overwrite: OverwriteFlag = False,
) -> None:
    """Write searches as training data, one JSON object a line.

    adascale export --to trl-prm --output steps.jsonl
    adascale export --from rollouts --to trl-preference --output pairs.jsonl

    Rows are the steps of a solution with their probabilities of success (trl-prm), or pairs of a good and a
    bad solution (trl-preference).
    """
    sources = find_sources(names or ["runs"])
    omissions: Counter[str] = Counter()
    with ExitStack() as stack:
        file: BinaryIO | None = None
        if output is not None and str(output) != "-":
            check_output(output, "--overwrite, or another name", reads=sources, overwrite=overwrite)
            stack.enter_context(writing(output))
            file = stack.enter_context(atomic_write(output))
        count = 0
        for row in _rows(sources, to, omissions):
            line = f"{json_line(row)}\n"
            file.write(line.encode()) if file else write_piece(line)
            count += 1
    say(f"adascale: wrote {count:,} rows")
    for fact in _left_out(omissions):
        say(f"  {fact}")


def _left_out(omissions: Counter[str]) -> list[str]:
    return [f"left out: {count:,} {reason}" for reason, count in omissions.most_common()]


def _rows(sources: Sequence[Path], to: FormatName, omissions: Counter[str]) -> Iterator[Row]:
    """Yield the rows of all questions, one question in memory at a time, and count the questions left out.

    Raises:
        UsageError: There is no row.
    """
    count = 0
    for question in read_sources(sources):
        for item in [question] if isinstance(question, str) else FORMATS[to](question):
            if isinstance(item, str):
                omissions[item] += 1
            else:
                count += 1
                yield item
    if not count:
        raise UsageError(
            "there is nothing to write",
            *_left_out(omissions),
            hint="choose another source with --from",
            slug="empty-dataset",
        )


_FIXES = {
    "runs": 'adascale ask "What is 17 * 23?"',
    "rollouts": "adascale calibrate fit -d questions.jsonl",
}
"""Sources that this machine keeps by itself, and a command that makes each."""


def find_sources(names: Sequence[str]) -> list[Path]:
    """The files of sources by name, each once, in the order in which they are read.

    Args:
        names: ``runs`` or ``rollouts`` that this machine keeps; a trace; a folder of traces, as
            ``batch --traces`` writes it; or a store.

    Raises:
        UsageError: There is no such file, or nothing is kept.
    """
    targets: dict[Path, Path] = {}
    for name in names:
        path = runs_dir() if name == "runs" else data_folder() / name if name in _FIXES else Path(name)
        paths = (
            [path]
            if path.is_file()
            else past_runs()[::-1]
            if name == "runs"
            else sorted(path.glob("*.jsonl"))
        )
        if not paths:
            hint = "--from runs, rollouts, a trace, a folder of traces, or a store of rollouts"
            raise UsageError(f"there is no search in {path}", hint=_FIXES.get(name, hint), slug="no-source")
        for each in paths:
            targets.setdefault(each.resolve(), each)
    return list(targets.values())


def read_sources(sources: Sequence[Path]) -> Iterator[SampledQuestion | str]:
    """Yield the questions of all sources, one in memory at a time, or why one is left out.

    Raises:
        TraceError: A trace cannot be read; a kept run is left out then.
        AdascaleError: A store is damaged.
    """
    for path in sources:
        begin = b""
        with suppress(OSError), path.open("rb") as file:  # reading a trace reports the fault
            begin = file.read(len(BEGIN))
        if begin == BEGIN:
            with closing(RolloutStore(path, read_only=True)) as store:
                yield from map(SampledQuestion.of, store.every())
            continue
        try:
            record = read_record(path)
        except TraceError:
            if path.parent != runs_dir():
                raise
            yield "kept runs that cannot be read"
        else:
            yield SampledQuestion.of(record) if len(record.tree) > 1 else "searches without a step"
