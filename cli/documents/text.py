"""A tree as the terminal shows it: plain text, and a picture of it without a font of its own."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ..render.frame import final_frame
from ..render.solution import option_lines
from ..render.summary import closing_lines, summary
from ..report.answer import solution_text
from ..terminal.text import harmless, one_line
from ..terminal.theme import STYLES, UNICODE, Glyphs
from .document import Document
from .picture import ANSWER, BAR, CELL, LINE, MARGIN, drawn, large_answer, window

TEXT_WIDTH = 100
PICTURE_WIDTH = 110


def to_text(document: Document, glyphs: Glyphs = UNICODE) -> str:
    """The tree of ``--show-tree`` at 100 columns, without colour and folds; of a text its single reply."""
    view = document.view
    if view.tree.problem.is_chat:
        question = f"Q  {one_line(view.tree.problem.question, glyphs)}"
        lines = [question, "", *(harmless(line, glyphs) for line in solution_text(view).split("\n")), ""]
    else:
        lines = [line.plain.rstrip() for line in final_frame(view, TEXT_WIDTH, glyphs, whole=True)]
    facts = ", ".join(f"{name} {value}" for name, value in document.facts())
    return "\n".join([*lines, *(line.plain for line in closing_lines(view, glyphs, verbose=1)), facts])


def to_svg(document: Document) -> str:
    """The tree as a picture, a large one folded, and its answer; the same trace gives the same bytes."""
    view, console = document.view, Console(width=PICTURE_WIDTH)
    tree, reason = final_frame(view, PICTURE_WIDTH, UNICODE), Text(document.why, STYLES["faint"])
    bars = option_lines(view, PICTURE_WIDTH, UNICODE)
    tree += [Text(), *bars] if bars else []
    parts, y = [*drawn(tree)], BAR + MARGIN + LINE * len(tree)
    below: list[Text] = [*reason.wrap(console, PICTURE_WIDTH)] if reason else []
    if document.has_answer and not document.is_guess:
        parts += large_answer(view, y)
        y += ANSWER
    else:
        below = [Text(), *summary(view, UNICODE).wrap(console, PICTURE_WIDTH), *below]
    parts += drawn(below, y)
    return window(document.title, parts, 2 * MARGIN + CELL * PICTURE_WIDTH, y + LINE * len(below) + MARGIN)
