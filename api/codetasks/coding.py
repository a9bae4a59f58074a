"""A program that passes tests, in one line of Python; the models run in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adascale.engine.answer import Answer
from adascale.engine.errors import UsageError
from adascale.engine.request import SearchRequest
from adascale.engine.search.record import Record
from adascale.engine.strategies import Effort
from adascale.engine.types import Budget
from adascale.models.files.catalog import DEFAULT_GENERATOR

from ..asking import search_problem
from .reading import read_tests
from .task import CodeTask, suite_of

if TYPE_CHECKING:
    from ..asking import Model


def code(
    question: str,
    model: Model = DEFAULT_GENERATOR,
    *,
    tests: Sequence[str] = (),
    effort: Effort = "medium",
    budget: Budget = Budget(),
    seed: int = 0,
) -> Answer:
    """Write a program that passes tests, as ``adascale code`` does.

    Args:
        question: What the program should do.
        model: Model or open session, as ``ask`` takes it.
        tests: Python sources with asserts or test functions; without any nothing is tested.
        effort: How many programs are drawn at most: 4, 8, 16 or 32.
        budget: Limits of the search.
        seed: The same seed gives the same draws on the same machine.

    Raises:
        AdascaleError: A test cannot be read, the model cannot be had or loaded, or the task does not fit.

    Example:
        >>> print(adascale.code("Write double(n).", tests=["assert double(2) == 4"]).passes)
    """
    if not question.strip():
        raise UsageError("the question is empty", slug="empty-question")
    if isinstance(tests, str) or not all(isinstance(each, str) for each in tests):
        raise UsageError("tests are a list of sources", repr(tests), hint='tests=["assert f(2) == 4"]')
    request = SearchRequest(question, effort=effort, budget=budget, seed=seed)
    task = CodeTask(suite_of([test for source in tests for test in read_tests(source)]))
    problem = task.problem("1", question.strip())
    return Answer.of(Record.of(search_problem(problem, model, request)))
