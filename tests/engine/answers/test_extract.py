"""Finding final answers."""

from __future__ import annotations

import time

import pytest

from adascale.engine.answers.extract import extract_answer, last_boxed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} then \boxed{\frac{1}{2}}", "1/2"),
        (r"\boxed{\text{16 pints}}", "16 pints"),
        (r"\boxed{2\sqrt{3}}", r"2\sqrt{3}"),
        (r"\boxed{\frac{1}{2}x}", r"\frac{1}{2}x"),
        ("The answer is: **25**.", "25"),
        ("Answer: $1,234.50", "1,234.50"),
        ("The answer is (B).", "(B)"),
        ("The answer is 18, because 9 * 2 = 18.", "18"),
        ("I thought the answer is 12, but the answer is 14.", "14"),
        ("the answer is not 12; the answer is 14.", "14"),
        ("9 * 2 = 18\n#### 18", "18"),
        ("First 3.\nShe makes 9 * 2 = $18 every day.", "18"),
        ("So there are 2^10 of them.", "2^10"),
        (r"Its speed is $3 \times 10^{8}$ m/s.", r"3 \times 10^{8}"),
        ("Thus the mass is 1.5e-3 kg.", "1.5e-3"),
        ("The volume is 27 cm^3.", "27"),
        ("It is 3/4 of the cake", "3/4"),
        ("In 1905 there was a light.\nThe sky is blue because of scattering.", None),
        ("", None),
        (r"\boxed{\$18}", "18"),
        (r"\boxed{}", None),
        (r"\boxed{\text{ }}", None),
        (r"I write it in \boxed{}: the answer is 7.", "7"),
        (r"\boxed{18", "18"),
        (r"First \boxed{7}. Check: 3+4 = \boxed{", "7"),
        ("The final answer is:\n\\[\n42\n\\]", "42"),
        ("The answer is:\n-42", "-42"),
        ("The answer is:\n  - 42", "42"),
        ("The answer is - 42.", "- 42"),
        ("The answer is 27!", "27"),
        (r"Answer: \( 5! \)", "5!"),
        ("The answer is:\n```text\n42\n```", "42"),
        ("The answer is 3, 5.", "3, 5"),
        ("She needs 3 1/2 cups.", "3 1/2"),
        ("It is \u22123", "-3"),
        ("The answer isn't 5, it is 6.", "6"),
        ("The answer is not 5.\nSo x = 7", "7"),
        ("**Answer**: $x^2 + 1$", "x^2 + 1"),
        ("The answer to the problem is x^2.", "x^2"),
        ("The answers are 3 and 5.", "3, 5"),
        ("The final answer is $18$. I hope it is correct.", "18"),
        ("The roots are 2 and 3. Their sum is 5.", "5"),
        ("#### Step 2: Add\nShe has 7 apples.", "7"),
        ("The answer is x = 2, y = 3.", "x = 2, y = 3"),
        ("The answer is A, C, and that is all.", "A, C"),
        (r"The answer is $\frac{1}{2}, \frac{3}{4}$", "1/2, 3/4"),
        ("The answer is **18**, because 9 * 2 = 18.", "18"),
        (r"So $x = 2\frac{1}{2}$.", "2 1/2"),
        ("The time is 3:45 PM.", "3:45 PM"),
        ("She leaves at 9:05 and arrives at 11:30 a.m", "11:30 a.m"),
        ("The scale is 1:50,000", "1:50,000"),
        ("They are mixed $3 : 2 : 1.5$.", "3 : 2 : 1.5"),
        ("Total:5", "5"),
    ],
)
def test_extract(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The solutions are $x = 2$ and $x = -1/3$.", "2, -1/3"),
        ("Therefore, the solutions to x^2 = 9 are 3 and -3. I hope this helps!", "3, -3"),
        ("So, the roots are:\n\\[ x = 2 \\]\n\\[ x = -\\frac{1}{3} \\]", "2, -1/3"),
        ("x^2 = 9, so x = 3 or x = -3.", "3, -3"),
        ("Thus, x = 2 or x = 3 (both valid).", "2, 3"),
        ("x = 2 and x = 3 are the solutions.", "2, 3"),
        (r"\boxed{\{2, 3\}}", "{2, 3}"),
        ("So x₁ = 2, x₂ = -1/3", "2, -1/3"),
        (
            r"So \(x = \frac{5 + 7}{6} = 2 \quad \text{or} \quad x = \frac{5 - 7}{6} = -\frac{1}{3}\)",
            "2, -1/3",
        ),
        (r"\(x = \boxed{2}\) or \(x = \boxed{-\frac{1}{3}}\)", "2, -1/3"),
        (r"The answers are \boxed{2} and \boxed{3}.", "2, 3"),
        (r"\boxed{x = 2 \text{ or } x = -\frac{1}{3}}", "2, -1/3"),
        (r"\boxed{x_1 = \sqrt{2}, x_2 = -\sqrt{2}}", r"\sqrt{2}, -\sqrt{2}"),
        ("The first root is 5 and the second root is 7.", "5, 7"),
        (r"Therefore, \(x = \pm 3\).", "± 3"),
        ("Die Lösungen sind x = 2 und x = 3.", "2, 3"),
        ("Las soluciones son x = 2 y x = 3.", "2, 3"),
    ],
)
def test_several_solutions_are_one_answer(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The speed is 60 km/h and the time is 3 hours.", "3"),
        ("She buys 5 apples and 3 pears.", "3"),
        ("The answer is x = 2 and y = 3.", "x = 2 and y = 3"),
        (r"She had \boxed{60}.\nThen \boxed{3} are left.", "3"),
        (r"\(x = \boxed{2}\) and \(y = \boxed{3}\)", "3"),
        ("The answer is (2, 3).", "(2, 3)"),
    ],
)
def test_values_of_different_things_are_no_solutions(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The film ends at 22:32.", "22:32"),
        ("The answer is: February 2028 has 29 days.", "29 days"),
        (r"\boxed{\text{The film ends at 22:32}}", "22:32"),
        (r"\boxed{28 \text{ days}}", "28 days"),
        (r"\boxed{\text{It takes 1 hour and 30 minutes}}", "1 hour and 30 minutes"),
        ("Final answer: the trip takes 28 days.", "28 days"),
        ("Answer: The chance is 25%.", "25%"),
        ("It takes 1 hour and 30 minutes.", "1 hour and 30 minutes"),
        ("March 14, 2024, was a Thursday.", "Thursday"),
        ("Therefore, it will be **Friday** in 100 days.", "Friday"),
        ("If today is Wednesday, it is Friday in 100 days.", "Friday"),
        ("Der 14. März 2024 war ein Donnerstag.", "Donnerstag"),
        ("So 30 days after March 12, 2025 is April 11, 2025.", "April 11, 2025"),
        ("She is 35 years old on 1 July 2026.", "35"),
        ("The bus leaves at 9.30 Uhr", "9.30 Uhr"),
        ("Das kostet 2,10 Euro.", "2,10"),
        ("The carpet is 15.7 m^2", "15.7"),
        ("It's Thursday.", "Thursday"),
        ("Das Datum ist der 11. April 2025.", "11. April 2025"),
        ("9.9 is larger than 9.11.", "9.9"),
        ("3. Therefore she has some apples.", None),
        (r"\boxed{\text{She makes } \$18 \text{ every day}}", "18"),
        ("The answer is: The chance is 1/2, as heads and tails are alike.", "1/2"),
        ("The answer is: So Tom needs 2 1/2 cups", "2 1/2"),
    ],
)
def test_the_value_in_a_sentence_is_the_answer(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


def test_boxes_are_balanced() -> None:
    assert last_boxed(r"\boxed{a{b}c}d}") == "a{b}c"
    assert last_boxed("no box") is None


@pytest.mark.parametrize(
    "text",
    [
        "the answer is a" + " " * 16_000 + "b c",
        "the answer is" + " *" * 8_000,
        "answer" + " " * 16_000 + "none",
        "####" + " " * 16_000 + "a" + " " * 16_000 + "\nb",
        "the answer is (" + "a, " * 8_000,
        "the roots are " * 1_200 + ". a",
        r"\boxed{" * 2_300,
        r"\boxed{" + "{}" * 8_000,
        "{" * 16_000 + r"\boxed{1",
        "1" * 16_000,
        "1:" * 8_000,
        "1 : " * 4_000,
        "1:1x" * 4_000,
        "it is " + "a " * 8_000,
        "it is" + " *" * 8_000,
        "1 h 1 h, " * 2_000 + "x",
        "x = 1, " * 2_000 + "y",
        "a = " * 4_000,
        "solutions are " * 1_000,
        r"\boxed{1} or " * 1_200,
    ],
)
def test_a_degenerate_text_is_read_at_once(text: str) -> None:
    def seconds() -> float:
        started = time.process_time()
        extract_answer(text)
        return time.process_time() - started

    # The least of some: a collection of garbage may fall into any one of them.
    assert min(seconds() for _ in range(5)) < 0.05
