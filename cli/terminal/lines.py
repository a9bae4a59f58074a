"""Lines for people: harmless, and broken where a terminal may break them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TextIO

# C0 without tab and newline, DEL, and C1: what a terminal could take for a command. Behind them the marks
# that turn the reading direction: turned text can read as another.
BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{''.join(map(chr, BIDI))}]")
# Halves of surrogate pairs, which no encoding has, and U+FFFE and U+FFFF, which XML does not allow.
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Model text without control characters and turned directions; half surrogates become U+FFFD."""
    return _NO_CHARACTER.sub("\ufffd", _CONTROL.sub("", text))


def plain_width() -> int:
    """Width of plain lines: ``COLUMNS``, that of the terminal, or 100 for a pipe or a file."""
    usual = (100, 24)
    with suppress(OSError):
        usual = os.get_terminal_size(sys.stderr.fileno())
    return shutil.get_terminal_size(usual).columns


_COMMAND = re.compile(r"hint: (?!.*(?:[,;:] | says | shows ))")
"""A fix that is a command alone."""

_LEAST_WIDTH = 20


def wrapped(text: str, stream: TextIO, beside: int = 0) -> str:
    """Lines that a terminal does not break inside of words; in a pipe they are whole.

    A word that is longer than a line, such as a path, and a command stay whole, since they are pasted.

    Args:
        text: Lines; the parts of one are indented as it is.
        stream: Where they are written.
        beside: Cells that something else takes.
    """
    if not stream.isatty():
        return text
    width = max(_LEAST_WIDTH, plain_width() - beside)

    def broken(line: str) -> str:
        if _COMMAND.match(line):
            return line
        indent = line[: len(line) - len(line.lstrip())]
        parts = textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(parts)

    return "\n".join(map(broken, text.split("\n")))


def short_path(path: Path) -> str:
    """A path for people, with ``~`` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
