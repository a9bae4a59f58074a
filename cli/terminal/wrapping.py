"""Breaks a text between its words while it is written, so that a terminal does not break within them."""

from __future__ import annotations

import re

from rich.cells import cell_len

_WIDE = r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]"
"""Characters of scripts without blanks between words."""

_BETWEEN_WORDS = re.compile(rf"(?=\s)|(?<={_WIDE})|(?={_WIDE})")


class Wrapping:
    """Takes a text in pieces and gives it back with line breaks; a word that may go on is held back.

    Args:
        width: Cells of a line.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._held = ""

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
        if word.startswith("\n"):
            self._column = cell_len(word[1:])
            return word
        if self._column and self._column + cell_len(word) > self._width:
            word = word.lstrip()
            self._column = cell_len(word)
            return f"\n{word}"
        self._column += cell_len(word)
        return word
