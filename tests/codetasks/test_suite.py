"""A suite knows its entry point, and refuses tests that say nothing about a program."""

from __future__ import annotations

import pytest

from adascale.codetasks.task import CodeTest, Suite, suite_of
from adascale.engine.errors import UsageError


def entry_point(*sources: str) -> str:
    return suite_of([CodeTest(source) for source in sources]).entry_point


def test_a_function_may_be_named_as_a_builtin_where_the_task_says_so() -> None:
    test = CodeTest("assert sum(10, 15) == 6")
    assert suite_of([test], "sum").entry_point == "sum"
    with pytest.raises(UsageError, match="names nothing"):
        suite_of([test])
    with pytest.raises(UsageError, match="names nothing"):
        suite_of([test], "f")


def test_the_function_that_all_tests_name_is_the_entry_point() -> None:
    assert entry_point("assert f(2) == 4") == "f"
    assert entry_point("assert abs(f(2) - 4) < 1e-6") == "f"
    assert entry_point("assert push(f(), 1) == 1", "assert f() == 0") == "f"
    assert entry_point("assert f(1) == 1", "assert g(1) == 1") == "f"
    assert entry_point("assert LIMIT < f(3)") == "f"
    assert entry_point("assert list(map(f, [1])) == [2]") == "f"
    assert entry_point("assert Stack().pop() is None") == "Stack"


def test_modules_that_a_test_forgot_are_imported() -> None:
    suite = suite_of([CodeTest("assert math.isclose(f(2), 4)"), CodeTest("assert string(1)")], "f")
    assert suite.tests[0] == CodeTest("assert math.isclose(f(2), 4)", "import math")
    assert suite.tests[1].setup == ""


def test_a_copy_counts_once() -> None:
    test = CodeTest("assert f(1) == 1")
    assert suite_of([test, CodeTest("assert g(1)"), CodeTest("assert f(1)==1  # again")]).tests == (
        test,
        CodeTest("assert g(1)"),
    )


def test_helpers_of_a_test_are_no_entry_point() -> None:
    helper = "def check(x):\n    assert x == f(1)"
    assert suite_of([CodeTest("check(1)", helper)]).entry_point == "f"


def test_no_tests_are_a_suite() -> None:
    assert suite_of([]) == Suite()
    assert suite_of([], "f") == Suite((), "f")


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
