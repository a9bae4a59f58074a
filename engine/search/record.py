"""The read model of one search: the one fold of events.

The search itself, a replay, the views, the JSON of an answer and evaluations read ``Record``. A live search
changes it by ``Search._emit`` alone. Views add only facts about the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from ..answers.choosing import AnswerGroup, Candidate, SearchResult
from ..bands import LEAST, Band, Recorded, band_of, certainty, recorded
from ..errors import TraceError
from ..kind_table import entry_of
from ..kinds import Run, kind_of
from ..types import ROOT, BranchId, Estimate, NodeId, Notice, Problem, Usage, probability_of
from .events import (
    OUT_OF_DISTRIBUTION,
    AnswerFound,
    AnswersJudged,
    BranchGrew,
    BranchStarted,
    Event,
    NodesPruned,
    OptionsRead,
    ProgramRan,
    PromptRead,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
)
from .tree import Tree


@dataclass(slots=True)
class Record:
    """One search as far as its log goes.

    Attributes:
        started: First event: the question, the strategy, the limits.
        t: Time of the last event, in seconds since the search started.
        tree: All nodes with their costs, and the standing.
        usage: Work done in finished steps.
        branches: Every branch that was drawn.
        reasons: Reason of each pruned node.
        candidates: Trajectories that count, in the order in which they finished.
        notices: Warnings, each once.
        end: Last event; None while the search runs.
    """

    started: SearchStarted
    t: float = field(init=False)
    tree: Tree = field(init=False)
    usage: Usage = Usage()
    branches: dict[BranchId, BranchStarted] = field(default_factory=dict)
    reasons: dict[NodeId, str] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    end: SearchFinished | SearchFailed | None = None

    def __post_init__(self) -> None:
        """Begin with the question alone."""
        self.t = self.started.t
        modes = frozenset(self.started.params.get("modes", ()))
        self.tree = Tree(self.started.problem, self.started.schedule, modes)

    @property
    def level(self) -> str:
        """Level of its numbers, as ``ModelDescription`` has it: ``prior`` out of distribution."""
        is_out = any(notice.code == OUT_OF_DISTRIBUTION for notice in self.notices)
        return "prior" if is_out else self.started.models.level

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """Fold the events of one search.

        Raises:
            TraceError: the log does not begin with SearchStarted, or names nodes that it has not made.
        """
        record: Self | None = None
        for event in events:
            record = cls.after(record, event)
        if record is None:
            raise TraceError("the trace is empty")
        return record

    @classmethod
    def after(cls, record: Self | None, event: Event) -> Self:
        """The record after one more event; the start of a search makes a new one.

        Raises:
            TraceError: as ``of``.
        """
        if isinstance(event, SearchStarted):
            return cls(event)
        if record is None:
            raise TraceError("the trace does not begin with a started search")
        try:
            record.add(event)
        except IndexError:
            raise TraceError(f"event {event.seq} names a node that the trace has not made") from None
        return record

    @property
    def samples(self) -> int | None:
        """Most trajectories that the strategy may draw; None if it has no such parameter."""
        return self.started.limit("samples")

    @property
    def groups(self) -> tuple[AnswerGroup, ...]:
        """The answers, the leading one first."""
        return self.tree.groups

    @property
    def agreement(self) -> tuple[int, int]:
        """Number of trajectories with the leading answer, and of all that count, those without one too."""
        return (len(self.leading), len(self.candidates))

    @property
    def leading(self) -> tuple[NodeId, ...]:
        """Ends of trajectories with the leading answer, the best first; none for an option only read."""
        return next((group.nodes for group in self.groups if group.answer == self.answer), ())

    @property
    def result(self) -> SearchResult | None:
        """The result; None while the search runs, and if it failed."""
        return self.end.result if isinstance(self.end, SearchFinished) else None

    @property
    def answer(self) -> str | None:
        """The leading answer."""
        return self.tree.standing.answer

    @property
    def confidence(self) -> Estimate | None:
        """The estimate that goes with ``answer``."""
        return self.tree.standing.confidence

    @property
    def recorded(self) -> Recorded:
        """Recorded answers to questions of this kind, by this generator or by models like it."""
        generator = self.started.models.generator
        name = "" if generator is None else generator.name
        return recorded(name, self.level, self.tree.problem.kind)

    @property
    def band(self) -> Band | None:
        """The word for the probability of the leading answer; None if the number is no probability."""
        p = probability_of(self.confidence)
        if p is None or self.answer is None:
            return None
        return band_of(p, self.recorded.counts, len(self.options))

    @property
    def certainty(self) -> str:
        """``almost surely (96 %)``, for example; empty if the number is no probability."""
        p, band = probability_of(self.confidence), self.band
        if p is None or band is None:
            return ""
        return certainty(p, band, is_rough=self.level == "prior", options=len(self.options))

    @property
    def support(self) -> list[str]:
        """``almost surely (96 %)`` and ``3 of 4 solutions agree``; unknown facts are left out.

        The first of several solutions has no number, as the next may disagree.
        """
        of_what = " for each" if entry_of(self.tree.problem).has_fields else ""
        facts = [f"{self.certainty}{of_what}"] if self.band else []
        agree, solutions = self.agreement
        if not solutions:
            return [*facts, "read from the options" if self.options else "computed"]
        if self.end is None and agree == solutions == 1 and (most := self.samples or 1) > 1:
            return [*([self.band] if self.band else []), f"first of up to {most}, still checking"]
        answered = sum(len(group.nodes) for group in self.groups)
        none = f", {solutions - answered} without an answer" if answered < solutions else ""
        if agree == answered == 1:
            return [*facts, f"1 solution{none}"]
        if agree == 1:
            return [*facts, f"{answered} solutions differ{none}"]
        is_likely = self.band is not None and LEAST[self.band] >= LEAST["likely"]
        # Few votes beside a high number, or many beside a low one, need a reason.
        seems_odd = self.band is not None and (2 * agree > answered) != is_likely
        reason = ", weighed by their likelihood" if seems_odd else ""
        return [*facts, f"{agree} of {answered} solution{'s' * (answered != 1)} agree{none}{reason}"]

    @property
    def options(self) -> Mapping[str, float]:
        """Probability of each option of a question whose options were read; empty for others."""
        return self.tree.standing.options

    def add(self, event: Event) -> None:
        """Take the next event.

        Raises:
            TraceError: its node is out of order.
        """
        self.t = event.t
        match event:
            case PromptRead() | OptionsRead() | StepProposed() | ProgramRan() | StepScored() | NodesPruned():
                self._change_tree(event)
            case BranchStarted():
                self.branches[event.branch] = event
            case AnswerFound():
                self.candidates.append(self.tree.candidate(event.node, event.answer, event.estimate))
            case AnswersJudged():
                self.tree.standing = event.result
                for node, estimate in event.estimates.items():
                    self.tree[node].estimate = estimate
            case Warned():
                self.notices += [] if event.notice in self.notices else [event.notice]
            case SearchFinished():
                self.tree.standing, self.usage, self.end = event.result, event.usage, event
            case SearchFailed():
                self.end = event
            case SearchStarted() | BranchGrew():
                pass

    def _change_tree(
        self, event: PromptRead | OptionsRead | StepProposed | ProgramRan | StepScored | NodesPruned
    ) -> None:
        node = self.tree[ROOT]
        match event:
            case PromptRead():
                if event.reading is not None:
                    self.tree.readings[event.mode] = event.reading
                if event.estimate is not None:
                    self.tree.questions[event.mode] = event.estimate
                    node.estimate = node.estimate or event.estimate
            case OptionsRead():
                self.tree.option_logits.append(dict(zip(event.options, event.log_probs, strict=True)))
            case StepProposed():
                started = self.branches.get(event.branch)
                mode = "prose" if started is None else started.mode
                greedy = started is not None and started.greedy
                node = self.tree.add(event.parent, event.step, event.branch, mode, greedy=greedy)
                if node.id != event.node:
                    raise TraceError(f"node {event.node} is out of order in the trace")
            case ProgramRan():
                self.tree[event.node].execution = event.execution
                return
            case StepScored():
                node = self.tree[event.node]
                node.reward, node.estimate = event.reward, event.estimate
            case NodesPruned():
                for id_ in event.nodes:
                    self.tree[id_].status = "pruned"
                    self.reasons[id_] = event.reason
                return
        node.usage, self.usage = node.usage + event.usage, self.usage + event.usage


def replay(events: Iterable[Event]) -> Tree:
    """Rebuild the tree; ``replay(events of a search) == its tree``.

    Raises:
        TraceError: as ``Record.of``.
    """
    return Record.of(events).tree


def right_nodes(record: Record, problem: Problem, run: Run | None = None) -> frozenset[NodeId]:
    """Last nodes of the correct solutions.

    Args:
        record: Record of a search of the problem.
        problem: The problem with the answer or the tests that only an evaluation may see.
        run: Runs programs with hidden tests; None if there is no code task.
    """
    kind = kind_of(problem)
    return frozenset(
        each.node
        for each in record.candidates
        if kind.is_right(problem, each.answer, record.tree[each.node].execution, run)
    )


@dataclass(frozen=True, slots=True)
class PrefixOutcome:
    """Number of solutions through a prefix, and number of them with the correct answer."""

    right: int = 0
    total: int = 0

    def __add__(self, other: PrefixOutcome) -> PrefixOutcome:
        return PrefixOutcome(self.right + other.right, self.total + other.total)


def prefix_outcomes(record: Record) -> dict[NodeId, PrefixOutcome]:
    """Outcomes of every node of a search whose question has its correct answer.

    A solution counts for the node that it starts from and every node of its own below that one, not for nodes
    above: redraws of one prefix are no independent evidence about the question. A solution without an answer
    is a failure, cut off by a limit or not.
    """
    right = right_nodes(record, record.started.problem)
    outcomes = {node.id: PrefixOutcome() for node in record.tree}
    for candidate in record.candidates:
        branch = record.tree[candidate.node].branch
        assert branch is not None, "only the root was not drawn"
        path = [ROOT, *(node.id for node in record.tree.path(candidate.node))]
        for node in path[path.index(record.branches[branch].parent) :]:
            outcomes[node] += PrefixOutcome(int(candidate.node in right), 1)
    return outcomes
