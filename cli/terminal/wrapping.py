"""Breaks a text between its words while it is written, so that a terminal does not break within them."""

from __future__ import annotations

import re

from rich.cells import cell_len

_WIDE = r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]"
"""Characters of scripts without blanks between words."""

_BETWEEN_WORDS = re.compile(rf"(?=\s)|(?<={_WIDE})|(?={_WIDE})")


_FENCE = re.compile(r"`{3,}[^`]*")
"""The first word of a line that opens or closes a block of code."""


class Wrapping:
    """Takes a text in pieces and gives it back with line breaks; a word that may go on is held back.

    Blocks of code keep their lines, which somebody may copy.

    Args:
        width: Cells of a line.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._held = ""
        self._begins = True
        self._in_code = False

    def take(self, piece: str) -> str:
        """The text that the piece completes."""
        *words, self._held = _BETWEEN_WORDS.split(self._held + piece)
        return "".join(map(self._placed, words))

    def end(self) -> str:
        """The rest of the text."""
        held, self._held = self._held, ""
        return self._placed(held)

    def _placed(self, word: str) -> str:
        """A word with the blank before it, or with a line break in the place of that."""
        ends_line = word.startswith("\n")
        self._begins |= ends_line
        if self._begins and (first := word.strip()):
            self._begins = False
            self._in_code ^= _FENCE.fullmatch(first) is not None
        if ends_line:
            self._column = cell_len(word[1:])
            return word
        if not self._in_code and self._column and self._column + cell_len(word) > self._width:
            word = word.lstrip()
            self._column = cell_len(word)
            return f"\n{word}"
        self._column += cell_len(word)
        return word
