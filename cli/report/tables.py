"""Plain tables: columns of text that stand below each other in any font of one width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

from ..terminal.text import cells, pad


def columns(rows: Sequence[Sequence[str]], align: str) -> str:
    """Rows as lines, two blanks between the columns.

    Args:
        rows: Of equal length, the header (if any) among them; wide characters take two cells.
        align: For each column ``<`` where its cells begin, or ``>`` where they end, in line.
    """
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(starmap(_align, zip(row, widths, align, strict=True))).rstrip() for row in rows
    )


def _align(text: str, width: int, side: str) -> str:
    return pad(text, width) if side == "<" else " " * (width - cells(text)) + text
