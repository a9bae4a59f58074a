"""``adascale export``: searches as training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from adascale.engine.errors import UsageError
from adascale.export import FORMATS, FormatName, Row
from adascale.models.storage import atomic_write

from ..disk.files import check_output, writing
from ..disk.sources import find_sources, read_sources
from ..options.declare import OverwriteOption
from ..terminal.console import json_line, say, write_piece


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
    overwrite: OverwriteOption = False,
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
    """Yield the rows of all questions, one of which is in memory at a time, and count what is left out.

    Raises:
        UsageError: There is no row.
    """
    count = 0
    for question in read_sources(sources):
        for item in [question] if isinstance(question, str) else FORMATS[to](question.merged()):
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
