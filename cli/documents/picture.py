"""A tree as the terminal shows it: plain text, and an SVG picture that loads nothing, not even a font."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from adascale.engine.types import probability_of

from ..render.frame import final_frame
from ..render.solution import option_lines
from ..render.state import ViewState
from ..render.summary import answer_text, closing_lines, summary, support
from ..report.answer import solution_text
from ..terminal.text import duration, harmless, one_line
from ..terminal.theme import STYLES, UNICODE, Glyphs, Level, level
from .document import has_answer, is_guess, model_name, reason, settings

PICTURE_WIDTH = 110

CELL, LINE, MARGIN, BAR = 8.4, 17, 16, 34
"""Width and height of a character, margin, and height of the bar with the title; in pixels."""

_NORMAL, _BRIGHT = (
    [(each >> 16, each >> 8 & 255, each & 255) for each in colours]
    for colours in (
        (0x1B1D22, 0xF17067, 0x6EC97A, 0xE0B345, 0x6B9FFF, 0xC98CFF, 0x5CC8D6, 0xD6D9DE),
        (0x808691, 0xFF8A82, 0x87DE92, 0xF4CA66, 0x8AB4FF, 0xD9AAFF, 0x80DBE7, 0xFFFFFF),
    )
)
THEME = TerminalTheme(_NORMAL[0], _NORMAL[7], _NORMAL, _BRIGHT)
"""Colours of the picture: all text is readable on its ground (WCAG, 4.5 to 1)."""

_LEVELS: Mapping[Level | None, str] = {
    "high": THEME.ansi_colors[2].hex,
    "middle": THEME.ansi_colors[3].hex,
    "low": THEME.ansi_colors[1].hex,
    None: THEME.foreground_color.hex,
}

ANSWER = 70
"""Height of an answer in large type, in pixels."""
_GAP, _BAR_WIDTH = 26, 200
"""Blank behind the answer, and width of the bar that says how sure it is; in pixels."""

_STYLE = f"""text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: {THEME.foreground_color.hex}; }}
.b {{ font-weight: bold; }} .i {{ font-style: italic; }} .d {{ fill-opacity: .66; }}
.sure {{ font-size: 20px; }}"""

_WORDS = re.compile(r"\S+(?: \S+)*")
"""One element holds a run of text without doubled spaces: viewers draw those differently."""


def to_lines(view: ViewState, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The tree of ``--show-tree``, ``width`` cells wide, without folds; of a text its single reply."""
    if view.tree.problem.is_chat:
        question = f"Q  {one_line(view.tree.problem.question, glyphs)}"
        reply = [harmless(line, glyphs) for line in solution_text(view).split("\n")]
        lines = [Text(line) for line in (question, "", *reply, "")]
    else:
        lines = final_frame(view, width, glyphs, whole=True)
    asked = ", ".join(f"{name} {value}" for name, value in settings(view))
    return [*lines, *closing_lines(view, glyphs, verbose=1), Text(asked)]


def to_svg(view: ViewState) -> str:
    """The tree as a picture, a large one folded, and its answer; the same trace gives the same bytes."""
    console = Console(width=PICTURE_WIDTH)
    tree, why = final_frame(view, PICTURE_WIDTH, UNICODE), Text(reason(view), STYLES["faint"])
    bars = option_lines(view, PICTURE_WIDTH, UNICODE)
    tree += [Text(), *bars] if bars else []
    parts, y = [*drawn(tree)], BAR + MARGIN + LINE * len(tree)
    below: list[Text] = [*why.wrap(console, PICTURE_WIDTH)] if why else []
    if has_answer(view) and not is_guess(view):
        parts += large_answer(view, y)
        y += ANSWER
    else:
        below = [Text(), *summary(view, UNICODE).wrap(console, PICTURE_WIDTH), *below]
    parts += drawn(below, y)
    return window(view, parts, 2 * MARGIN + CELL * PICTURE_WIDTH, y + LINE * len(below) + MARGIN)


def window(view: ViewState, parts: Iterable[str], width: float, height: float, style: str = "") -> str:
    """A picture of a terminal's window, whose title names the program and the model.

    Args:
        view: A search.
        parts: Elements of the picture, in the pixels of the whole window.
        width: Width of the picture in pixels.
        height: Its height.
        style: More rules of style.
    """
    title = UNICODE.dot.join(filter(None, ["adascale", model_name(view)]))
    dots = zip((20, 40, 60), ("#ff5f57", "#febc2e", "#28c840"), strict=True)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n{style}</style>",
        f'<rect width="100%" height="100%" rx="8" fill="{THEME.background_color.hex}"/>',
        *(f'<circle cx="{x}" cy="18" r="6" fill="{colour}"/>' for x, colour in dots),
        f'<text x="84" y="23" class="d">{escape(title)}</text>',
        *parts,
        "</svg>",
    ])  # fmt: skip


def drawn(lines: Sequence[Text], top: float = BAR + MARGIN) -> Iterator[str]:
    """Lines as text elements, whose first has its upper edge at ``top``."""
    console = Console(file=io.StringIO(), width=500, force_terminal=True, color_system="truecolor")
    for row, line in enumerate(lines):
        column = 0
        for segment in console.render(line):
            for words in _WORDS.finditer(segment.text):
                x = MARGIN + CELL * (column + cell_len(segment.text[: words.start()]))
                yield _element(words[0], x, top + LINE * (row + 0.76), segment)
            column += segment.cell_length


def large_answer(view: ViewState, top: float) -> Iterator[str]:
    """The answer in large type, ``ANSWER`` pixels high; beside it how sure it is, with a bar, and the facts.

    Args:
        view: A search that has an answer.
        top: Upper edge.
    """
    found, p = answer_text(view, UNICODE), probability_of(view.confidence)
    facts = [*support(view), duration(view.t)]
    sure = facts.pop(0) if p is not None else ""
    beside = max(12.1 * len(sure) + 20 + _BAR_WIDTH, CELL * len(UNICODE.dot.join(facts)))
    room = CELL * PICTURE_WIDTH - _GAP - beside
    size, colour = int(min(44, room / (0.61 * max(1, cell_len(found))))), _LEVELS[level(view.confidence)]
    left = round(MARGIN + 0.61 * size * cell_len(found) + _GAP)
    look = f'class="b large" style="fill:{colour};font-size:{size}px"'
    yield f'<text x="{MARGIN}" y="{top + 52:.1f}" {look}>{escape(found)}</text>'
    if p is not None:
        bar = left + 12.1 * len(sure) + 20
        yield f'<text x="{left}" y="{top + 33:.1f}" class="b sure">{sure}</text>'
        for width, fill in ((_BAR_WIDTH, "#3a3d45"), (round(_BAR_WIDTH * p), colour)):
            yield f'<rect x="{bar:.1f}" y="{top + 20:.1f}" width="{width}" height="12" rx="6" fill="{fill}"/>'
    yield f'<text x="{left}" y="{top + 54:.1f}" class="d">{UNICODE.dot.join(facts)}</text>'


def _element(words: str, x: float, y: float, segment: Segment) -> str:
    length = f'textLength="{CELL * cell_len(words):.1f}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {length}{_look(segment)}>{escape(words)}</text>'


def _look(segment: Segment) -> str:
    style = segment.style
    if style is None:
        return ""
    marks = [("b", style.bold), ("i", style.italic), ("d", style.dim)]
    names = " ".join(name for name, on in marks if on)
    colour = style.color.get_truecolor(THEME).hex if style.color else ""
    return (f' class="{names}"' if names else "") + (f' style="fill:{colour}"' if colour else "")
