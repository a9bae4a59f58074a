"""Comparing answers."""

from __future__ import annotations

import threading

import pytest

from adascale.engine.answers.equality import is_right, same_answer


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("18", "18.0"),
        ("$18", "18 dollars"),
        ("1,000", "1000"),
        ("1/2", r"\frac{1}{2}"),
        (r"\dfrac12", r"\frac{1}{2}"),
        ("0.5", r"\frac{1}{2}"),
        ("x = 3", "3"),
        ("50\\%", "50%"),
        (r"\text{Yes}", "yes"),
        ("(B)", "b"),
        ("B) 12 apples", "(B)"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        ("(1,2)", "(1, 2)"),
        (r"\{1,2\}", r"\{2,1\}"),
        ("10cm", "10"),
        (r"10\text{cm}", "10 cm"),
        ("5 million", "5,000,000"),
        ("2 dozen eggs", "24"),
        ("1 1/2", "1.5"),
        (r"-2\frac{1}{2}", "-2.5"),
        ("5 - 3 = 2", "2"),
        ("12 square feet", "12"),
    ],
)
def test_same(a: str, b: str) -> None:
    assert same_answer(a, b)
    assert same_answer(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("18", "19"),
        ("1/2", "1/3"),
        ("(1,2)", "(2,1)"),
        ("yes", "no"),
        ("(A)", "(B)"),
        (r"\sqrt{2}", "2"),
        ("18", "cats"),
        ("1/0", "0"),
        ("2x", "2"),
        ("2 x", "2"),
        ("5i", "5"),
        (r"2\pi", "2"),
        ("5 million", "5"),
        ("y = 2x", "2"),
        ("x >= 3", "x <= 3"),
        ("x >= 3", "3"),
        ("3, 5", "3, 7"),
        ("D", "d = 5"),
        ("A", "A and B"),
        ("a", "a cat"),
    ],
)
def test_different(a: str, b: str) -> None:
    assert not same_answer(a, b)
    assert not same_answer(b, a)


@pytest.mark.parametrize("odd", ["\\frac{1}{", "}{", "\\", "^^^", "1" * 5000, "=" * 50, "9" + "^9" * 40])
def test_odd_input_is_no_crash(odd: str) -> None:
    assert same_answer(odd, odd)
    assert not same_answer(odd, "42")


def test_it_works_outside_the_main_thread_and_ends() -> None:
    found: list[bool] = []
    pairs = [(r"2\sqrt{3}", r"\sqrt{12}"), ("9^{9^{9}}", "1+x")]
    thread = threading.Thread(target=lambda: found.extend(same_answer(*pair) for pair in pairs))
    thread.start()
    thread.join(20)
    assert found == [True, False]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("1 < x < 2", "(1,2)"),
        (r"1 \le x \le 2", "[1,2]"),
    ],
)
def test_an_interval_answers_for_a_gold_inequality_and_not_the_other_way_round(
    gold: str, answer: str
) -> None:
    assert is_right(answer, gold=gold)
    assert not is_right(gold, gold=answer)
    assert same_answer(gold, answer)
    assert same_answer(answer, gold)


def test_no_answer_is_never_right() -> None:
    assert not is_right(None, gold="18")
