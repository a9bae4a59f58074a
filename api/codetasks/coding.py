"""A program that passes tests, in one line of Python; the models run in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

from adascale.engine.errors import UsageError
from adascale.engine.execution import Execution
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import EFFORTS, Effort, effort_named
from adascale.engine.types import Budget, Estimate, StopReason
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.session import OpenSession

from ..asking import search_problem
from .asserts import read_tests
from .records import task_of
from .task import CodeTest


@dataclass(frozen=True, slots=True)
class CodeResult:
    """Answer to a code task.

    Attributes:
        execution: The program that passes most tests, its repairs, and its verdicts; None if the search
            drew none.
        tests: Tests that were given or stand in the question, in the order of the verdicts.
        confidence: Estimate for the program; a score, and no probability, while it is not calibrated.
        stop_reason: Why the search ended.
    """

    execution: Execution | None
    tests: tuple[CodeTest, ...]
    confidence: Estimate | None
    stop_reason: StopReason

    @property
    def program(self) -> str | None:
        """Source of the program; None if no text held one."""
        return None if self.execution is None else self.execution.program or None

    @property
    def passes(self) -> bool:
        """True if it was tested and passes every test."""
        return self.execution is not None and self.execution.passes


def code(
    question: str,
    model: str | PathLike[str] | OpenSession = DEFAULT_GENERATOR,
    *,
    tests: Sequence[str] = (),
    effort: Effort = "medium",
    budget: Budget = Budget(),
    seed: int = 0,
) -> CodeResult:
    """Write a program that passes tests, as ``adascale code`` does.

    Args:
        question: What the program should do.
        model: Model or open session, as ``ask`` takes it.
        tests: Python sources with asserts or test functions; without any the examples in the question.
        effort: How many programs are drawn at most: 4, 8, 16 or 32.
        budget: Limits of the search.
        seed: The same seed gives the same draws on the same machine.

    Raises:
        AdascaleError: A test cannot be read, the model cannot be had or loaded, or the task does not fit.
    """
    if not question.strip():
        raise UsageError("the question is empty", slug="empty-question")
    if isinstance(tests, str) or not all(isinstance(each, str) for each in tests):
        raise UsageError("tests are a list of sources", repr(tests), hint='tests=["assert f(2) == 4"]')
    strategy = EFFORTS["code"][effort_named(effort)]
    task = task_of(question, [test for source in tests for test in read_tests(source)])
    problem = task.problem("1", question.strip())
    record = Record.of(search_problem(problem, model, Settings(strategy, budget, seed), "auto"))
    result = record.result
    assert result is not None, "a search that was run to its end has a result"
    execution = None if result.best is None else record.tree[result.best].execution
    return CodeResult(execution, task.given.tests, result.confidence, result.stop_reason)
