"""Ends of steps in a solution's text: blank lines of prose, and the closing fence of a program."""

from __future__ import annotations

from adascale.engine.types import PROGRAMS, Mode

_FENCE = b"```"


def ends_step(text: bytes | bytearray, piece: bytes) -> bool:
    """True if the last piece of a text completes a blank line behind other text."""
    return b"\n\n" in text[-(len(piece) + 1) :] and bool(text.strip())


def ends_program(mode: Mode, text: bytes | bytearray, piece: bytes) -> bool:
    """True if the last piece of a text in this mode closes its program; the first fence opens it."""
    return mode in PROGRAMS and b"`" in piece and text.count(_FENCE) >= 2
