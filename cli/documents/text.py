"""A tree as the terminal shows it: plain text, and a picture of it without a font of its own."""

from __future__ import annotations

import io
import re

from ..render.frame import final_frame
from ..render.summary import closing_lines
from ..terminal.theme import UNICODE, Glyphs
from .document import Document

TEXT_WIDTH = 100
PICTURE_WIDTH = 110

_FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def to_text(document: Document, glyphs: Glyphs = UNICODE) -> str:
    """The tree of ``--show-tree`` at 100 columns, without colour and folds."""
    view = document.view
    lines = [line.plain.rstrip() for line in final_frame(view, TEXT_WIDTH, glyphs, whole=True)]
    facts = ", ".join(f"{name} {value}" for name, value in document.facts())
    return "\n".join([*lines, *(line.plain for line in closing_lines(view, glyphs)), facts])


def to_svg(document: Document) -> str:
    """The same as a picture; it loads nothing, and the same trace gives the same bytes."""
    from rich.console import Console

    console = Console(
        record=True,
        width=PICTURE_WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
    for line in final_frame(document.view, PICTURE_WIDTH, UNICODE):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    console.print(document.outcome, soft_wrap=False)
    if document.why:
        console.print(document.why, soft_wrap=False)
    facts = ", ".join(f"{name} {value}" for name, value in document.facts() if name != "sha256")
    return console.export_svg(title=f"adascale: {facts}", code_format=_format(), unique_id="adascale")


def _format() -> str:
    """Rich's template without the fonts that it would load from the network."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    template, cut = re.subn(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    assert cut == 2, "Rich's template has changed"
    return re.sub(r"font-family: (Fira Code, monospace|arial)", f"font-family: {_FONT}", template)
