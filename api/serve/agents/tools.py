"""Tools for an agent: ``solve`` a question, write ``code`` that passes tests, ``check`` an answer.

An agent reads these docstrings: that of a tool's arguments describes the tool, those of fields describe the
fields in its schemas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from adascale.codetasks.asserts import read_tests
from adascale.codetasks.examples import read_examples
from adascale.codetasks.records import task_of
from adascale.engine.answers.result import SearchResult
from adascale.engine.errors import UsageError
from adascale.engine.execution import Execution, TestOutcome
from adascale.engine.kinds import kind_of
from adascale.engine.search.record import Record
from adascale.engine.strategies import EFFORTS, Adaptive, Effort
from adascale.engine.types import Budget, KindName, Problem, StopReason, rounded_probability

from ..bodies.fields import MAX_SEED, Fields, Tokens
from ..hub import Ask
from ..outcome import interval_of
from ..request import SearchOptions, ServedEffort, problem_for
from ..wire.http import for_clients

MAX_TEST_TEXT = 64 << 10
"""Characters of all tests of a call, each with its setup; reading them takes half a second."""

Search = Callable[[Ask], Awaitable[Record]]
"""Runs a search to its end, with progress notifications."""


class Result(BaseModel):
    """Structured content of a call."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Arguments(Fields):
    """Arguments that every tool has."""

    model_config = ConfigDict(extra="forbid")

    question: str
    budget: Tokens | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Makes the call repeatable; the result has it."""

    def ask(self, effort: ServedEffort, *, is_searched: bool = True, choices: Sequence[str] = ()) -> Ask:
        """The search of the question.

        Args:
            effort: How hard to try.
            is_searched: Search even if the question has no checkable answer.
            choices: Options to choose from; empty for none.

        Raises:
            UsageError: the question is empty.
        """
        if not self.question.strip():
            raise UsageError("the question is empty", slug="empty-question")
        options = SearchOptions(effort, Budget(self.budget), self.seed)
        return options.ask(problem_for(self.question, options, is_searched=is_searched, choices=choices))


class Cost(Result):
    """Cost of a search."""

    tokens: int
    """Generated tokens of all solutions."""
    seconds: float
    seed: int
    """The same seed gives the same solutions on the same machine."""
    warnings: list[str]

    @classmethod
    def of(cls, record: Record) -> Self:
        """The cost of a search that has ended."""
        return cls(
            tokens=record.usage.generated_tokens,
            seconds=round(record.t, 3),
            seed=record.started.seed,
            warnings=[for_clients(notice.message) for notice in record.notices],
        )


class SolveArguments(Arguments):
    """Answer a question that has a checkable answer: a maths problem, a choice, yes or no, a fact.

    Writes and compares several solutions (for a fact it writes one), and gives the answer, the probability
    that it is correct, and the number of solutions that agree on it. Do not use it for greetings, texts,
    translations or programs: they get one plain reply, without a probability. Use the tool code for programs.
    """

    question: str
    """The question in plain text, with all that is needed to answer it."""
    choices: list[str] = []
    """Options to choose from, if the question does not name them."""
    effort: Effort | None = None
    """How sure to be before stopping; the default is medium. A question without a checkable answer is
    searched only if an effort is given."""


class Solution(Result):
    """An answer, and how sure it is."""

    answer: str | None
    """Null if no solution has an answer."""
    kind: KindName
    """Kind of the question, which decides how it is answered."""
    options: dict[str, float] | None
    """Probability of each option, if the question has some and they were read; null if not."""
    solution: str
    """The text that leads to the answer."""
    probability: float | None
    """Probability that the answer is correct; null if no calibration fits the model."""
    interval: tuple[float, float] | None
    """10 and 90 % quantiles of the probability."""
    agree: int
    """Number of solutions with this answer."""
    finished: int
    """Number of solutions that were written to their end."""
    stop_reason: StopReason
    cost: Cost


async def solve(arguments: SolveArguments, search: Search) -> Solution:
    """Answer a question."""
    effort, is_searched = arguments.effort or "medium", arguments.effort is not None
    record = await search(arguments.ask(effort, is_searched=is_searched, choices=arguments.choices))
    result = _result(record)
    agree, finished = record.agreement
    return Solution(
        answer=result.answer,
        kind=record.started.problem.kind,
        options=dict(result.options) or None,
        solution="" if result.best is None else record.tree.text(result.best).strip(),
        probability=rounded_probability(result.confidence),
        interval=interval_of(result.confidence),
        agree=agree,
        finished=finished,
        stop_reason=result.stop_reason,
        cost=Cost.of(record),
    )


class CodeArguments(Arguments):
    """Write a Python program that passes tests: writes and runs programs until one passes all of them.

    Without tests, the examples in the question are the tests.
    """

    question: str
    """The task of the program."""
    tests: list[str] = []
    """Python that fails if the program is wrong: asserts or test functions."""
    effort: Effort = "medium"
    """How many programs to write at most: low 4, medium 8, high 16, max 32."""


class TestVerdict(Result):
    """The verdict of one test on a program."""

    test: str
    outcome: TestOutcome
    detail: str
    """The program's output where another one was expected, or its error."""


class TestedProgram(Result):
    """A program and the verdicts of its tests."""

    program: str | None
    """Python source; null if the model wrote none."""
    passes: bool
    """True if it was tested and passes every test."""
    tests: list[TestVerdict]
    probability: float | None
    """Probability that it passes other tests like these; null if no calibration fits the model."""
    programs: int
    """Number of programs that were written."""
    stop_reason: StopReason
    cost: Cost


