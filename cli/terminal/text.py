"""Text of models, numbers and paths as harmless parts of terminal lines."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TextIO

BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that turn the reading direction: turned text can read as another."""

# C0 without tab and newline, DEL, and C1, which a terminal could take for a command.
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{''.join(map(chr, BIDI))}]")
# Halves of surrogate pairs, which no encoding has, and U+FFFE and U+FFFF, which XML does not allow.
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Model text without control characters and turned directions; half surrogates become U+FFFD."""
    return _NO_CHARACTER.sub("\ufffd", _CONTROL.sub("", text))


def harmless(text: str) -> str:
    """Clean text for a screen, without invisible characters, about whose width terminals disagree."""
    return "".join(each for each in clean(text) if not _is_invisible(each))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def one_line(text: str) -> str:
    """Model text as one harmless line, every run of white space one space."""
    return harmless(" ".join(clean(text.replace("\t", " ")).split()))


def plain_width() -> int:
    """Width of plain lines: ``COLUMNS``, or the width of the terminal, or 100 for a pipe or a file."""
    default = (100, 24)
    with suppress(OSError):
        default = os.get_terminal_size(sys.stderr.fileno())
    return shutil.get_terminal_size(default).columns


_COMMAND = re.compile(r"hint: (?!.*(?:[,;:] | says | shows ))")
"""A hint that is a command alone."""

_MIN_WIDTH = 20


def wrapped(text: str, stream: TextIO) -> str:
    """Lines broken between words for a terminal, with their indent; a pipe gets them whole.

    A word that is longer than a line, such as a path, and a command stay whole, since users paste them.
    """
    if not stream.isatty():
        return text
    wrapper = textwrap.TextWrapper(max(_MIN_WIDTH, plain_width()), replace_whitespace=False)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not _COMMAND.match(line):
            wrapper.subsequent_indent = line[: len(line) - len(line.lstrip())]
            lines[number] = wrapper.fill(line)
    return "\n".join(lines)


def short_path(path: Path) -> str:
    """A path for people, with ``~`` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


_CHARACTERS_PER_CELL = 4
"""Characters per cell that ``cut`` reads: bounds the work on stacked combining marks."""


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, with an ellipsis if something was cut off."""
    from rich.text import Text

    short = Text(text[: width * _CHARACTERS_PER_CELL])
    short.truncate(width, overflow="ellipsis")
    return short.plain


_UNBOUNDED = 1 << 16
"""Cells of a table in a pipe, which is whole."""


def columns(rows: Sequence[Sequence[str]], align: str) -> str:
    """Rows as lines with aligned columns; on a terminal the last column is wrapped at its edge.

    Args:
        rows: Rows of equal length, the header (if any) among them; wide characters take two cells.
        align: For each column ``<`` to align left, ``>`` to align right.
    """
    from rich.table import Table
    from rich.text import Text

    from .console import plain_text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for side in align:
        grid.add_column(justify="right" if side == ">" else "left", no_wrap=True, overflow="ellipsis")
    grid.columns[-1].no_wrap, grid.columns[-1].overflow = False, "fold"
    for row in rows:
        grid.add_row(*map(Text, row))
    return plain_text(grid, shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED)


_LONG_DECIMAL = re.compile(r"(?<![\w.])\d+\.(\d{5,})(?![\w.])")
_NOISE = 12
"""Decimals from which on the distance to a whole number is a floating-point error."""


def rounded(text: str) -> str:
    """``text`` with its long decimals to four digits, at least two of them behind the point: ``78.54``.

    One that would look like a whole number stays: ``0.99999`` is not 1.
    """

    def short(number: re.Match[str]) -> str:
        value = float(number[0])
        if value < 1:
            short_form = f"{Decimal(f'{value:.4g}'):f}"
        else:
            short_form = f"{value:.{max(2, 4 - len(f'{value:.0f}'))}f}"
        looks_whole = float(short_form).is_integer() and not value.is_integer()
        return number[0] if looks_whole and len(number[1]) < _NOISE else short_form

    return _LONG_DECIMAL.sub(short, text)


def plural(number: int, noun: str) -> str:
    """A count with its noun: ``1 node``, ``2,048 nodes``, ``2 replies``."""
    return f"{number:,} {noun if number == 1 else nouns(noun)}"


def nouns(noun: str) -> str:
    """The plural of a noun."""
    return f"{noun[:-1]}ies" if noun.endswith("ly") else f"{noun}s"


def duration(seconds: float) -> str:
    """Seconds as a measurement: ``0.4 s``, ``6 s``, ``3:05 min``, ``1:02:03 h``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


DOT, ARROW, ELLIPSIS = " · ", "→", "…"
"""Marks between facts, before the output of a program, and of cut text."""


def spin() -> str:
    """The mark of running work in the present quarter of a second, in a live view."""
    return "◐◓◑◒"[int(4 * time.monotonic()) % 4]
