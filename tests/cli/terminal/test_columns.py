"""Columns that stand below each other, and numbers with their units."""

from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from adascale.cli.terminal.text import columns, duration, fitted, plural


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


@pytest.mark.parametrize("columns_", ["24", "40"])
def test_a_table_is_no_wider_than_the_terminal_and_whole_in_a_pipe(
    columns_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = columns([("NAME", "WHAT"), ("三支笔三支笔", "of it, of that, of these and of those")], "<<")
    monkeypatch.setenv("COLUMNS", columns_)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True, encoding="utf-8"))
    on_terminal = fitted(table)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: False))
    assert fitted(table) == table
    assert max(map(cell_len, on_terminal.split("\n"))) <= int(columns_)
    assert len(on_terminal.split("\n")) == 2


def test_where_the_last_column_has_no_room_no_figure_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    table = columns([("NAME", "N", "WHAT"), ("a" * 20, "12,345", "of it")], "<><")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True, encoding="utf-8"))
    assert fitted(table) == table


def test_a_reply_and_another_are_two_replies() -> None:
    assert [plural(1, "reply"), plural(2, "reply"), plural(2_048, "step")] == [
        "1 reply",
        "2 replies",
        "2,048 steps",
    ]
