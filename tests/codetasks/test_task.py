"""A record with tests is a code task: its suites, their entry point, and what a generator reads of it."""

from __future__ import annotations

import pytest

from adascale.codetasks.reading import read_task, read_tests
from adascale.codetasks.task import CodeTask, CodeTest, Suite, suite_of
from adascale.engine.errors import UsageError

SQUARE = CodeTest("assert f(2) == 4")
CUBE = CodeTest("assert f(3) == 9")


@pytest.mark.parametrize(
    ("question", "record", "task"),
    [
        ("", {"tests": "f(2) == 4"}, CodeTask(Suite((SQUARE,), "f"), Suite())),
        (
            "",
            {"tests": ["f(2) == 4"], "hidden": ["f(3) == 9"], "entry_point": "f"},
            CodeTask(Suite((SQUARE,), "f"), Suite((CUBE,), "f")),
        ),
        ("", {"hidden": ["f(3) == 9"]}, CodeTask(Suite(), Suite((CUBE,), "f"))),
        ("g(2) -> 3\nf(2) -> 4", {"entry_point": "f"}, CodeTask(Suite((SQUARE,), "f"), Suite((), "f"))),
        ("f(2) -> 4", {"tests": ["f(3) == 9"]}, CodeTask(Suite((CUBE,), "f"), Suite())),
        ("", {"entry_point": "f"}, CodeTask(Suite((), "f"), Suite((), "f"))),
    ],
)
def test_records(question: str, record: dict[str, object], task: CodeTask) -> None:
    assert read_task(question, record) == task


def test_imports_stand_before_every_test() -> None:
    task = read_task(
        "", {"tests": ["f(2) == 4"], "hidden": ["f(3) == 9"], "imports": ["import re", "import os"]}
    )
    assert task.given.tests[0].setup == task.hidden.tests[0].setup == "import re\nimport os"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tests": 3}, 'the field "tests" is no list of Python sources'),
        ({"tests": ["f("]}, 'a source in the field "tests" is no Python'),
        ({"hidden": ["f"]}, 'a source in the field "hidden" has no assert'),
        ({"tests": ["f(2) == 4"], "entry_point": "g"}, 'no test names the entry point "g"'),
        ({"tests": ["f(2) == 4"], "entry_point": 3}, 'the field "entry_point" is no text'),
    ],
)
def test_what_is_wrong_in_a_record_is_told(record: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_task("", record)


def test_a_function_may_be_named_as_a_builtin_where_the_task_says_so() -> None:
    test = CodeTest("assert sum(10, 15) == 6")
    assert suite_of([test], "sum").entry_point == "sum"
    with pytest.raises(UsageError, match="names nothing"):
        suite_of([test])
    with pytest.raises(UsageError, match="names nothing"):
        suite_of([test], "f")


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (["assert abs(f(2) - 4) < 1e-6"], "f"),
        (["assert push(f(), 1) == 1", "assert f() == 0"], "f"),
        (["assert f(1) == 1", "assert g(1) == 1"], "f"),
        (["assert LIMIT < f(3)"], "f"),
        (["assert list(map(f, [1])) == [2]"], "f"),
        (["assert Stack().pop() is None"], "Stack"),
        (["def check(x):\n    assert x == f(1)\ncheck(1)"], "f"),
    ],
)
def test_the_function_that_all_tests_name_is_the_entry_point(sources: list[str], name: str) -> None:
    assert suite_of([CodeTest(source) for source in sources]).entry_point == name


def test_modules_that_a_test_forgot_are_imported() -> None:
    suite = suite_of([CodeTest("assert math.isclose(f(2), 4)"), CodeTest("assert string(1)")], "f")
    assert suite.tests[0] == CodeTest("assert math.isclose(f(2), 4)", "import math")
    assert suite.tests[1].setup == ""


def test_a_copy_counts_once() -> None:
    assert suite_of([SQUARE, CUBE, SQUARE]).tests == (SQUARE, CUBE)


@pytest.mark.parametrize(
    "source", ["assert 1 == 2", "assert abs(-1) == 1", "import math\nassert math.pi > 3"]
)
def test_a_test_that_names_nothing_of_the_program_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match="names nothing that a program could define") as error:
        suite_of([CodeTest("assert f(1) == 1"), CodeTest(source)])
    assert error.value.facts == (source,)
    assert "assert f(2) == 4" in error.value.hint


def test_an_entry_point_that_no_test_names_is_refused() -> None:
    tests = [CodeTest("assert f(1) == 1"), CodeTest("assert g(1) == 1")]
    assert suite_of(tests, "g").entry_point == "g"
    with pytest.raises(UsageError, match='no test names the entry point "h"') as error:
        suite_of(tests, "h")
    assert error.value.facts == ("they name: f, g",)


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
