"""A program is cut out of what a model wrote, as a person would cut it out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.codetasks.program import extract_program, outside_names, parse

F = "def f(n):\n    return n * n"


@pytest.mark.parametrize(
    "text",
    [
        F,
        f"```python\n{F}\n```",
        f"```python\n{F}",  # cut off before its fence
        f"{F}\n```\nThis function squares.",  # the prompt had the opening fence
        f"Here is the code: ```python\n{F}```",
        "1. Square it:\n   ```python\n   def f(n):\n       return n * n\n   ```",
        f"```bash\npip install numpy\n```\n```python\n{F}\n```\nExplanation\n",
        f"```python\ndef f(n):\n    return n + n\n```\nThat is wrong. Better:\n```python\n{F}\n```",
        f"```python\n{F}\n\nIt multiplies n by itself.\n```",
        f"```python\n{F}\n\ndef g(n):\n    return f(n",  # ended within a second function
        f"```python\n{F}\n```\n```python\ndef test_f():\n    assert f(2) == 4\n```",
        F.replace("\n", "\r\n"),
    ],
)
def test_one_function(text: str) -> None:
    assert extract_program(text, "f") == F


@pytest.mark.parametrize(
    ("text", "entry_point", "program"),
    [
        (f"```python\nx = 1\n```\n```python\n{F}\n```\n```\nf(3)\n```", "", F),
        (f"```python\n{F}\n```\n```python\nn = f(3)\n```", "f", F),
    ],
)
def test_the_last_definition_is_the_program(text: str, entry_point: str, program: str) -> None:
    assert extract_program(text, entry_point) == program


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "```\n```", "f", "```python\ndef (:\n```", "42", "..."]
)
def test_what_holds_no_program(text: str) -> None:
    assert extract_program(text, "f") is None


LINES = ["```", "```python", "def f(n):", "    return n", "print(f(2))", "text", "", "class Solution:",
         "    def g(self):", "        pass", "x = (", "if __name__ == '__main__':", "    f(input())",
         "import math; f(1)", "@"]  # fmt: skip


@given(st.lists(st.sampled_from(LINES)).map("\n".join) | st.text(), st.sampled_from(["f", "g", ""]))
def test_whatever_is_found_compiles(text: str, entry_point: str) -> None:
    found = extract_program(text, entry_point)
    if found is not None:
        parse(found)


@pytest.mark.parametrize(
    "text",
    [
        " " * 16_000 + "x",
        "x" + "`" * 16_000 + "!",
        "~" * 16_000 + "`",
        "".join(f"a{n} = {n} + 1\n" for n in range(400)),
        f"x = {'1 + ' * 210}1\n" + "y = 1\n" * 40,
    ],
)
def test_a_degenerate_text_is_read_at_once(text: str) -> None:
    def seconds() -> float:
        started = time.process_time()
        extract_program(f"{text}\n", "f")
        return time.process_time() - started

    assert any(seconds() < 0.5 for _ in range(3))  # a machine may stall once


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("assert f(2) == 4", ("f",)),
        ("import math\nassert math.isclose(f(2), sqrt(4))", ("f", "sqrt")),
        ("x = 1\ndef g(y):\n    return x + y + z", ("z",)),
        ("def f():\n    global total\n    total = 1\nprint(total)", ()),
        ("def f(n: List[int]) -> int:\n    return n", ("List",)),
        ('print("\\d", x is 1)', ("x",)),  # of which Python would warn
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
