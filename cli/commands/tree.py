"""``adascale tree``: a recorded search as a page, a picture, JSON or text."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from adascale.engine.errors import UsageError

from ..disk.files import check_output, write_file
from ..disk.history import trace_path
from ..disk.trace import read_trace
from ..options.declare import OverwriteOption, TraceArgument
from ..terminal.console import say, write_payload
from ..terminal.text import without_bidi_controls
from ..terminal.theme import UNICODE, Glyphs, glyphs_for

TreeFormat = Literal["html", "svg", "json", "txt"]

_SUFFIXES: dict[str, TreeFormat] = {
    ".html": "html",
    ".htm": "html",
    ".svg": "svg",
    ".json": "json",
    ".txt": "txt",
}

_MARKS: dict[TreeFormat, bytes] = {
    "html": b" - adascale</title>",
    "svg": b".adascale-matrix",
    "json": b'"adascale.tree/',
}
"""Bytes by which files of this command are recognised; a text has none."""


def tree(
    trace: TraceArgument = None,
    format_: Annotated[
        TreeFormat | None,
        typer.Option("--format", "-f", help="By default the ending of the output's name, or txt on stdout."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, or - for stdout.", show_default="-")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a recorded search as a page, a picture, JSON or text.

    adascale tree -o search.html
    adascale tree trace.jsonl -o search.svg

    html is one page that folds and can be searched; svg and txt show what the terminal shows; json has every
    node.
    """
    if str(output) == "-":
        output = None
    form, source = format_ or _format_by_name(output), trace_path(trace)
    if output is not None:
        other = f"-o {shlex.quote(f'{source.stem}-tree{output.suffix}')}"
        check_output(output, other, mark=_MARKS.get(form), reads=[source], overwrite=overwrite)
    text = without_bidi_controls(_render(form, source, UNICODE if output else glyphs_for(sys.stdout)))
    if output is None:
        write_payload(text, None if form == "txt" else "utf-8")
        return
    write_file(output, text.rstrip("\n").encode() + b"\n")
    say(f"adascale: wrote {output}")


def _format_by_name(output: Path | None) -> TreeFormat:
    """The format that the name of the output ends in; txt for stdout.

    Raises:
        UsageError: it ends in no format.
    """
    if output is None:
        return "txt"
    if output.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f'the name of {output} does not say which format; "{output.suffix}" is not one of them',
            hint=f"--format {'|'.join(get_args(TreeFormat))}",
        )
    return _SUFFIXES[output.suffix.lower()]


def _render(format_: TreeFormat, source: Path, glyphs: Glyphs) -> str:
    """A recorded search in one format."""
    from ..documents import nodes, page, text
    from ..documents.document import Document

    document = Document.of(read_trace(source))
    match format_:
        case "html":
            return page.to_html(document)
        case "svg":
            return text.to_svg(document)
        case "json":
            return nodes.to_json(document)
        case "txt":
            return text.to_text(document, glyphs)
