"""A program is read from a text as a person would read it, and its answer from what it printed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.answers.equality import same_answer
from adascale.engine.answers.extract import extract_answer
from adascale.engine.answers.program import computes, printed_answer, read_program


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```python\nprint(6 * 7)\n```", "print(6 * 7)"),
        ("First I count.\n```py\nx = 6\nprint(x)\n```\nSo it is 6.", "x = 6\nprint(x)"),
        ("```python\nprint(1)", "print(1)"),  # no closing fence
        ("print(1)", "print(1)"),  # no fence at all
        ("```python\n    a = 1\n    print(a)\n```", "a = 1\nprint(a)"),
        ("```python\na = 1\n```\nthen\n```python\nprint(a)\n```", "a = 1\nprint(a)"),
        ("```python\nprint(1)\n```\n```\n$ python x.py\n```", "print(1)"),
        ("```python\n6 * 7\n```", "print(6 * 7)"),
        ("```python\nresult = 6 * 7\n```", "result = 6 * 7\nprint(result)"),
        (
            "```python\ndef solution():\n    return 18\n```",
            "def solution():\n    return 18\nprint(solution())",
        ),
        (
            "```python\ndef solution():\n    return 18\nsolution()\n```",
            "def solution():\n    return 18\nprint(solution())",
        ),
        (
            "```python\ndef solution():\n    print(18)\nsolution()\n```",
            "def solution():\n    print(18)\nsolution()",
        ),
        (
            "```python\ndef f(n):\n    return n\n```",  # nobody says with which n
            "def f(n):\n    return n",
        ),
        ("```python\ndef f(*, n):\n    return n\n```", "def f(*, n):\n    return n"),
    ],
)
def test_a_program_is_found_and_prints(text: str, program: str) -> None:
    assert read_program(text) == program


@pytest.mark.parametrize("text", ["", "There are 18 eggs left.", "```python\n```", "```python\ndef (:\n```"])
def test_what_is_no_program_is_none(text: str) -> None:
    assert read_program(text) is None


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("18.0\n", "18"),
        ("41.000000000000036\n", "41"),
        ("0.30000000000000004\n", "0.3"),
        ("1e3\n", "1000"),
        ("$1,234.50\n", "1234.5"),
        ("Fraction(7, 2)\n", "7/2"),
        ("12345678901234567890\n", "12345678901234567890"),
        ("so\nmany\n\n7\n\n", "7"),
        ("3:25:00\n", "3 h 25 min"),
        ("1 day, 0:30:00\n", "1 d 30 min"),
        ("09:30:00\n", "09:30:00"),
        ("1.5e-05\n", "0.000015"),
        ("(3+4j)\n", "3+4i"),
        ("(-0-1j)\n", "-0-1i"),
        ("(-8+6.1e-16j)\n", "-8"),
        ("1e+20\n", "1" + "0" * 20),
        ("1e-300\n", "1e-300"),
        ("5\nNone\n", "5"),
        ("None\n", None),
        ("", None),
    ],
)
def test_the_last_line_is_the_answer_as_a_person_writes_it(output: str, answer: str | None) -> None:
    assert printed_answer(output) == answer


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("2,3", "2,3"),
        ("2, 3", "2, 3"),
        ("1,2345", "1,2345"),
        ("1,000", "1000"),
        ("1,234,567.50", "1234567.5"),
        ("1_000", "1000"),
    ],
)
def test_a_comma_belongs_to_a_number_as_in_an_answer_of_prose(output: str, answer: str) -> None:
    assert printed_answer(output) == answer
    in_prose = extract_answer(rf"It is \boxed{{{output}}}.")
    assert in_prose is not None
    assert same_answer(in_prose, answer) == (output != "1_000")  # which prose does not write


@pytest.mark.parametrize(
    "output", ["1" * 5000, f"{'1' * 5000}/3", f"Fraction({'1' * 5000}, 3)", "1" * 5000 + ".5"]
)
def test_a_number_that_no_integer_takes_stays_as_it_is(output: str) -> None:
    assert printed_answer(output) == output


@given(st.text(), st.text())
def test_no_text_breaks_it(text: str, output: str) -> None:
    read_program(text)
    printed_answer(output)


@pytest.mark.parametrize("source", ["x = " + "1+" * 3000 + "1", "x = " + "(" * 3000, "x = [" * 500])
def test_a_program_that_is_nested_too_deeply_is_none_and_ends_nothing(source: str) -> None:
    assert read_program(source) is None


@pytest.mark.parametrize("text", ["```" + " " * 16_000 + "x", "1" * 16_000 + "x"])
def test_a_degenerate_text_is_read_at_once(text: str) -> None:
    def seconds() -> float:
        started = time.process_time()
        read_program(text)
        printed_answer(text)
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 0.05


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("The result of 17 * 23 is: 391", "391"),
        ("Fraction: 3/4", "3/4"),
        ("The ratio is 3:4", "3:4"),
        ("The volume is 1000.0 cubic inches", "1000 cubic inches"),
        ("Jane's grade: 80.0", "80"),
    ],
)
def test_a_label_is_no_part_of_a_value(output: str, answer: str) -> None:
    assert printed_answer(output) == answer


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("[2.0, -0.3333333333333333]", "2, -0.333333333333"),
        ("(2.0, -0.5)", "(2, -0.5)"),
        ("{2, -1}", "2, -1"),
        ("[Fraction(1, 3), Fraction(5, 2)]", "1/3, 5/2"),
        ("['A', 'B']", "A, B"),
        ("2.0 -0.5", "2, -0.5"),
        ("Solutions: [2.0, -0.5]", "2, -0.5"),
        ("x1 = 2.0\nx2 = -0.5", "2, -0.5"),
        ("Root 1: 2.0\nRoot 2: -0.5", "2, -0.5"),
        ("2.0\n-0.5", "-0.5"),
        ("Number of sofas: 38\nNumber of chairs: 72", "72"),
    ],
)
def test_several_solutions_are_one_answer(output: str, answer: str) -> None:
    assert printed_answer(output) == answer


@pytest.mark.parametrize(
    "output",
    ["x = 2, y = 3", "apples: 5, pears: 7", "False", "A: 2 B: 3", "{'x': 2}", "2 apples, 3 pears"],
)  # fmt: skip
def test_what_is_more_than_a_label_and_a_number_stays(output: str) -> None:
    assert printed_answer(output) == output


@pytest.mark.parametrize(
    ("source", "is_computed"),
    [
        ('print("Canberra")', False),
        ("answer = 'Sydney'  # the largest city\nprint(answer)", False),
        ('print(f"It is {18}")', False),
        ("print(17 * 23)", True),
        ("print(sum(range(4)))", True),
        ("n = 91\nprint(all(n % k for k in range(2, n)))", True),
        ("total = 0\nfor n in (1, 2): total += n\nprint(total)", True),
        ("import math\nprint(math.sqrt(2))", True),
    ],
)
def test_a_program_that_prints_what_stands_in_it_computes_nothing(source: str, is_computed: bool) -> None:
    assert computes(source) is is_computed


@pytest.mark.parametrize(
    "printed", ["<function <lambda> at 0x7f00>", "<function '<lambda>' …>", "<__main__.A object at 0x1f>"]
)
def test_an_object_that_was_printed_is_no_answer(printed: str) -> None:
    assert printed_answer(printed) is None
    assert printed_answer(f"18\n{printed}") == "18"
