"""No program passes a test by other means than what its functions give, whichever interpreter runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from adascale.codetasks.asserts import read_tests
from adascale.codetasks.harness import Harness
from adascale.codetasks.task import suite_of
from adascale.engine.execution import Execution, Trial
from adascale.models.programs.cpython import CPythonRunner, why_not
from adascale.models.programs.monty import MontyRunner
from adascale.models.programs.sandbox import candidates

from .faking import PROGRAMS, WITH_TESTS

TESTS = "assert f(2) == 4\nassert f(3) == 9\nassert f(-1) == 1"
Judge = Callable[[Trial], Execution]


@pytest.fixture(scope="module", params=["monty", "bubblewrap", "landlock"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    if request.param == "monty":
        with MontyRunner() as runner:
            yield runner.judge
        return
    sandbox = next((each for each in candidates() if each.name == request.param), None)
    if sandbox is None or why_not(sandbox):
        pytest.skip(f"this machine has no {request.param}")
    yield CPythonRunner(sandbox).judge


def passed(judge: Judge, program: str, tests: str) -> int:
    harness = Harness(program, suite_of(read_tests(tests), "f"))
    return sum(verdict.outcome == "passed" for verdict in harness.verdicts(judge(harness.trial)))


def test_a_right_program_passes(judge: Judge) -> None:
    assert passed(judge, "def f(x): return x * x", TESTS) == 3


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_fakes_a_verdict_fails(judge: Judge, program: str) -> None:
    assert passed(judge, program, TESTS) == 0


@pytest.mark.parametrize(("program", "tests"), WITH_TESTS.values(), ids=WITH_TESTS)
def test_what_a_program_does_to_a_test_of_another_form_is_no_pass(
    judge: Judge, program: str, tests: str
) -> None:
    assert passed(judge, program, tests) == 0
