"""Tests of every form judge a program, and tell what it gave."""

from __future__ import annotations

import cpython
import pytest

from adascale.codetasks.kind import trial_of
from adascale.codetasks.reading import read_tests
from adascale.codetasks.task import suite_of
from adascale.engine.types import Execution, Trial, Verdict
from adascale.models.programs.executor import MontyRunner

TESTS = ["assert f(2) == 4", "assert f(3) == 9", "assert not f(0)"]
SQUARE = "def f(n):\n    return n * n"


def trial(program: str, tests: list[str] = TESTS) -> Trial:
    return trial_of(program, suite_of([test for source in tests for test in read_tests(source)], "f"))


def in_cpython(program: str, tests: list[str] = TESTS) -> tuple[Verdict, ...]:
    return cpython.run(trial(program, tests)).verdicts


@pytest.mark.parametrize(
    ("program", "verdicts"),
    [
        (SQUARE, [Verdict("passed")] * 3),
        ("def f(n):\n    return n + n", [Verdict("passed"), Verdict("failed", "6"), Verdict("passed")]),
        ("def f(n):\n    assert n > 2\n    return 1 / n", [Verdict("error", "AssertionError"),
            Verdict("failed", "0.3333333333333333"), Verdict("error", "AssertionError")]),
        ("g = 3", [Verdict("error", "NameError: name 'f' is not defined")] * 3),
        ("1 / 0", [Verdict("error", "ZeroDivisionError: division by zero"), *[Verdict("not-run")] * 2]),
        ("raise SystemExit", [Verdict("error", "the program ended before its tests did"),
                              *[Verdict("not-run")] * 2]),
        ("def f(n):\n    return object()", [Verdict("failed", "<object object>")] * 3),
    ],
)  # fmt: skip
def test_what_a_wrong_program_gave_is_told(program: str, verdicts: list[Verdict]) -> None:
    assert in_cpython(program) == tuple(verdicts)


def test_a_value_is_cut_and_stays_on_its_line() -> None:
    [verdict] = in_cpython("def f(n):\n    return ['a\\n\\u2028'] * 500", TESTS[:1])
    assert len(verdict.detail) == 200
    assert verdict.detail.startswith(r"['a\n\u2028', ")


@pytest.mark.parametrize(
    "program",
    [
        "from __future__ import annotations\ndef f(n: Unknown):\n    return n * n",
        "def print(*args): pass\ndef repr(x): return 1 / 0\nstr = type = None\ndef f(n): return n * n",
    ],
)
def test_a_program_may_do_as_it_likes_and_still_pass(program: str) -> None:
    assert in_cpython(program) == (Verdict("passed"),) * 3


@pytest.mark.parametrize(
    "test",
    [
        "from __future__ import annotations\nassert f(2) == 4",
        "text = '''two\n    lines'''\nassert f(2) == 4 and text.count(' ') == 4",
        "def test_f():\n    for n in range(3):\n        assert f(n) == n * n, 'wrong'",
        "n = 1\ndef up():\n    global n\n    n += 1\ndef test_f():\n    up()\n    assert f(n) == 4",
        "import sys\nsys.path.insert(0, __file__)\ndef test_f():\n    assert f(2) == 4\ntest_f()",
        "try:\n    from solution import f\nexcept ImportError:\n    from src.a import f\nassert f(2) == 4",
        "CASES = [(1, 1), (2, 4)]\nclass Case:\n    all = CASES\nassert all(f(a) == b for a, b in Case.all)",
        "def check(candidate):\n    assert candidate(2) == 4\ncheck(f)",
    ],
)
def test_every_form_of_test_can_pass_and_fail(test: str) -> None:
    assert in_cpython(SQUARE, [test])[0] == Verdict("passed")
    assert in_cpython("def f(n):\n    return 77", [test])[0].outcome in {"failed", "error"}


@pytest.mark.parametrize(
    ("program", "test", "detail"),
    [
        ("class Box:\n    def pop(self): return 5", "assert Box().pop() == 4", "5"),
        ("class Box:\n    def full(self): return 'x'", "assert not Box().full()", "'x'"),
        ("class Box:\n    def __repr__(self): raise SystemExit", "assert Box() == 4", "<unprintable>"),
        ("def Box(n): return n", "assert abs(Box(3) - 4) < 1e-6", "1"),
        ("def Box(n): return n", "assert Box(3) == 4, 'no box'", "no box"),
        (
            "def Box(n): return n",
            "def t():\n    for n in (4, 5): assert Box(n) == 4\nt()",
            "5",
        ),
        (
            "def Box(n): return n",
            "import pytest\ndef test_box():\n    with pytest.raises(ValueError):\n        Box(3)",
            "ValueError was not raised",
        ),
    ],
)
def test_a_failed_test_tells_what_it_was_about(program: str, test: str, detail: str) -> None:
    [verdict] = cpython.run(trial_of(program, suite_of(read_tests(test)))).verdicts
    assert verdict == Verdict("failed", detail.replace("<Box", "<__main__.Box"))


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("TimeoutError: killed", Verdict("time-limit")),
        ("MemoryError: too much", Verdict("error", "MemoryError: too much")),
        ("", Verdict("error", "the program ended before its tests did")),
    ],
)
def test_a_run_that_ends_early(error: str, verdict: Verdict) -> None:
    execution = Execution("", error, 2.0, verdicts=(Verdict("passed"),))
    assert trial(SQUARE).judged(execution).verdicts == (Verdict("passed"), verdict, Verdict("not-run"))


PYTEST = """\
import pytest
from pytest import approx as near, raises

ROWS = [(3,), pytest.param(-3)]

@pytest.mark.parametrize("n, m", [(2, 4), pytest.param(3, 9)])
def test_square(n, m):
    assert f(n) == pytest.approx(m)

@pytest.mark.parametrize("n", range(1, 3))
@pytest.mark.parametrize("m", [1])
def test_rows(n, m):
    assert f(n) >= m

def test_collections():
    assert [f(1), f(.1)] == near([1, .01])
    assert {"a": f(2)} == near({"a": 4.1}, abs=.2)
    assert near(4) == f(2)
    assert f(2) != near(5) and near(4, abs=1e-9) != 4.0001 and None != near(4)
    assert f(10) == near(91, rel=.1) and f(10) != near(90, rel=.1) and f(10) == near(90, rel=.1, abs=10)
    assert ["a", None] == near(["a", None]) and ["a", 0] != near(["a", None])
    assert float("inf") == near(float("inf")) and 1.0 != near(float("inf"))

def test_raises():
    with raises(TypeError, match="multiply"):
        f("a")
    raises(TypeError, f, "a")
    with raises(Exception) as caught:
        f("a")
    assert caught.type is TypeError and caught.match("multiply")
    with raises(AssertionError):
        caught.match("add")

@pytest.mark.parametrize(["n"], ROWS)
def test_one_name(n):
    assert f(n) == 9
"""


def test_a_stand_in_for_pytest_runs_in_both_interpreters() -> None:
    with MontyRunner() as monty:
        for run in (cpython.run, monty.judge):
            right = trial(SQUARE, [PYTEST])
            assert right.judged(run(right)).verdicts == (Verdict("passed"),) * 5
            wrong = trial("def f(n):\n    return 4 if n == 2 else 'b'", [PYTEST])
            verdicts = wrong.judged(run(wrong)).verdicts
            assert "passed" not in [verdict.outcome for verdict in verdicts]
            assert verdicts[3].detail.endswith("was not raised")
