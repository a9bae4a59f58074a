"""Columns that stand below each other, and numbers with their units."""

import pytest
from rich.cells import cell_len

from adascale.cli.terminal.text import columns, duration


def test_each_column_has_its_side_and_lines_end_with_their_text() -> None:
    rows = [("NAME", "N", "WHAT"), ("a", "1,234", ""), ("longer", "5", "of it")]
    assert columns(rows, "<><").split("\n") == [
        "NAME        N  WHAT",
        "a       1,234",
        "longer      5  of it",
    ]


def test_wide_characters_take_two_cells() -> None:
    lines = columns([("三支笔", "x"), ("pens", "y")], "<<").split("\n")
    assert [cell_len(line[: line.index(last)]) for line, last in zip(lines, "xy", strict=True)] == [8, 8]


def test_a_row_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        columns([("a", "b"), ("c",)], "<<")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.42, "0.4 s"), (6.21, "6 s"), (11.4, "11 s"), (185, "3:05 min"), (3599.4, "59:59 min")),
        *((3599.5, "1:00:00 h"), (3723, "1:02:03 h")),
    ],
)
def test_a_measured_time_has_its_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
