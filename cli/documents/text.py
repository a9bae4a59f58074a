"""A tree as the terminal shows it: plain text, and a picture of it without a font of its own."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ..render.frame import final_frame
from ..render.summary import closing_lines
from ..terminal.theme import UNICODE, Glyphs
from .document import Document
from .picture import BAR, CELL, LINE, MARGIN, drawn, window

TEXT_WIDTH = 100


def to_text(document: Document, glyphs: Glyphs = UNICODE) -> str:
    """The tree of ``--show-tree`` at 100 columns, without colour and folds."""
    view = document.view
    lines = [line.plain.rstrip() for line in final_frame(view, TEXT_WIDTH, glyphs, whole=True)]
    facts = ", ".join(f"{name} {value}" for name, value in document.facts())
    return "\n".join([*lines, *(line.plain for line in closing_lines(view, glyphs, verbose=1)), facts])


def to_svg(document: Document) -> str:
    """The same as a picture, of a large tree folded; the same trace gives the same bytes."""
    view = document.view
    console = Console(width=TEXT_WIDTH)
    below = [line for text in closing_lines(view, UNICODE) for line in text.wrap(console, TEXT_WIDTH)]
    lines = [*final_frame(view, TEXT_WIDTH, UNICODE), Text(), *below]
    height = BAR + 2 * MARGIN + LINE * len(lines)
    return window(document.title, drawn(lines), 2 * MARGIN + CELL * TEXT_WIDTH, height)
