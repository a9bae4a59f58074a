"""Where the text of a trajectory is cut: prose at blank lines, programs behind their closing fence."""

from __future__ import annotations

from adascale.engine.types import PROGRAMS, Mode

DELIMITER = b"\n\n"
"""Ends a step of prose; a program is one step."""

_FENCE = b"```"


def ends_step(text: bytes | bytearray, piece: bytes) -> bool:
    """True if the last piece of a text completed a blank line behind any text."""
    return DELIMITER in text[-(len(piece) + len(DELIMITER) - 1) :] and bool(text.strip())


def ends_program(mode: Mode, text: bytes | bytearray, piece: bytes) -> bool:
    """True if the last piece of a text in this mode closed its program: the first fence opens it."""
    return mode in PROGRAMS and b"`" in piece and text.count(_FENCE) >= 2
