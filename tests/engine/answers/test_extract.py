"""Finding final answers and comparing them."""

from __future__ import annotations

import threading

import pytest

from adascale.engine.answers.extract import extract_answer, last_boxed, same_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{18}.", "18"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\text{16 pints}}", r"\text{16 pints}"),
        ("The final answer is 16 pints", "16 pints"),
        ("The answer is: **25**.", "25"),
        ("Answer: $1,234.50", "1,234.50"),
        ("The answer is (B).", "(B)"),
        (r"The final answer is \(18\).", "18"),
        ("The answer is 18, because 9 * 2 = 18.", "18"),
        ("9 * 2 = 18\n#### 18", "18"),
        ("First 3.\nShe makes 9 * 2 = $18 every day.", "18"),
        ("It is 3/4 of the cake", "3/4"),
        ("The sum is -7", "-7"),
        ("In 1905 there was a light.\nThe sky is blue because of scattering.", None),
        ("", None),
        (r"\boxed{\$18}", "18"),
        (r"\boxed{}", None),
        (r"\boxed{18", "18"),
        (r"First \boxed{7}. Check: 3+4 = \boxed{", "7"),
        ("The final answer is:\n\\[\n42\n\\]", "42"),
        ("The answer is:\n\n$$\n42\n$$", "42"),
        ("The answer is:\n```text\n42\n```", "42"),
        ("It follows that\n$$\n42\n$$", "42"),
        ("The answer is 3, 5.", "3, 5"),
        ("She needs 3 1/2 cups.", "3 1/2"),
        ("It is \u22123", "-3"),
    ],
)
def test_extract(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


def test_boxes_are_balanced() -> None:
    assert last_boxed(r"\boxed{a{b}c}d}") == "a{b}c"
    assert last_boxed("no box") is None


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
