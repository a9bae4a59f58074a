"""Source is read without running it; what it needs from outside is known exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.codetasks.program import is_literal, outside_names, parse, try_parse, without


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("assert f(2) == 4", ("f",)),
        ("import math\nassert math.isclose(f(2), sqrt(4))", ("f", "sqrt")),
        ("x = 1\ndef g(y):\n    return x + y + z", ("z",)),
        ("[n for n in range(3) if n]", ()),
        ("def f():\n    global total\n    total = 1\nprint(total)", ()),
        ("def f(n: List[int]) -> int:\n    return n", ("List",)),
        ('print("\\d", x is 1)', ("x",)),  # of which Python would warn
        ("lambda a: a + b", ("b",)),
        ("try:\n    f()\nexcept ValueError as error:\n    print(error)", ("f",)),
    ],
)
def test_names_from_outside(source: str, names: tuple[str, ...]) -> None:
    assert outside_names(source) == names


@pytest.mark.parametrize(
    "source",
    ["def (", "return 1", "\0", "x = " + "(" * 500 + ")" * 500, "break", "f(x) = 2", "'\ud800'",
     "x = " + "1 + " * 300 + "1", "x" + ".y()" * 150],
)  # fmt: skip
def test_what_does_not_compile_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        parse(source)
    assert try_parse(source) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    if try_parse(text) is not None:
        outside_names(text)
    is_literal(text)


def test_a_line_that_goes_on_into_one_that_is_left_out_does_not_break_the_rest() -> None:
    source = "def g(x):\n    return x\n\\\n\nprint(g(2))"
    tree = parse(source)
    assert without(source, tree, tree.body[1:]) == "def g(x):\n    return x"
