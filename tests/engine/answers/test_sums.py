"""Sums that are done over: what is read, what is let pass, and what is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.answers.sums import equations, leaves_out, wrong_sums
from adascale.engine.types import Problem, Step


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("39 + 10 = 59", [False]),
        (r"So \(12 \times 5 = 50\).", [False]),
        (r"\[ 82 - 59 = 23 \]", [True]),
        (r"\frac{111}{9} = 13.11", [False]),
        (r"\frac{10}{3} = 3.33", [True]),
        (r"2^{10} = 1024, 2^{3} = 1 \cdot 2 \cdots 8", [True]),
        ("0.1 + 0.2 = 0.30000000000000004", [True]),
        ("100 / 3 = 33", [True]),  # to whole numbers
        ("$1,200 + $300 = $1,600.", [False]),
        ("3 apples + 4 apples = 8 apples", [False]),
        (r"60 \text{ meters} - 106 \text{ meters} = -46 \text{ meters}", [True]),
        ("x = 3 * 4 = 12 = 2 * 5", [True, False]),
        ("- Monday: 5 + 6 = 11\n- Tuesday: 5 + 7 = 13", [True, False]),
        ("**Total:** 3 + 4 = 8", [False]),
        ("(3 + 4) * 2 = 14, so 2^3 = 9", [True, False]),
        ("1 - 0.25 = 0.75 = 75%", [True]),
        (r"24 \times \frac{2}{3} = 24 \times 0.667 = 16", [True]),
        (r"\frac{10}{15} \times 24 = \frac{4}{3} \times 24 = 32", [False, True]),
        (r"4 \text{ cm} \times 5 \text{ cm} = 21 \text{ cm}^2", [False]),
        (r"25 / \frac{1}{3} = 75, 100 / 10/2 = 5, 25 \div \frac13 = 7", [True, True, False]),
        ("3 x 4 = 13, so 2 x 13 = 26", [False, True]),
        ("It is 12 in base 5. We add 3 + 4 = 8", [False]),
        ("In base 10 it is 5 + 7 = 13", [False]),
    ],
)
def test_sums_of_numbers_are_done_over(text: str, holds: list[bool]) -> None:
    assert [right for _, right in equations(text)] == holds


@pytest.mark.parametrize(
    "text",
    [
        "2x + 3 = 7", "12 = 3 * x", "12x = 4 * 3 = 12y", "5 + 3 = 9 - x", "f(3 + 1) = 16", "x_1 + 2 = 5",
        r"\sqrt{9 + 16} = 5", r"3 \pm 2 = 5", "half of 10 + 4 = 9", "20% of 50 = 10", "3 * 4 = 12%",
        r"15/25=\boxed{60} percent",
        "2(3) = 7", "3! + 1 = 8", "5 - 3 <= 1", "4 + 4 != 9", "x == 3 + 4", "3 + 4 = ", "a = 5", "7 = 8",
        "2 x + 3 = 7", "2 + 3 = 9 x", "0x10 = 16", "so 14 minus 1, - 1 = 13",
        "12:30 + 2 = 14", "3 + 4 = 2\\pi", "17 mod 5 + 1 = 3", "1 / 0 = 5", "-5^2 = 25", "007 + 1 = 9",
        r"1 \text{ yd}^3 = 27 \text{ ft}^3", "1 hour + 30 minutes = 90 minutes",
        "tax on the first $500 = 0.10 * $400", "9^9^9^9^9 = 1", "no sum at all", "",
        "10 + 5 = 3 mod 12", "10 + 5 = 3 modulo 12", "7 + 8 = 3 in Z12", "101 + 11 = 1000 in binary",
        "log 100 + 1 = 3", "the sin 30 + 1 = 1.5", "twice 5 + 1 = 11", "double 5 + 1 = 11", "Half 10 + 1 = 6",
        "square 3 + 1 = 10", "negative 3 + 5 = 2", "3 squared + 4 squared = 25", "50 percent * 10 = 5",
        "factorial(5) = 5 * 4 * 3 * 2 * 1 = 120", "Area(3) = 9", "1 dozen * 3 = 36",
        "2 thousand + 500 = 2500",
        "12 + 1 = 1 o'clock", "11 + 3 = 2 PM", "11 + 3 = 2 p.m.", r"11 + 3 = 2 \text{ PM}",
    ],
)  # fmt: skip
def test_what_is_no_plain_sum_is_left_alone(text: str) -> None:
    assert not list(equations(text))


@given(st.integers(-999, 999), st.integers(1, 999), st.sampled_from("+-*/"), st.integers(1, 50))
def test_a_right_sum_is_never_wrong_and_a_wrong_one_always_is(a: int, b: int, op: str, off: int) -> None:
    exact = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[op]
    right = str(exact) if op != "/" else f"{exact:.3f}"
    wrong = str(exact + off) if op != "/" else f"{exact + off:.3f}"
    for form in ("{} {} {} = {}", r"We get \[ {} {} {} = {} \]", "Total = {} {} {} = {}."):
        assert wrong_sums(form.format(a, op, b, right)) == ()
        assert wrong_sums(form.format(a, op, b, wrong)) == (f"{a} {op} {b} = {wrong}",)


def test_a_sum_that_is_asked_about_is_not_wrong() -> None:
    text = "Tom says that 7 * 8 = 54. It is not: 7 * 8 = 57."
    assert wrong_sums(text) == ("7 * 8 = 54", "7 * 8 = 57")
    assert wrong_sums(text, "Is 7 * 8 = 54?") == ("7 * 8 = 57",)


@pytest.mark.parametrize(
    ("question", "solution", "unused"),
    [
        ("3 people, car 174, fuel 48: the share?", "print((174 + 48) / 3)", False),
        ("3 people, car 174, fuel 48: the share?", "print(174 / 3)", True),
        ("3 people, car 174, fuel 48: the share?", "# fuel 48\nprint(174 / 3)", True),
        ("3 people, car 174, fuel 48: the share?", "fuel = 48\nprint(174 / 3)", True),
        ("3 people, car 174, fuel 48: the share?", "fuel = 48\nprint((174 + fuel) / 3)", False),
        ("80 less 25 %?", "80 * 0.75 = 60", False),
        ("The sum of 1,200 and 0.5?", "1200 + 0.50 = 1200.5", False),
        ("2,80 Euro das Kilo: 750 Gramm?", "2.80 * 750 / 1000 = 2.1", False),
        ("1 of two", "2 - 1 = 1, the other", False),
        ("A fair since 1925, of 14 days.\n\nWhat do 2 tickets of 7 cost?", "2 * 7 = 14", False),
        ("9" * 5000, "9" * 5000, False),
    ],
)
def test_a_solution_leaves_out_a_number(question: str, solution: str, unused: bool) -> None:
    assert leaves_out(Problem("p", question), [Step(solution, (), None, "stop")]) is unused
    assert not leaves_out(Problem("p", question, kind="fact"), [])


@given(st.text(alphabet="0123456789+-*/()=.^ \\{}fracx$,\n", max_size=200))
def test_whatever_is_written_is_read(text: str) -> None:
    list(equations(text))


@pytest.mark.parametrize(
    "text",
    [
        "the answer is a" + " " * 16_000 + "b c",
        "a" + "\n" * 16_000 + "b",
        "a" + " \n" * 8_000 + "b",
        "\\[" * 8_000,
        "\x01" * 16_000,
    ],
)
def test_endless_white_space_is_read_at_once(text: str) -> None:
    started = time.process_time()
    assert not list(equations(text))
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "text", ["1 " * 4000, "(" * 4000 + "=", "1+" * 2000 + "1=2", "^9" * 2000 + "= 1", "a = 1 \n" * 4000]
)
def test_long_steps_take_no_time(text: str) -> None:
    started = time.process_time()
    list(equations(text))
    leaves_out(Problem("p", "7"), [Step(text, (), None, "stop")])
    assert time.process_time() - started < 0.5
