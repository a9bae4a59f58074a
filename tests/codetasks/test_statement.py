"""What a generator reads of a code task."""

from __future__ import annotations

from adascale.codetasks.asserts import read_tests
from adascale.codetasks.task import CodeTask, Suite, suite_of


def shown(question: str, *sources: str) -> str:
    suite = suite_of([test for source in sources for test in read_tests(source)])
    return CodeTask(suite).statement(question)


def test_given_tests_stand_behind_the_question() -> None:
    assert shown("Square n. ", "assert f(2) == 4", "assert f(3) == 9") == (
        "Square n.\n\nYour code should pass these tests:\nassert f(2) == 4\nassert f(3) == 9"
    )


def test_a_test_that_the_question_shows_stands_there_once() -> None:
    assert shown("Square n: assert f(2) == 4", "assert f(2) == 4") == "Square n: assert f(2) == 4"
    question = 'Join them: assert f(["a","b"])=="ab"'
    assert shown(question, 'assert f(["a", "b"]) == "ab"') == question


def test_of_tests_that_are_too_long_the_name_is_left() -> None:
    assert shown("Square n.", f"assert f(2) == {'4' * 3000}") == "Square n.\n\nName it f."
    assert CodeTask(Suite((), "f")).statement("Square n.") == "Square n.\n\nName it f."
    assert CodeTask().statement("Square n.") == "Square n."
