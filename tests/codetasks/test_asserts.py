"""Tests are read from what a user writes: asserts, comparisons, test functions, classes."""

from __future__ import annotations

import pytest

from adascale.codetasks.asserts import read_tests
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
        ("print(f(2))\nassert f(1)", [CodeTest("assert f(1)")]),
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
        "s = Stack()\nprint(s.push(1))\nassert s.pop() == 1",
        "test_stack = Stack()\ntest_stack.push(1)\nassert test_stack.pop() == 1",
    ],
)
def test_steps_that_use_the_program_or_depend_on_each_other_are_one_scenario(source: str) -> None:
    assert read_tests(f"import math\n{source}") == (CodeTest(source, "import math"),)


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
    "line",
    ["from solution import f", "from .solution import f", "import solution", "import my.solution as s",
     "from solution import g as f", "from solution import *", "from . import solution",
     "from app import solution as s"],
)  # fmt: skip
def test_what_the_module_under_test_has_is_asked_of_the_program(line: str) -> None:
    calls = {"import solution": "solution.f(2)", "import my.solution as s": "s.f(2)"}
    calls |= {"from . import solution": "solution.f(2)", "from app import solution as s": "s.f(2)"}
    call = calls.get(line, "f(2)")
    [test] = read_tests(f"{line}\ndef test_f():\n    assert {call} == 4")
    name = "g" if " g as " in line else "f"
    assert test == CodeTest(f"def test_f():\n    assert {name}(2) == 4\ntest_f()")


def test_classes_run_each_test_on_an_object_of_its_own() -> None:
    plain = "class TestF:\n    def test_a(self):\n        assert f(1) == 1\n    def help(self):\n        pass"
    assert [test.source for test in read_tests(plain)] == ["TestF().test_a()"]
    rows = "    @pytest.mark.parametrize('n', [1, 2])\n    def test_a(self, n):\n        assert f(n)"
    rows = f"import pytest\nclass TestF:\n{rows}"
    assert [test.source for test in read_tests(rows)] == ["TestF().test_a()"]
    case = "import unittest\nclass TestF(unittest.TestCase):\n    def test_a(self): f(1)\nunittest.main()"
    assert [test.source for test in read_tests(case)] == ["TestF('test_a').debug()"]


def test_each_row_of_parameters_is_a_test() -> None:
    source = (
        "import pytest\n"
        "@pytest.mark.parametrize('n, expected', [(1, 1), (2, 4)])\n"
        "def test_square(n, expected):\n    assert f(n) == pytest.approx(expected)\n"
        "@pytest.mark.parametrize('n', [-1, -2])\n"
        "def test_negative(n):\n    with pytest.raises(ValueError):\n        f(n)\n"
    )
    tests = read_tests(source)
    assert [test.source.split("\n")[-1] for test in tests] == [
        "test_square(n=1, expected=1)", "test_square(n=2, expected=4)",
        "test_negative(n=-1)", "test_negative(n=-2)",
    ]  # fmt: skip


def test_a_row_may_be_a_pytest_param() -> None:
    rows = "[pytest.param(2, 4, id='two'), (3, 9)]"
    pairs = (
        f"import pytest\n@pytest.mark.parametrize('n, m', {rows})\ndef test_f(n, m):\n    assert f(n) == m"
    )
    single = (
        "import pytest\n@pytest.mark.parametrize('n', [pytest.param(2)])\ndef test_f(n):\n    assert f(n)"
    )
    calls = [test.source.split("\n")[-1] for test in (*read_tests(pairs), *read_tests(single))]
    assert calls == [
        "test_f(n=2, m=4)", "test_f(n=3, m=9)", "test_f(n=2)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "row", "call"),
    [
        ("'m, n'", "(9, 3)", "test_f(m=9, n=3)"),
        ("('m', 'n')", "[9, 3]", "test_f(m=9, n=3)"),
        ("'m,n'", "ROW", "test_f()"),
        ("'m,n'", "(*ROW, 3)", "test_f()"),
        ("'n'", "(9, 3)", "test_f(n=(9, 3))"),
        ("'n,'", "(9, 3)", "test_f(n=(9, 3))"),
        ("['n']", "(9,)", "test_f(n=9)"),
        ("5", "(9,)", "test_f()"),
        ("'n-1, m'", "(9, 3)", "test_f()"),
        ("['n', m]", "(9, 3)", "test_f()"),
    ],
)
def test_parameters_go_by_their_names(names: str, row: str, call: str) -> None:
    rows = f"import pytest\n@pytest.mark.parametrize({names}, [{row}])\n"
    source = f"{rows}def test_f(n, m=0):\n    assert f(n) == m"
    [test] = read_tests(source)
    assert test.source.split("\n")[-1] == call


