"""Prose of a model as lines of a terminal."""

import pytest
from rich.cells import cell_len

from adascale.cli.terminal.markdown import rendered


def shown(text: str, width: int = 60) -> list[str]:
    return [line.plain for line in rendered(text, width)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\ntwo", ["one", "two"]),
        ("2*3*4 and a_1_b and 2 * 3", ["2*3*4 and a_1_b and 2 * 3"]),
        ("<b>x</b> a < b & c", ["<b>x</b> a < b & c"]),
        ("    not code", ["not code"]),
        ("12\n+ 7\n= 19", ["12", "+ 7", "= 19"]),
        ("1. 12\n   + 7", ["1. 12", "   + 7"]),
        ("27\n---\nnext", ["27", "", "-" * 60, "", "next"]),
        ("1. one\n2. two", ["1. one", "2. two"]),
        ("costs $5 and $6, $x = 5$", ["costs $5 and $6, x = 5"]),
        (r"So $\boxed{24}$.", ["So 24."]),
        (r"It is \boxed{2", ["It is 2"]),
        ("2**3 is 8, x**2 and 3**2", ["2**3 is 8, x**2 and 3**2"]),
        ("1. **Check for ", ["1. Check for"]),
        ("So **", ["So"]),
        ("```python\nprint('\\frac{1}{2}')\n```", ["  print('\\frac{1}{2}')"]),
        ("```python\nfor x in y:", ["  for x in y:"]),
        ("\x1b[2J\u202eturned", ["[2Jturned"]),
    ],
)
def test_it_is_what_a_person_reads(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


def test_what_was_in_a_box_is_bold() -> None:
    [line] = rendered(r"So \boxed{24}.", 60)
    [bold] = [span for span in line.spans if "bold" in str(span.style)]
    assert line.plain[bold.start : bold.end] == "24"


@pytest.mark.parametrize("width", [20, 60, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    text = (
        "1. "
        + "word " * 50
        + "\n\n| a | b |\n|---|---|\n| "
        + "long " * 20
        + "| 三支笔三支笔 |\n\n```\n"
        + "x" * 200
    )
    assert all(cell_len(line.plain) <= width for line in rendered(text, width))
