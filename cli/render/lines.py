"""From rows to lines of an exact width: guides, marks, text and right-aligned columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from adascale.engine.answers.latex import readable

from ..terminal.code import Program, cut_line, highlighted, wrap_line
from ..terminal.prose import plain
from ..terminal.text import cells, chance, cut, one_line, pad, percent, rounded
from ..terminal.theme import ELBOW, ELLIPSIS, MARK_STYLES, MARKS, PIPE, STYLES, TEE, level
from .rows import Row, thought_line

NARROW = 60
"""Below this width the column of answers is dropped."""

WIDE = 100
"""From this width on intervals are shown, the tokens of a step, and why one was cut."""

_GAP = 2
_LEAST_TEXT = 8
_CORRECT_CELLS = 7
_RANGE_CELLS = 8
_COUNT_CELLS = 8
_TOKENS_CELLS = 6
_LABEL_CHARACTERS = 15

_LEAST_WRAPPED = 16
"""Cells below which long lines of code are cut, not wrapped."""


@dataclass(frozen=True, slots=True)
class Column:
    """A right-aligned column: its head, its cells, which stay while a tree grows, and what each row has."""

    head: str
    width: int
    values: tuple[tuple[str, str], ...]


def draw_rows(rows: Sequence[Row], width: int, *, calibrated: bool, whole: bool) -> list[Text]:
    """The head of the columns and the lines of each row.

    Args:
        rows: Rows of a tree.
        width: Cells that no line is wider than.
        calibrated: Estimates are probabilities.
        whole: Show all lines of a program, not one.
    """
    columns = _columns(rows, width, calibrated)
    left = max(0, width - sum(_GAP + column.width for column in columns))
    head = Text(" " * left)
    for column in columns:
        head.append(" " * _GAP + column.head.rjust(column.width), STYLES["header"])
    lines = [head]
    deepest = max((len(row.lasts) for row in rows), default=0)
    step = 4 if deepest * 4 <= left // 3 else 2
    for at, row in enumerate(rows):
        line, *below = _row_lines(row, left, step, says_why=width >= WIDE, whole=whole)
        for column in columns:
            value, style = column.values[at]
            line.append(" " * (_GAP + column.width - cells(value)))
            line.append(value, style)
        lines += [line, *below]
    for line in lines:
        line.rstrip()
        line.truncate(width)
    return lines


def _columns(rows: Sequence[Row], width: int, calibrated: bool) -> list[Column]:
    """The columns for this width: estimates always; counts, intervals and tokens where there is room."""
    head = "correct" if calibrated else "score"
    columns = [Column(head, _CORRECT_CELLS, tuple(_score(row) for row in rows))]
    if width >= WIDE and calibrated:
        known = (row.estimate if row.estimate and row.estimate.calibrated else None for row in rows)
        ranges = (f"{100 * p.lower:.0f}-{100 * p.upper:.0f} %" if p else "" for p in known)
        columns.append(Column("10-90 %", _RANGE_CELLS, tuple((text, STYLES["faint"]) for text in ranges)))
    if width >= NARROW:
        columns.append(Column("answer", _COUNT_CELLS, tuple(_count(row) for row in rows)))
    if width >= WIDE:
        lengths = ("" if row.tokens is None else str(row.tokens) for row in rows)
        columns.append(Column("tokens", _TOKENS_CELLS, tuple((text, STYLES["faint"]) for text in lengths)))
    return columns


def _score(row: Row) -> tuple[str, str]:
    """The median estimate, in the colour of its level where it is a probability."""
    if row.estimate is None:
        return "", ""
    style = STYLES["best_path"] if row.best else ""
    if found := level(row.estimate):
        style += " " + STYLES[found]
    estimate = row.estimate
    return percent(estimate.median) if estimate.calibrated else chance(estimate.median), style


def _count(row: Row) -> tuple[str, str]:
    """The count of a row, in at most ``_COUNT_CELLS`` cells."""
    text = cut(one_line(rounded(readable(row.count))), _COUNT_CELLS)
    if row.mark == "best":
        return text, STYLES["answer"]
    return text, STYLES["low"] if row.mark in ("pruned", "failed") else STYLES["faint"]


def _row_lines(row: Row, width: int, step: int, *, says_why: bool, whole: bool) -> list[Text]:
    """Guides, mark, label and text in exactly ``width`` cells, then the other lines of a program.

    Args:
        row: Row to draw.
        width: Cells.
        step: Cells of a guide.
        says_why: Show why a row was cut.
        whole: Show all lines of a program.
    """
    guides, passing = _guides(row, step, width // 3)
    line = Text().append(guides, STYLES["guide"]).append_text(_row_start(row))
    indent = Text().append(pad(passing, line.cell_len), STYLES["guide"])
    room = width - line.cell_len
    why = f"  {one_line(row.why)}" if row.why and says_why else ""
    if cells(why) > room - _LEAST_TEXT:
        why = ""
    room -= cells(why)
    text, *below = _contents(row, room, whole)
    text.append(" " * (room - text.cell_len))
    for content in (text, *below):
        content.stylize_before(_text_style(row))
    line.append_text(text).append(why, STYLES["low"])
    line.truncate(width)
    return [line, *(indent + content for content in below)]


def _contents(row: Row, room: int, whole: bool) -> list[Text]:
    """The text of a row in one line, or a ``whole`` program."""
    if row.program is None:
        text = thought_line(row) if row.thought else plain(row.text)
        return [Text(cut(one_line(text), room))]
    outcome = row.program.outcome_line()
    if whole and room >= _LEAST_WRAPPED:
        return [part for line in (*row.program.lines(), *outcome) for part in wrap_line(line, room)]
    return [_single_line(row.program, outcome, room)]


def _row_start(row: Row) -> Text:
    """Mark and label."""
    mark, style = (MARKS[row.mark], MARK_STYLES[row.mark]) if row.mark else (ELLIPSIS, STYLES["faint"])
    line = Text().append(f"{mark} ", style)
    return line.append(f"{_shorten_label(row.label)} ", STYLES["label"]) if row.label else line


def _text_style(row: Row) -> str:
    if row.best:
        return STYLES["best_path"]
    if row.thought or row.mark in (None, "pruned"):
        return STYLES["faint"]
    return STYLES["running_text"] if row.mark == "running" else ""


def _guides(row: Row, step: int, most: int) -> tuple[str, str]:
    """Guides of a row, and those that pass by its further lines, both in at most ``most`` cells.

    What is deeper stands at the last level, and its label says where.
    """
    levels, lasts = max(1, most // step), row.lasts
    if not lasts:
        return "", ""
    if len(lasts) > levels:
        lasts = (*lasts[: levels - 1], lasts[-1])
    passing = ["    " if last else PIPE for last in lasts]
    own = [*passing[:-1], ELBOW if lasts[-1] else TEE]
    if step < len(own[-1]):
        passing, own = ([guide[0] + " " for guide in guides] for guides in (passing, own))
    return "".join(own), "".join(passing)


def _shorten_label(label: str) -> str:
    if len(label) <= _LABEL_CHARACTERS:
        return label
    return ELLIPSIS + label[len(ELLIPSIS) - _LABEL_CHARACTERS :]


def _single_line(program: Program, outcome: Sequence[Text], width: int) -> Text:
    """``price = 2 / 3; print(18 / price)  → 27``; what it gave takes at most half of the width."""
    room = max(0, width // 2 - _GAP)
    end = Text(" " * _GAP if room else "").join([Text(), *(cut_line(line, room) for line in outcome)])
    code = highlighted(one_line(program.single_line)).copy()
    return cut_line(code, max(0, width - end.cell_len)).append_text(end)