async def code(arguments: CodeArguments, search: Search) -> TestedProgram:
    """Write a program."""
    ask = arguments.ask(arguments.effort)
    # In a thread: reading many tests takes a second, in which the others' searches go on.
    problem = await asyncio.to_thread(_code_problem, ask.problem, arguments.tests)
    record = await search(replace(ask, problem=problem, strategy=EFFORTS[problem.kind][arguments.effort]))
    result = _result(record)
    found = None if result.best is None else record.tree[result.best].execution
    execution = found or Execution("", "", 0.0)
    judged = zip(kind_of(problem).tests(problem), execution.verdicts, strict=False)
    return TestedProgram(
        program=execution.program or None,
        passes=execution.passes,
        tests=[
            TestVerdict(test=test, outcome=verdict.outcome, detail=verdict.detail) for test, verdict in judged
        ],
        probability=rounded_probability(result.confidence),
        programs=len(record.candidates),
        stop_reason=result.stop_reason,
        cost=Cost.of(record),
    )


class CheckArguments(Arguments):
    """Say how likely an answer is to be correct, by solving the question several times without seeing it.

    Gives the number of solutions that agree with the answer, and its probability if the model is calibrated.
    """

    question: str
    """The question in plain text, with all that is needed to answer it."""
    answer: Annotated[str, Field(max_length=2000)]
    """The answer to check, without its solution."""
    effort: Effort = "medium"
    """How sure to be before stopping."""


class Check(Result):
    """How likely an answer is to be correct."""

    verdict: str
    """The finding, in a sentence."""
    agree: int
    """Number of solutions with this answer."""
    finished: int
    """Number of solutions that were written to their end."""
    likeliest: str | None
    """The likeliest answer that was found."""
    probability: float | None
    """Probability that the checked answer is correct; null if another answer is likelier, unless the question
    has options, or if no calibration fits."""
    probability_at_most: float | None
    """If another answer is likelier: 1 - P(that one is correct), since at most one of them is correct."""
    cost: Cost

    @classmethod
    def of(cls, record: Record, same: Collection[str]) -> Self:
        """The result of a search; ``same`` are its options or answers that the checked answer equals."""
        result = _result(record)
        agree = sum(len(group.nodes) for group in result.groups if group.answer in same)
        finished = len(record.candidates)
        came = f"{agree} of {finished} solutions come to this answer"
        votes = came if finished else "no solution was written"
        leading = rounded_probability(result.confidence)
        probability = at_most = None
        if result.answer is None:
            verdict = f"{votes}; no probability, since no solution has an answer"
        elif leading is None:
            verdict = f"{votes}; no probability, since no calibration fits the model"
        elif result.answer in same:
            probability = leading
            verdict = f"correct with probability {probability:.2f}: {votes}"
        elif same and result.options:
            probability = round(sum(result.options[name] for name in same), 4)
            verdict = f"correct with probability {probability:.2f}: {votes}; likeliest is {result.answer}"
        else:
            at_most = round(1 - leading, 4)
            verdict = f"correct with probability {at_most:.2f} at most: {votes}; likeliest is {result.answer}"
        return cls(
            verdict=verdict,
            agree=agree,
            finished=finished,
            likeliest=result.answer,
            probability=probability,
            probability_at_most=at_most,
            cost=Cost.of(record),
        )


async def check(arguments: CheckArguments, search: Search) -> Check:
    """Check an answer."""
    answer = arguments.answer
    if not answer.strip():
        raise UsageError("the answer is empty")
    ask = arguments.ask(arguments.effort)
    if ask.problem.kind == "fact":  # the one solution of a fact says little about another answer
        ask = replace(ask, strategy=Adaptive(samples=8, least=4))
    record = await search(ask)
    problem, result = replace(record.started.problem, answer=answer), _result(record)
    kind = kind_of(problem)
    known = [*result.options] or [group.answer for group in result.groups]
    if kind.options(problem):
        return Check.of(record, {each for each in known if kind.is_right(problem, each, None, None)})
    # Computer algebra may take seconds, in which the others' searches go on.
    same = kind.equality(problem)
    return Check.of(record, {each for each in known if await asyncio.to_thread(same, each, answer)})


TOOLS: Mapping[str, tuple[type[Arguments], type[Result], Callable[[Any, Search], Awaitable[Result]]]] = {
    "solve": (SolveArguments, Solution, solve),
    "code": (CodeArguments, TestedProgram, code),
    "check": (CheckArguments, Check, check),
}
"""The models of each tool's arguments, whose docstring describes it, and of its result; and what runs it."""


def _result(record: Record) -> SearchResult:
    assert record.result is not None, "a search that failed is an error of its call"
    return record.result


def _code_problem(asked: Problem, sources: Sequence[str]) -> Problem:
    """The question as a code task; without tests its examples are the tests.

    Raises:
        UsageError: a test cannot be used, or all together are longer than ``MAX_TEST_TEXT``.
    """
    _check_length(sources or [asked.question])
    tests = [test for source in sources for test in read_tests(source)] or read_examples(asked.question)
    _check_length([test.text for test in tests])
    return task_of(asked.question, tests).problem(asked.id, asked.question)


def _check_length(texts: Sequence[str]) -> None:
    if (length := sum(map(len, texts))) > MAX_TEST_TEXT:
        raise UsageError(
            f"the tests have {length:,} characters, each with the code around it, and may have "
            f"{MAX_TEST_TEXT:,}",
            hint="fewer tests, or shorter helpers of theirs",
            slug="tests-too-long",
        )
