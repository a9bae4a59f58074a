"""``adascale tree``: a recorded search in the terminal, or as a page or a picture."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.errors import UsageError

from ..disk.files import check_output, write_file
from ..disk.traces import read_trace, trace_path
from ..options.declare import OverwriteOption, TraceArgument
from ..terminal.console import clean, new_console, plain_text, plain_width, say, write_payload, write_screen

if TYPE_CHECKING:
    from rich.console import RenderableType

PICTURE_WIDTH = 110
"""Cells of a line in a page or a picture."""

_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""A font that Rich's picture would load from the network."""


def tree(
    trace: TraceArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="File to write, named .html or .svg; - prints the tree.", show_default="-"
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Print the tree of a recorded search, or write it as a page or a picture.

    adascale tree
    adascale tree --output search.html
    adascale tree trace.jsonl --output search.svg

    Both look as the terminal does. The trace itself is JSON Lines, with every event: adascale runs path.
    """
    from ..render.state import ViewState
    from ..render.tree import whole_tree

    source = trace_path(trace)
    if output is None or str(output) == "-":
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else plain_width()
        drawn = whole_tree(ViewState.of(read_trace(source)), width)
        if sys.stdout.isatty():
            write_screen(drawn)
        else:
            write_payload(plain_text(drawn, width))
        return
    suffix = output.suffix.lower()
    if suffix not in (".html", ".svg"):
        raise UsageError(
            f'the name of {output} does not say which format; "{output.suffix}" is not one of them',
            hint="--output search.html, or search.svg; without it the tree is printed",
        )
    other = f"--output {shlex.quote(f'{source.stem}-tree{suffix}')}"
    check_output(output, other, reads=[source], overwrite=overwrite)
    drawn = whole_tree(ViewState.of(read_trace(source)), PICTURE_WIDTH)
    write_file(output, as_document(drawn, suffix).encode())
    say(f"adascale: wrote {output}")


def as_document(drawn: RenderableType, suffix: str) -> str:
    """A drawing as a page (``.html``) or a picture (``.svg``), which loads nothing."""
    from rich.terminal_theme import SVG_EXPORT_THEME

    console = new_console(
        width=PICTURE_WIDTH,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(drawn)
    if suffix == ".html":
        text = console.export_html(theme=SVG_EXPORT_THEME)
    else:
        text = console.export_svg(title="adascale")
    return clean(_FONT.sub("", text)).rstrip() + "\n"
