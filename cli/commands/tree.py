"""``adascale tree``: a recorded search in the terminal, or as a page or a picture."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from adascale.engine.errors import UsageError

from ..disk.files import check_output, has_mark, write_file
from ..disk.history import trace_path
from ..disk.trace import read_trace
from ..options.declare import OverwriteOption, TraceArgument
from ..terminal.console import clean, say, write_payload
from ..terminal.theme import glyphs_for

TreeFormat = Literal["html", "svg"]

_SUFFIXES: dict[str, TreeFormat] = {".html": "html", ".htm": "html", ".svg": "svg"}

_MARKS: dict[TreeFormat, bytes] = {
    "html": b" - adascale</title>",
    "svg": b"<title>adascale",
}
"""Bytes by which files of this command are recognised."""


def tree(
    trace: TraceArgument = None,
    format_: Annotated[
        TreeFormat | None,
        typer.Option("--format", "-f", help="Format of the output; by default that of the file's name."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, or - for stdout.", show_default="-")
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
        write_payload(_render(format_, source), None if format_ is None else "utf-8")
        return
    form = format_ or _SUFFIXES.get(output.suffix.lower())
    if form is None:
        text = (
            f"adascale tree {'' if trace is None else shlex.quote(trace) + ' '}> {shlex.quote(str(output))}"
        )
        raise UsageError(
            f'the name of {output} does not say which format; "{output.suffix}" is not one of them',
            hint=text if output.suffix == ".txt" else "--format html, or --format svg",
        )
    other = f"-o {shlex.quote(f'{source.stem}-tree{output.suffix}')}"
    check_output(
        output, other, is_ours=partial(has_mark, mark=_MARKS[form]), reads=[source], overwrite=overwrite
    )
    write_file(output, _render(form, source).rstrip("\n").encode() + b"\n")
    say(f"adascale: wrote {output}")


def _render(format_: TreeFormat | None, source: Path) -> str:
    """A recorded search in one format; None is that of the terminal."""
    from ..documents import page, picture
    from ..documents.document import Document

    document = Document.of(read_trace(source))
    match format_:
        case "html":
            found = page.to_html(document)
        case "svg":
            found = picture.to_svg(document)
        case None:
            found = picture.to_text(document, glyphs_for(sys.stdout))
    return clean(found)