def test_a_variable_may_be_named_mark() -> None:
    [test] = read_tests("def test_f():\n    for mark in f():\n        assert mark.value == 2")
    assert "mark.value == 2" in test.source


@pytest.mark.parametrize(
    ("source", "message", "fact"),
    [
        ("f(2) = 4", "the test is no Python: .* in line 1", "f(2) = 4"),
        ("is 7 a prime?", "the test is no Python", "is 7 a prime?"),
        ("", "the test has no assert", "it is empty"),
        ("def f():\n    pass", "the test has no assert", "def f():\n    pass"),
        ("f(2)", "the test has no assert", "f(2)"),
        ("import pytest\n@pytest.mark.parametrize('n', [])\ndef test_f(n):\n    f(n)", "no assert", ""),
        ("def check(g):\n    assert g(2) == 4", "asserts in check, which nothing calls", ""),
        ("def test_f(tmp_path):\n    assert f(tmp_path)", "test_f takes arguments", "fixtures"),
        ("def test_f(*, tmp_path):\n    assert f(tmp_path)", "test_f takes arguments", "fixtures"),
        ("class TestF:\n    def test_a(self, tmp_path):\n        f(tmp_path)", "TestF.test_a", "fixtures"),
        ("import pytest\n@pytest.mark.parametrize('m', [pytest.param(2, marks=pytest.mark.skip)])\n"
         "def test_f(m):\n    assert f(1) == m", "more of pytest", "pytest"),
        ("import pytest\n@pytest.mark.skip\ndef test_f():\n    assert f(1)", "more of pytest", "mark.skip"),
        ("from pytest import mark as m\n@m.skip\ndef test_f():\n    f(1)", "more of pytest", "mark.skip"),
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


MAKE = "def make(n):\n    assert n > 0\n    return [n]\nDATA = make(3)\n"


def test_a_helper_that_asserts_nothing_of_the_program_is_no_test() -> None:
    [test] = read_tests(f"{MAKE}def test_f():\n    assert f(DATA) == 3")
    assert test.source.endswith("test_f()")
    assert "DATA = make(3)" in test.setup
    assert len(read_tests(f"{MAKE}assert f(DATA) == 3\nassert f([]) == 0")) == 2
    checked = "def valid(n):\n    assert n\nDATA = [3]\nvalid(DATA)\nassert f(DATA) == 3\nassert f([]) == 0"
    assert len(read_tests(checked)) == 2


def test_a_docstring_of_a_test_file_is_no_step() -> None:
    source = '"""T."""\nfrom __future__ import annotations\nx = 3\nassert math.isclose(f(x), 4)\ny = f(2)\n'
    [test] = suite_of(read_tests(source)).tests
    assert test.setup.splitlines() == ["from __future__ import annotations", "import math"]
    assert test.source.startswith("x = 3")


def test_an_object_of_the_program_is_no_module() -> None:
    source = (
        "from app import Stack, log\ns = Stack.of(1)\nassert s.pop() == 1\nassert Stack and log(log.level)"
    )
    [test] = read_tests(source)
    assert "Stack.of(1)" in test.source
    assert "log(log.level)" in test.source
