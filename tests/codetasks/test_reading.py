"""Tests and tasks are read from what a user writes: asserts, test functions, records."""

from __future__ import annotations

import pytest

from adascale.codetasks.reading import read_task, read_tests
from adascale.codetasks.task import CodeTask, CodeTest, Suite, suite_of
from adascale.engine.errors import UsageError


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("assert f(2) == 4", [CodeTest("assert f(2) == 4")]),
        ("assert f(1); assert f(2)", [CodeTest("assert f(1)"), CodeTest("assert f(2)")]),
        ("import math\nassert f() == math.pi", [CodeTest("assert f() == math.pi", "import math")]),
        ("def g(x):\n    return x\nassert f(g)", [CodeTest("assert f(g)", "def g(x):\n    return x")]),
    ],
)
def test_module_level_tests(source: str, tests: list[CodeTest]) -> None:
    assert list(read_tests(source)) == tests


@pytest.mark.parametrize(
    "source",
    [
        "s = Stack()\ns.push(1)\nassert s.pop() == 1\nassert s.empty()",
        "data = [1]\nassert f(data)",
        "x = [1, 2]\nassert f(x) == 3\nx = [4]\nassert f(x) == 4",
        "for n in range(3):\n    assert f(n) == n * n",
        "xs = [3, 1]\nassert f(xs) == [1, 3]\nassert xs == [3, 1]",  # an assert looks at what another changed
        "test_stack = Stack()\ntest_stack.push(1)\nassert test_stack.pop() == 1",
    ],
)
def test_steps_that_use_the_program_or_depend_on_each_other_are_one_scenario(source: str) -> None:
    assert read_tests(f"import math\n{source}") == (CodeTest(source, "import math"),)


def test_a_call_of_a_helper_that_asserts_is_a_test() -> None:
    [test] = read_tests("def check(g):\n    assert g(2) == 4\ncheck(f)")
    assert test == CodeTest("check(f)", "def check(g):\n    assert g(2) == 4")


def test_test_functions_are_tests_and_the_rest_is_their_setup() -> None:
    source = (
        "from prime import is_prime\nSMALL = [2, 3]\n"
        "def test_small():\n    assert all(is_prime(n) for n in SMALL)\n"
        "def test_one():\n    assert not is_prime(1)\n"
        "if __name__ == '__main__':\n    test_small()\n"
    )
    small, one = read_tests(source)
    assert small.source == "def test_small():\n    assert all((is_prime(n) for n in SMALL))\ntest_small()"
    assert one.source.endswith("test_one()")
    assert small.setup == one.setup == "SMALL = [2, 3]"
    assert suite_of([small, one]).entry_point == "is_prime"


@pytest.mark.parametrize(
    ("line", "call", "alias"),
    [
        ("from solution import f", "f(2)", ""),
        ("from __future__ import annotations", "f(2)", ""),
        ("from solution import f as g", "g(2)", "g = f"),
        ("from pytest import approx as near", "f(2, near)", "near = pytest.approx"),
    ],
)
def test_what_the_module_under_test_has_is_asked_of_the_program(line: str, call: str, alias: str) -> None:
    [test] = read_tests(f"{line}\ndef test_f():\n    assert {call} == 4")
    assert test == CodeTest(f"def test_f():\n    assert {call} == 4\ntest_f()", alias)
    assert suite_of([test]).entry_point == "f"


@pytest.mark.parametrize(
    ("source", "message", "fact"),
    [
        ("f(2) = 4", "the test is no Python: .* in line 1", "f(2) = 4"),
        ("is 7 a prime?", "the test is no Python", "is 7 a prime?"),
        ("", "the test has no assert", "it is empty"),
        ("f(2) == 4", "the test has no assert", "f(2) == 4"),
        ("def check(g):\n    assert g(2) == 4", "no assert outside of functions", "def check"),
        ("def test_f(tmp_path):\n    assert f(tmp_path)", "fixtures .* not known", "tmp_path"),
        ("class TestF:\n    def test_f(self):\n        assert f(2)\nassert f(1) == 1", "classes", "TestF"),
        ("async def test_f():\n    assert await f(2) == 4\nassert f(1) == 1", "async tests", "test_f"),
        ("import pytest\n@pytest.mark.parametrize('m', [pytest.param(2, marks=pytest.mark.skip)])\n"
         "def test_f(m):\n    assert f(1) == m", "more of pytest", "pytest"),
        ("import pytest\n@pytest.mark.skip\ndef test_f():\n    assert f(1)", "more of pytest", "mark.skip"),
        ("import pytest\n@pytest.fixture\ndef g():\n    return 1", "more of pytest",
         "pytest.fixture"),
        ("import solution\nassert solution.f(2) == 4", "imports solution as a whole", ""),
        ("import numpy as np\nassert f(np.ones(2)) == 2", "imports numpy, and programs run with", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(source: str, message: str, fact: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read_tests(source)
    assert fact in "".join(error.value.facts)


def test_imports_of_a_task_stand_before_those_of_a_test() -> None:
    [test] = read_tests("import re\nassert f(re, math)", setup="import math")
    assert test.setup == "import math\nimport re"


def test_imports_of_a_task_are_python() -> None:
    with pytest.raises(UsageError, match='the field "imports" is no Python'):
        read_task({"imports": ["import"], "tests": ["assert f(2) == 4"]})


SQUARE = CodeTest("assert f(2) == 4")
CUBE = CodeTest("assert f(3) == 9")


@pytest.mark.parametrize(
    ("record", "task"),
    [
        ({"tests": "assert f(2) == 4"}, CodeTask(Suite((SQUARE,), "f"), Suite())),
        (
            {"tests": ["assert f(2) == 4"], "hidden": ["assert f(3) == 9"], "entry_point": "f"},
            CodeTask(Suite((SQUARE,), "f"), Suite((CUBE,), "f")),
        ),
        ({"hidden": ["assert f(3) == 9"]}, CodeTask(Suite(), Suite((CUBE,), "f"))),
        ({"entry_point": "f"}, CodeTask(Suite((), "f"), Suite((), "f"))),
    ],
)
def test_records(record: dict[str, object], task: CodeTask) -> None:
    assert read_task(record) == task


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tests": 3}, 'the field "tests" is no list of Python sources'),
        ({"tests": ["f("]}, 'a source in the field "tests" is no Python'),
        ({"hidden": ["f"]}, 'a source in the field "hidden" has no assert'),
        ({"tests": ["assert f(2) == 4"], "entry_point": "g"}, 'no test names the entry point "g"'),
        ({"tests": ["assert f(2) == 4"], "entry_point": 3}, 'the field "entry_point" is no text'),
    ],
)
def test_what_is_wrong_in_a_record_is_told(record: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_task(record)


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
        (["assert LIMIT < f(3)"], "f"),
        (["def check(x):\n    assert x == f(1)\ncheck(1)"], "f"),
    ],
)
def test_the_function_that_all_tests_name_is_the_entry_point(sources: list[str], name: str) -> None:
    assert suite_of([CodeTest(source) for source in sources]).entry_point == name


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
