"""Examples in the text of a problem are tests; formulas and prose are not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.codetasks.reading import read_examples

PLAIN = "assert f(2) == 4"


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (">>> f(2)\n4", [PLAIN]),
        ("    >>> f(2)\n    4\n    >>> f(3)\n    9\n", [PLAIN, "assert f(3) == 9"]),
        ('def f(n):\n    """Squares.\n\n    >>> f(2)\n    4"""\n', [PLAIN]),
        ("```\n>>> f(2)\n4\n```", [PLAIN]),
        (">>> f([1,\n...    2])\n[1, 2]", ["assert f([1, 2]) == [1, 2]"]),
        (">>> print(f(2))\n4", ["assert str(f(2)) == '4'"]),
        (">>> print(f(2), f(3))\n4 9", ["assert str(f(2)) + ' ' + str(f(3)) == '4 9'"]),
        (">>> print(f(2), end='')\n4", []),
        ("  >>> print(f(2))\n   *\n  ***", ["assert str(f(2)) == ' *\\n***'"]),
        (">>> print(f(2))\na\n<BLANKLINE>\nb", ["assert str(f(2)) == 'a\\n\\nb'"]),
        (">>> f(2)  # doctest: +ELLIPSIS\n[0, ...]", []),
        (">>> f(2)\n<Point 4>", ["assert repr(f(2)) == '<Point 4>'"]),
        (">>> f(2) > 3\nTrue", ["assert (f(2) > 3) == True"]),
        ("Your code should pass this test:\nassert f(2) == 4", [PLAIN]),
        ("assert f([1,\n  2]) == [\n 3]\nMore text.", ["assert f([1,\n  2]) == [\n 3]"]),
        ("- `f(2) -> 4`", [PLAIN]),
        ("Example 1: f(2) returns 4.", [PLAIN]),
        ("größe(2) -> 4", ["assert größe(2) == 4"]),
        ("`f(2)` should return `4`, `f(3)` more.", []),
        ("f(2)  # 4", [PLAIN]),
        ("f(2)  # -> 4", [PLAIN]),
        ("len(f(2)) -> 4", ["assert len(f(2)) == 4"]),
        ("math.sqrt(f(4)) == 2.0", ["assert math.sqrt(f(4)) == 2.0"]),
        ("- Stack().size() -> 0", ["assert Stack().size() == 0"]),
        ("1. **f(2)** -> 4", [PLAIN]),
        ("f(2) == 4  # as said", ["assert f(2) == 4"]),
        ("f([3, 1]) -> 1, 3", ["assert f([3, 1]) == (1, 3)"]),
        ("f(-2) => -4", ["assert f(-2) == -4"]),
        ("f('a b') ➞ {'a': 1}", ["assert f('a b') == {'a': 1}"]),
        ("assert math.isclose(f(2), 4)", ["assert math.isclose(f(2), 4)"]),
        ("```python\nf(2) == 4\n```", [PLAIN]),
        ("assert f(2) == 4\n>>> f(2)\n4\n\nf(2) -> 4", [PLAIN]),
    ],
)
def test_examples(text: str, sources: list[str]) -> None:
    assert [test.source for test in read_examples(text)] == sources


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Write f(n) -> int that squares n.",
        "def f(n: int) -> int:",
        "f(n) == n * f(n - 1)",
        "Assume f(x) == 0 for x < 1.",
        "assert that f works",
        ">>> 1 + 1\n2",
        ">>> import math",
        "sum([1, 2]) -> 3",
        "The limit is 5 -> 4.",
        "stack.pop() -> 3",
        "not f(2) -> True",
        "It is not f(2) -> True",
        "2 * f(2) == 8",
        "So 2 * f(2) == 8",
        "-f(2) == -4",
    ],
)
def test_what_is_no_example(text: str) -> None:
    assert read_examples(text) == ()


def test_a_session_keeps_its_state() -> None:
    first, second = read_examples(">>> s = Stack()\n>>> s.push(1)\n>>> s.pop()\n1\n>>> s.size()\n0")
    assert (first.setup, first.source) == ("s = Stack()\ns.push(1)", "assert s.pop() == 1")
    assert (second.setup, second.source) == ("s = Stack()\ns.push(1)\ns.pop()", "assert s.size() == 0")


def test_a_traceback_is_an_exception_to_raise() -> None:
    shown = ">>> f(-1)\nTraceback (most recent call last):\n  ...\nValueError: negative\n>>> f(1)\n1"
    first, second = read_examples(shown)
    assert first.source == (
        "try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    assert False, 'ValueError was not raised'"
    )
    assert (second.setup, second.source) == ("", "assert f(1) == 1")


@given(st.lists(st.sampled_from([">>> f(2)", "4", "", "assert f(", "f(2) -> 4", "...", "```", "x"])))
def test_no_text_breaks_it(lines: list[str]) -> None:
    read_examples("\n".join(lines))


@pytest.mark.parametrize(
    "line", ["a(" * 2000 + " = = " + "# " * 2000, "x" + " " * 60_000 + "y", "f(2) == " * 8000]
)
def test_a_long_line_is_read_in_no_time(line: str) -> None:
    started = time.process_time()
    assert read_examples(line) == ()
    assert time.process_time() - started < 1.0
