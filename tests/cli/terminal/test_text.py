"""Columns that stand below each other, and numbers with their units."""

from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from adascale.cli.terminal.text import columns, duration, rounded


def test_each_column_has_its_side_and_wide_characters_take_two_cells() -> None:
    rows = [("NAME", "N", "WHAT"), ("三支笔", "1,234", ""), ("longer", "5", "of it")]
    assert columns(rows, "<><").split("\n") == [
        "NAME        N  WHAT",
        "三支笔  1,234",
        "longer      5  of it",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (11.4, "11 s"), (185, "3:05 min"), (3599.4, "59:59 min"), (3599.5, "1:00:00 h")],
)
def test_a_measured_time_has_its_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_table_is_no_wider_than_the_terminal_and_whole_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("NAME", "WHAT"), ("三支笔三支笔", "of it, of that, of these and of those")]
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True, encoding="utf-8"))
    lines = columns(rows, "<<").split("\n")
    assert (len(lines), max(map(cell_len, lines)) <= 30) == (4, True)
    assert "".join(lines).replace(" ", "").endswith(rows[1][1].replace(" ", ""))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: False))
    assert max(map(cell_len, columns(rows, "<<").split("\n"))) > 30


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("78.5398163397", "78.54"),
        ("0.0000123456", "0.00001235"),
        ("0.30000000000000004", "0.3"),
        ("17.999999999999996", "18.00"),
        ("0.99999", "0.99999"),
        ("5.00001", "5.00001"),
        ("x = -0.999999", "x = -0.999999"),
    ],
)
def test_a_decimal_is_not_rounded_to_another_number(answer: str, shown: str) -> None:
    assert rounded(answer) == shown
