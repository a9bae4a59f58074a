"""Tests are read from what a user writes: asserts, comparisons, test functions, classes."""

from __future__ import annotations

import pytest

from adascale.codetasks.reading import read_tests
from adascale.codetasks.task import CodeTest, suite_of
from adascale.engine.errors import UsageError


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("assert f(2) == 4", [CodeTest("assert f(2) == 4")]),
        ("f(2) == 4", [CodeTest("assert f(2) == 4")]),
        ("not f(2)", [CodeTest("assert not f(2)")]),
        ("f(2) and f(3)", [CodeTest("assert f(2) and f(3)")]),
        ("assert f(1); assert f(2)", [CodeTest("assert f(1)"), CodeTest("assert f(2)")]),
        ("import math\nassert f() == math.pi", [CodeTest("assert f() == math.pi", "import math")]),
        ("data = [1]\nassert f(data)", [CodeTest("assert f(data)", "data = [1]")]),
    ],
)
def test_module_level_tests(source: str, tests: list[CodeTest]) -> None:
    assert list(read_tests(source)) == tests


@pytest.mark.parametrize(
    "source",
    [
        "s = Stack()\ns.push(1)\nassert s.pop() == 1\nassert s.empty()",
        "x = [1, 2]\nassert f(x) == 3\nx = [4]\nassert f(x) == 4",
        "for n in range(3):\n    assert f(n) == n * n",
        "xs = [3, 1]\nassert f(xs) == [1, 3]\nassert xs == [3, 1]",  # an assert looks at what another changed
        "print(f(2))\nassert f(1)",
        "with pytest.raises(ValueError):\n    f(2)",
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
        ("from .solution import f", "f(2)", ""),
        ("from solution import *", "f(2)", ""),
        ("from __future__ import annotations", "f(2)", ""),
        ("import solution", "solution.f(2)", ""),
        ("import my.solution as s", "s.f(2)", ""),
        ("from solution import f as g", "g(2)", "g = f"),
        ("import pytest as t", "f(2, t.approx)", "t = pytest"),
        ("from pytest import approx as near", "f(2, near)", "near = pytest.approx"),
    ],
)
def test_what_the_module_under_test_has_is_asked_of_the_program(line: str, call: str, alias: str) -> None:
    [test] = read_tests(f"{line}\ndef test_f():\n    assert {call} == 4")
    asked = call.removeprefix("solution.").removeprefix("s.")
    assert test == CodeTest(f"def test_f():\n    assert {asked} == 4\ntest_f()", alias)
    assert suite_of([test]).entry_point == "f"


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("class TestF:\n    def test_a(self):\n        f(1)\n    def help(self): pass", "TestF().test_a()"),
        ("class TestF:\n    @pytest.mark.parametrize('n', [1])\n    def test_a(self, n):\n        f(n)",
         "TestF().test_a()"),
        ("class TestF:\n    def setup_method(self, m):\n        pass\n    def test_a(self):\n        f(1)",
         "case = TestF()\ncase.setup_method(None)\ncase.test_a()"),
        ("import unittest\nclass F(unittest.TestCase):\n    def test_a(self): f(1)\nunittest.main()",
         "F('test_a').debug()"),
    ],
)  # fmt: skip
def test_classes_run_each_test_on_an_object_of_its_own(source: str, calls: str) -> None:
    [test] = read_tests(source)
    assert test.source.endswith(f"\n{calls}")


@pytest.mark.parametrize(
    ("source", "message", "fact"),
    [
        ("f(2) = 4", "the test is no Python: .* in line 1", "f(2) = 4"),
        ("is 7 a prime?", "the test is no Python", "is 7 a prime?"),
        ("", "the test has no assert", "it is empty"),
        ("def f():\n    pass", "the test has no assert", "def f():\n    pass"),
        ("f(2)", "the test has no assert", "f(2)"),
        ("def check(g):\n    assert g(2) == 4", "no assert outside of functions", "def check"),
        ("def test_f(tmp_path):\n    assert f(tmp_path)", "test_f takes arguments", "fixtures"),
        ("def test_f(*, tmp_path):\n    assert f(tmp_path)", "test_f takes arguments", "fixtures"),
        ("class TestF:\n    def test_a(self, tmp_path):\n        f(tmp_path)", "TestF.test_a", "fixtures"),
        ("import pytest\n@pytest.mark.parametrize('m', [pytest.param(2, marks=pytest.mark.skip)])\n"
         "def test_f(m):\n    assert f(1) == m", "more of pytest", "pytest"),
        ("import pytest\n@pytest.mark.skip\ndef test_f():\n    assert f(1)", "more of pytest", "mark.skip"),
        ("import pytest\n@pytest.fixture\ndef g():\n    return 1", "more of pytest",
         "pytest.fixture"),
        ("from pytest import fixture\nassert f(2)", "more of pytest", "fixture"),
        ("async def test_f():\n    assert await f(2) == 4", "test_f is async", ""),
        ("assert f(2)\nclass TestF:\n    async def test_a(self):\n        assert await f(2)",
         "test_a is async", ""),
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
