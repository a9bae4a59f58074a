"""The answer of a search, with every field of any output.

Terminal, JSON, HTTP, MCP and Python each write an ``Answer``; its record has the rest. ``GrowingReply`` is a
reply in progress, ``turns_after`` the conversation before a follow-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, repeat
from typing import Any, Literal, Self

from .answers.choosing import SearchResult
from .bands import Band
from .kind_table import entry_of
from .kinds import kind_of
from .search.events import BranchGrew, Event, StepProposed
from .search.record import Record
from .search.tree import Tree
from .types import (
    Execution,
    Mode,
    NodeId,
    Notice,
    Problem,
    StopReason,
    TestOutcome,
    Turn,
    Verdict,
    probability_of,
    rounded_probability,
)

Status = Literal["answered", "failing", "low_confidence", "no_answer", "interrupted"]
"""Outcome of a search: ``failing`` is a program that does not pass its tests; ``low_confidence`` is a guess,
or an answer that is less likely than was asked for."""


@dataclass(frozen=True, slots=True)
class FallbackAnswer:
    """The answer of another server, to which a question was handed on.

    Attributes:
        server: Its host and port.
        model: Name of its model; empty if the reply does not name it.
        text: The whole reply.
        answer: The answer in it, as ``Kind.answer`` reads it.
    """

    server: str
    model: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The thought before a solution; ``cut`` if it ended at its budget."""

    text: str
    tokens: int
    cut: bool


@dataclass(frozen=True, slots=True)
class JudgedTest:
    """A test of a code task, and its verdict; fields as of ``Verdict``."""

    test: str
    outcome: TestOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(SearchResult):
    """The result of a search as it is given to users.

    ``answer`` is spelled as answers are compared; of a code task it is the program. A reply that nobody can
    check has no ``confidence``, nor has the answer of another server.

    Attributes:
        status: Outcome.
        shown: The answer as a user gets it, such as ``B. Jupiter``; None without one.
        solution: The solution that is shown, as the model wrote it; empty if none has finished.
        thought: The thought before it; None without one.
        mode: Mode of reasoning of that solution; None without one.
        execution: Output and error of its program; None without one.
        tests: Tests of a code task with the verdicts on its program, in their order.
        notices: Warnings.
        fallback: The other server's answer, if this is that answer.
        record: The search, with its tree and costs.
    """

    stop_reason: StopReason
    status: Status
    shown: str | None
    solution: str
    thought: Thought | None = None
    mode: Mode | None = None
    execution: Execution | None = None
    tests: tuple[JudgedTest, ...] = ()
    notices: tuple[Notice, ...] = ()
    fallback: FallbackAnswer | None = None
    record: Record = field(repr=False, compare=False)

    @property
    def problem(self) -> Problem:
        """The question."""
        return self.record.started.problem

    @property
    def passes(self) -> bool:
        """True if it is a program that was tested and passes every test."""
        return self.execution is not None and self.execution.passes

    @property
    def measured(self) -> str | None:
        """A sentence with counts of recorded answers like this one; None if there are none."""
        if (band := self.band) is None:
            return None
        recorded = self.record.recorded
        answers, correct = recorded.shown_with(band)
        models = "this model" if recorded.is_own else "models without a fit"
        return f"Of {answers} such answers of {models} {correct} were correct." if answers else None

    @property
    def band(self) -> Band | None:
        """The word for its probability; None without one."""
        return self.record.band if probability_of(self.confidence) is not None else None

    @property
    def fallback_record(self) -> dict[str, Any] | None:
        """The other server as JSON has it, with our own answer; None without one."""
        if self.fallback is None:
            return None
        source = {"server": self.fallback.server, "model": self.fallback.model or None}
        p = rounded_probability(self.record.confidence)
        return {**source, "own_answer": self.record.answer, "own_probability": p}

    @classmethod
    def of(
        cls, record: Record, min_confidence: float = 0.0, handed_on: FallbackAnswer | Notice | None = None
    ) -> Self:
        """The answer of a search that has a result.

        Args:
            record: The search.
            min_confidence: Probability below which an answer has ``low_confidence``.
            handed_on: Answer of another server, which takes the place of our own, or why it has none.
        """
        result, problem, tree = record.result, record.started.problem, record.tree
        assert result is not None, "only a search that has ended has an answer"
        values: dict[str, Any] = {each.name: getattr(result, each.name) for each in fields(SearchResult)}
        values |= {"record": record, "notices": tuple(record.notices)}
        kind = kind_of(problem)
        if isinstance(handed_on, FallbackAnswer):
            values |= {"answer": handed_on.answer, "confidence": None, "fields": {}, "fallback": handed_on}
            readable = kind.shown(problem, handed_on.answer, None) or handed_on.answer
            return cls(**values, status="answered", shown=readable, solution=handed_on.text)
        if handed_on is not None:
            values["notices"] += (handed_on,)
        if entry_of(problem).is_reply:
            values["confidence"], min_confidence = None, 0.0
        status, execution = _status(result, min_confidence), None
        if result.best is not None:
            execution = tree[result.best].execution
            values |= {"thought": _thought(tree, result.best), "mode": tree[result.best].mode}
        shown = kind.shown(problem, result.answer, execution) if result.has_reply else None
        if entry_of(problem).has_tests:
            tests = kind.tests(problem)
            verdicts = chain(execution.verdicts if execution is not None else (), repeat(Verdict("not-run")))
            judged = zip(tests, verdicts, strict=False)
            values |= {"answer": shown, "tests": tuple(JudgedTest(t, v.outcome, v.detail) for t, v in judged)}
            if status != "interrupted":
                is_good = execution is not None and (execution.passes or not tests)
                status = "no_answer" if shown is None else "answered" if is_good else "failing"
        solution = "" if result.best is None else tree.text(result.best).strip()
        return cls(**values, status=status, shown=shown, solution=solution, execution=execution)


