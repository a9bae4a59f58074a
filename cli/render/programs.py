"""The lines of programs in a tree: how many each may have, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from ..terminal.code import Program, cut_line, highlighted, wrap_line
from ..terminal.text import one_line
from ..terminal.theme import STYLES, Glyphs
from .rows import Row

_FOLDED = 5
"""Lines of a program in a live view: its row, three more of code, and what running it gave."""

_GAP = 2

_LEAST_WRAPPED = 16
"""Cells below which long lines of code are cut, not wrapped."""


def program_heights(rows: Sequence[Row], spare: int | None) -> dict[int, int | None]:
    """How many lines each program among the rows may have, by the number of its row; None for all.

    Args:
        rows: Rows of a tree.
        spare: Lines beside one a row, which go to the best program, then to the newest; None for no limit.
    """
    programs = [(at, row.program, row.best) for at, row in enumerate(rows) if row.program is not None]
    if spare is None:
        return {at: None for at, _, _ in programs}
    heights: dict[int, int | None] = {}
    for at, program, _ in sorted(programs, key=lambda place: (not place[2], -place[0])):
        below = max(0, min(spare, _FOLDED - 1, program.height - 1))
        heights[at] = 1 + below
        spare -= below
    return heights


def program_lines(program: Program, width: int, glyphs: Glyphs, height: int | None) -> list[Text]:
    """A program in at most ``height`` lines of at most ``width`` cells.

    Code that does not fit is left out before what running it gave; in a single line it has semicolons.
    """
    code, outcome = program.lines(glyphs), program.outcome_line(glyphs)
    if height is None and width >= _LEAST_WRAPPED:
        return [part for line in (*code, *outcome) for part in wrap_line(line, width)]
    code = [line for line in code if line.plain.strip()] or [Text()]
    if height == 1:
        return [_single_line(program, outcome, width, glyphs)]
    if height is not None and program.height > height:
        code = code[: height - len(outcome)]
        outcome = [Text(f"{glyphs.ellipsis} ", STYLES["faint"]).append_text(line) for line in outcome]
    return [cut_line(line, width, glyphs) for line in (*code, *outcome)]


def _single_line(program: Program, outcome: Sequence[Text], width: int, glyphs: Glyphs) -> Text:
    """``price = 2 / 3; print(18 / price)  → 27``; what it gave takes at most half of the width."""
    room = max(0, width // 2 - _GAP)
    end = Text(" " * _GAP if room else "").join([Text(), *(cut_line(line, room, glyphs) for line in outcome)])
    code = highlighted(one_line(program.single_line, glyphs)).copy()
    return cut_line(code, max(0, width - end.cell_len), glyphs).append_text(end)
