"""``adascale tree``: a recorded search in the terminal, or as a page or a picture."""

from __future__ import annotations

import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from adascale.engine.errors import UsageError

from ..disk.files import check_output, has_mark, write_file
from ..disk.history import trace_path
from ..disk.trace import read_trace
from ..options.declare import OverwriteOption, TraceArgument
from ..terminal.console import clean, say, write_lines, write_payload
from ..terminal.theme import glyphs_for

_PAGE_MARK = b" - adascale</title>"
_MARKS = {".html": _PAGE_MARK, ".htm": _PAGE_MARK, ".svg": b"<title>adascale"}
"""Bytes by which files of this command are recognised, by the suffix of their names."""


def tree(
    trace: TraceArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write, named .html or .svg; - prints the tree.", show_default="-"
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Print the tree of a recorded search, or write it as a page or a picture.

    adascale tree
    adascale tree -o search.html
    adascale tree trace.jsonl -o search.svg

    html is one page that folds and can be searched; svg is the picture of the terminal. The trace itself
    is JSON Lines, with every event: adascale runs path.
    """
    source = trace_path(trace)
    if output is None or str(output) == "-":
        _write_tree(source)
        return
    suffix = output.suffix.lower()
    if suffix not in _MARKS:
        raise UsageError(
            f'the name of {output} does not say which format; "{output.suffix}" is not one of them',
            hint="-o search.html, or -o search.svg; without -o it is printed",
        )
    other = f"-o {shlex.quote(f'{source.stem}-tree{output.suffix}')}"
    check_output(
        output, other, is_ours=partial(has_mark, mark=_MARKS[suffix]), reads=[source], overwrite=overwrite
    )
    write_file(output, _render(suffix, source).rstrip("\n").encode() + b"\n")
    say(f"adascale: wrote {output}")


def _write_tree(source: Path) -> None:
    """Write the tree to stdout; elsewhere than on a terminal without colour."""
    from ..documents.picture import to_lines
    from ..render.plain import plain_width
    from ..render.state import ViewState

    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else plain_width()
    lines = to_lines(ViewState.of(read_trace(source)), width, glyphs_for(sys.stdout))
    if is_terminal:
        write_lines(lines)
    else:
        write_payload("\n".join(line.plain.rstrip() for line in lines))


def _render(suffix: str, source: Path) -> str:
    """A recorded search as a page or a picture."""
    from ..documents.page import to_html
    from ..documents.picture import to_svg
    from ..render.state import ViewState

    return clean((to_svg if suffix == ".svg" else to_html)(ViewState.of(read_trace(source))))