def _status(result: SearchResult, min_confidence: float) -> Status:
    """The outcome; a guess is not sure, whatever is asked for, nor is a score a probability."""
    if result.stop_reason == "interrupted":
        return "interrupted"
    if not result.has_reply:
        return "no_answer"
    p = None if result.answer is None else probability_of(result.confidence)
    is_sure = min_confidence <= 0 or (p is not None and p >= min_confidence)
    return "answered" if is_sure and not result.is_guess else "low_confidence"


def _thought(tree: Tree, node: NodeId) -> Thought | None:
    steps = tree.thoughts(node)
    if not steps:
        return None
    tokens = sum(len(step.token_ids) for step in steps)
    return Thought("".join(step.text for step in steps), tokens, any(each.thought == "cut" for each in steps))


def turns_after(record: Record) -> tuple[Turn, ...]:
    """The conversation before the search, its question, and its reply if there is one.

    A question without a reply is read with the next one: turns of one role are one for a chat template.
    """
    problem, reply = record.started.problem, _reply(record)
    turns = (*problem.history, Turn("user", problem.question))
    return (*turns, Turn("assistant", reply)) if reply else turns


def _reply(record: Record) -> str:
    """The shown solution as the model wrote it; of a program also its output.

    A reply that was stopped is what had been written of it.
    """
    tree, result = record.tree, record.result
    best = None if result is None else result.best
    if best is None and entry_of(tree.problem).is_reply:
        best = tree.nodes[-1].id  # its steps follow each other
    if best is None:
        return record.answer or ""
    text, execution = tree.text(best).strip(), tree[best].execution
    printed = "" if execution is None else execution.output.strip()
    return f"{text}\n\nThe answer is {printed}." if printed else text


class GrowingReply:
    """Collects a reply from the events of its search, without what may still change or be cut.

    Args:
        stops: Texts before which the reply ends.

    Attributes:
        sent: Text that ``take`` has returned so far.
        stopped_at: The stop text that ended the reply; None so far.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.sent = ""
        self.stopped_at: str | None = None
        self._steps = ""
        self._stops = stops
        self._held = max(map(len, stops), default=1) - 1

    def take(self, event: Event) -> str:
        """The text that an event adds; thoughts add nothing."""
        match event:
            case StepProposed() if not event.step.is_thought:
                self._steps += event.step.text
                text = self._steps
            case BranchGrew(thinks=False):
                text = self._steps + event.text
            case _:
                return ""
        stable, stop = cut_at_stop(text.lstrip(), self._stops)
        self.stopped_at = self.stopped_at or stop
        if stop is None:  # half of a stop, half of a character or a last blank may stand at the end
            stable = stable[: max(0, len(stable) - self._held)]
            stable = stable.rstrip().removesuffix("\N{REPLACEMENT CHARACTER}").rstrip()
        added = stable[len(self.sent) :]
        self.sent = max(self.sent, stable, key=len)
        return added


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text before the earliest stop text, and that stop; None if it contains none of them."""
    at, stop = min(((at, stop) for stop in stops if (at := text.find(stop)) >= 0), default=(len(text), None))
    return text[:at], stop
