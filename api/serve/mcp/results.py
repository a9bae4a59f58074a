"""What the tools give back: the structured content of a call, whose fields and their texts are its schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from adascale.engine.kinds import kind_of
from adascale.engine.search.record import Record
from adascale.engine.types import AnswerGroup, Execution, SearchResult, StopReason, TestOutcome

from ..http.errors import for_clients
from ..search.outcome import interval_of, probability_of


class _Result(BaseModel):
    """Base of all results: a pydantic model, since of a dataclass MCP makes a schema without descriptions."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Cost(_Result):
    """What a search took."""

    tokens: int
    """Generated tokens of all solutions."""
    seconds: float
    seed: int
    """The same seed draws the same solutions on the same machine."""
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


class Solution(_Result):
    """An answer, and how sure it is."""

    answer: str | None
    """Null where no solution came to one."""
    solution: str
    """The text that leads to the answer."""
    probability: float | None
    """That the answer is right; null where no calibration fits the model."""
    interval: tuple[float, float] | None
    """The 10 and 90 % quantiles of the probability."""
    agree: int
    """Solutions with this answer."""
    finished: int
    """Solutions that were written to their end."""
    stop_reason: StopReason
    cost: Cost

    @classmethod
    def of(cls, record: Record) -> Self:
        """From a search that has ended."""
        result = _result(record)
        return cls(
            answer=result.answer,
            solution="" if result.best is None else record.tree.text(result.best).strip(),
            probability=probability_of(result.confidence),
            interval=interval_of(result.confidence),
            agree=len(result.groups[0].nodes) if result.groups else 0,
            finished=len(record.candidates),
            stop_reason=result.stop_reason,
            cost=Cost.of(record),
        )


class TestVerdict(_Result):
    """What one test says of a program."""

    test: str
    outcome: TestOutcome
    detail: str
    """What the program gave instead, or how it failed."""


class TestedProgram(_Result):
    """A program, and what its tests say."""

    program: str | None
    """Python source; null where the model wrote none."""
    passes: bool
    """Whether it was tested and passes every test."""
    tests: list[TestVerdict]
    probability: float | None
    """That it passes other tests like these; null where no calibration fits the model."""
    programs: int
    """How many were drawn."""
    stop_reason: StopReason
    cost: Cost

    @classmethod
    def of(cls, record: Record) -> Self:
        """From the search of a code task that has ended."""
        result, problem = _result(record), record.started.problem
        found = None if result.best is None else record.tree[result.best].execution
        execution = found or Execution("", "", 0.0)
        judged = zip(kind_of(problem).tests(problem), execution.verdicts, strict=False)
        return cls(
            program=execution.program or None,
            passes=execution.passes,
            tests=[
                TestVerdict(test=test, outcome=verdict.outcome, detail=verdict.detail)
                for test, verdict in judged
            ],
            probability=probability_of(result.confidence),
            programs=len(record.candidates),
            stop_reason=result.stop_reason,
            cost=Cost.of(record),
        )


class Check(_Result):
    """How likely an answer is right."""

    verdict: str
    """What was found, in a sentence."""
    agree: int
    """Solutions that come to the answer."""
    finished: int
    """Solutions that were written to their end."""
    likeliest: str | None
    """The answer that the search itself gives."""
    probability: float | None
    """That the checked answer is right; null where it does not lead, or no calibration fits the model."""
    probability_at_most: float | None
    """Where another answer is likelier: 1 - P(that one is right), since one of them at most is."""
    cost: Cost

    @classmethod
    def of(cls, record: Record, same: Sequence[AnswerGroup]) -> Self:
        """From a search that has ended, and those of its groups that have the answer."""
        result = _result(record)
        agree, finished = sum(len(group.nodes) for group in same), len(record.candidates)
        votes = f"{agree} of {finished} solutions come to this answer"
        leading = probability_of(result.confidence)
        probability = at_most = None
        if not result.groups:
            verdict = f"{votes}; no probability, since none comes to any answer"
        elif leading is None:
            verdict = f"{votes}; no probability, since no calibration fits the model"
        elif result.groups[0] in same:
            probability = leading
            verdict = f"right with probability {probability:.2f}: {votes}"
        else:
            at_most = round(1 - leading, 4)
            verdict = f"right with probability {at_most:.2f} at most: {votes}; likeliest is {result.answer}"
        return cls(
            verdict=verdict,
            agree=agree,
            finished=finished,
            likeliest=result.answer,
            probability=probability,
            probability_at_most=at_most,
            cost=Cost.of(record),
        )


def _result(record: Record) -> SearchResult:
    assert record.result is not None, "a search that failed is an error of its call"
    return record.result
