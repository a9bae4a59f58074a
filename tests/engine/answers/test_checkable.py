"""Which messages ask for an answer that can be checked."""

from __future__ import annotations

import pytest

from adascale.engine.answers.checkable import asks_for_answer
from adascale.models.calibration.installed import built_in_questions


@pytest.mark.parametrize(
    "message",
    [
        "What is 17 * 23?",
        "How many legs do six spiders have?",
        "Is 91 prime?",
        "Write 3/4 as a decimal.",
        "Determine the number of ways to arrange the letters of the word BANANA.",
        r"Simplify \sqrt{a^2}",
        "Please tell me how far a train goes in three hours at 80 km/h.",
        "What is the area of a triangle?",
        "Which planet is the largest? (A) Mars (B) Jupiter (C) Earth",
        "Which planet is the largest?\nA) Mars\nB) Jupiter",
        "Which one is a mammal?\nA. trout\nB. whale",
        "Is Paris the capital of France? Answer yes or no.",
        "True or false: whales are fish.",
    ],
)
def test_quantities_and_choices_ask_for_an_answer(message: str) -> None:
    assert asks_for_answer(message)


@pytest.mark.parametrize(
    "message",
    [
        "Hello!",
        "Why?",
        "Who wrote Hamlet?",
        "Vitamin A. is it healthy?",
        "Summarize: (A) Whales are mammals. (B) Trouts are fish.",
        "Why is the sky blue?",
        "Explain Newton's 3 laws.",
        "Give me 3 tips for sleeping better",
        "Hi, can you please write an e-mail to my boss: I am 2 days late",
        "write a python function that adds two numbers",
        "Summarize the following text: In 1999 ...",
        "### Task:\nGenerate a concise, 3-5 word title",
        "",
    ],
)
def test_texts_and_small_talk_do_not(message: str) -> None:
    assert not asks_for_answer(message)


def test_all_questions_that_calibrations_are_fitted_with_do() -> None:
    questions = built_in_questions()
    assert len(questions) == 300
    assert all(asks_for_answer(problem.question) for problem in questions)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("part", ["write a ", "hi, ", "please ", "# ", "\\", "a", "A) "])
def test_a_megabyte_is_read_at_once(part: str) -> None:
    asks_for_answer(part * (1_000_000 // len(part)))
