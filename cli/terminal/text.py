"""Text, numbers and widths: how model text and figures become parts of one terminal line."""

from __future__ import annotations

import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, Literal

from adascale.engine.answers.latex import without_latex
from adascale.engine.types import Estimate, probability_of

from .lines import clean

_WIDEST = 1 << 16
"""Cells of a table in a pipe, which is whole."""

_CHARACTERS_PER_CELL = 4
"""Characters that are looked at for each cell: bounds the work on stacked combining marks."""


def one_line(text: str) -> str:
    """Model text as one harmless line, every run of white space one space."""
    return harmless(" ".join(clean(text.replace("\t", " ")).split()))


def harmless(line: str) -> str:
    """A line of model text without control characters, its spaces as they are.

    Invisible format characters go as well: a right-to-left override turns a row around, and terminals
    disagree with Rich about the width of joined emoji and of variation selectors.
    """
    line = clean(line)
    if line.isascii():
        return line
    return "".join(filter(_visible, line))


def _visible(character: str) -> bool:
    return unicodedata.category(character) != "Cf" and not "\ufe00" <= character <= "\ufe0f"


def cells(text: str) -> int:
    """Width of ``text`` in terminal cells."""
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, with an ellipsis if something was cut off."""
    from rich.text import Text

    shown = Text(text[: width * _CHARACTERS_PER_CELL])
    shown.truncate(width, overflow="ellipsis")
    return shown.plain


def columns(rows: Sequence[Sequence[str]], align: str, *, fits: bool = False, wraps: bool = False) -> str:
    """Rows as lines, two blanks between the columns, which stand below each other in any font of one width.

    Args:
        rows: Rows of equal length, the header (if any) among them; wide characters take two cells.
        align: For each column ``<`` to align left, ``>`` to align right.
        fits: If stdout is a terminal, its width bounds the lines: the last column gives way.
        wraps: That column is wrapped there, and not cut.
    """
    from rich.table import Table
    from rich.text import Text

    from .console import plain_text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for side in align[:-1]:
        grid.add_column(justify="right" if side == ">" else "left", no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right" if align[-1] == ">" else "left")
    for row in rows:
        last = Text(row[-1], overflow="fold") if wraps else Text(row[-1], no_wrap=True, overflow="ellipsis")
        grid.add_row(*map(Text, row[:-1]), last)
    width = shutil.get_terminal_size().columns if fits and sys.stdout.isatty() else _WIDEST
    return plain_text(grid, width)


_LONG_DECIMAL = re.compile(r"(?<![\w.])\d+\.(\d{5,})(?![\w.])")
_NOISE = 12
"""Decimals from which on the distance to a whole number is a floating-point error."""


def rounded(text: str) -> str:
    """``text`` with its long decimals to four digits, two of them behind the point at least: ``78.54``.

    One that would look like a whole number stays: ``0.99999`` is not 1.
    """

    def short(number: re.Match[str]) -> str:
        value = float(number[0])
        if value < 1:
            shown = f"{Decimal(f'{value:.4g}'):f}"
        else:
            shown = f"{value:.{max(2, 4 - len(f'{value:.0f}'))}f}"
        looks_whole = float(shown).is_integer() and not value.is_integer()
        return number[0] if looks_whole and len(number[1]) < _NOISE else shown

    return _LONG_DECIMAL.sub(short, text)


def plural(number: int, noun: str) -> str:
    """A count with its noun: ``1 node``, ``2,048 nodes``, ``2 replies``."""
    return f"{number:,} {noun if number == 1 else nouns(noun)}"


def nouns(noun: str) -> str:
    """The plural of a noun."""
    return f"{noun[:-1]}ies" if noun.endswith("ly") else f"{noun}s"


def clock(seconds: float) -> str:
    """Seconds as a clock shows them: ``0:57``, ``1:02:03``; negative ones are zero."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Seconds as a measurement: ``0.4 s``, ``6 s``, ``3:05 min``, ``1:02:03 h``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    return f"{clock(seconds)} {'min' if seconds < 3599.5 else 'h'}"


Mark = Literal["expanded", "running", "waiting", "finished", "failed", "best", "pruned"]
"""Kind of a row of the tree; every mark has a glyph and a style."""


MARKS: Final[dict[Mark, str]] = {
    "expanded": "●",
    "running": "◐",
    "waiting": "○",
    "finished": "✓",
    "failed": "✗",
    "best": "★",
    "pruned": "✗",
}
DOT, ARROW, ELLIPSIS = " · ", "→", "…"
"""Marks between facts, before the output of a program, and of cut text."""


def spin() -> str:
    """The ``running`` mark of the present quarter of a second, in a live view."""
    return "◐◓◑◒"[int(4 * time.monotonic()) % 4]


def level(estimate: Estimate | None) -> str:
    """The style of a probability; none for a score, which must not look like one."""
    p = probability_of(estimate)
    if p is None:
        return ""
    return "high" if p >= 0.8 else "middle" if p >= 0.5 else "low"


_FENCE = re.compile(r"(?m)^[ ]{0,3}```[^\n`]*(?:\n|\Z)")
_BLOCK = re.compile(r"(?ms)^[ ]{0,3}```.*?(?:^[ ]{0,3}```[ ]*(?:\n|\Z)|\Z)")
_CODE = re.compile(r"(`{1,2})([^`\n]+)\1")
_RULE = re.compile(r"(?m)^[ ]{0,3}(?:-{3,}|\*{3,}|_{3,})[ ]*$")
_HEADING = re.compile(r"(?m)^[ ]{0,3}#{1,6}[ ]+([^\n]+)$")
_ITALIC = re.compile(r"(?<![\w*])\*([A-Za-z][A-Za-z ,.'-]+)\*(?![\w*])")
_BOLD = re.compile(r"(?m)(?<![\w*])\*\*(?=[^\s*])(.+?)(?:(?<=\S)\*\*|$)")
"""Bold text that is still open, in an unfinished step, goes to the end of its line; ``2**3`` is a power."""

_UNFINISHED = re.compile(r"\\(?:[A-Za-z]{2,}.*|[A-Za-z]?)$")
"""LaTeX that is left in a line whose end is still to be written."""

_LEAST_LINE = 4
"""Characters of the shortest line that says something: a sign of a list alone does not."""

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n){2,}")


def plain(text: str) -> str:
    """``text`` without marks, at most one blank line in a row; blocks of code lose their fences alone."""
    return "".join(_unmarked(prose) + without_fences(code) for prose, code in with_code(text))


def last_line(text: str) -> str:
    """The last line of an unfinished text that says something, without marks; empty if none does."""
    lines = (_UNFINISHED.sub("", one_line(line)).rstrip() for line in reversed(plain(text).splitlines()))
    return next((line for line in lines if len(line) >= _LEAST_LINE), "")


def with_code(text: str) -> Iterator[tuple[str, str]]:
    """Prose and the block of code behind it, again and again; the last block is empty."""
    end = 0
    for block in _BLOCK.finditer(text):
        yield text[end : block.start()], block[0]
        end = block.end()
    yield text[end:], ""


def without_fences(text: str) -> str:
    """``text`` without the lines that open and close blocks of code."""
    return _FENCE.sub("", text)


def _unmarked(text: str) -> str:
    text = _CODE.sub(r"\2", _RULE.sub("", without_fences(without_latex(text))))
    text = _HEADING.sub(lambda heading: heading[1].replace("**", "").strip(), _ITALIC.sub(r"\1", text))
    return _BLANK_LINES.sub("\n\n", _BOLD.sub(r"\1", text))
