"""What became of every prefix of a search: how many independent draws below it, and how many were right."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..answers.equality import is_right
from ..search.events import AnswerFound, BranchStarted, Event, StepProposed
from ..search.replay import apply
from ..search.tree import Tree
from ..types import ROOT, BranchId, NodeId, Problem


@dataclass(frozen=True, slots=True)
class Outcome:
    """Draws at or above a prefix that went through it, and how many of them ended in the right answer."""

    right: int = 0
    total: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.right + other.right, self.total + other.total)


@dataclass(slots=True)
class OutcomeFold:
    """Folds the events of one search; the problem's answer must be known.

    A draw counts for its starting node and everything on its own way down, not for what lies above its
    start: draws from one prefix are no independent evidence about the question. A run without an answer,
    is a failure, cut off by a limit or not (paper.md 6.6: nothing is filtered).
    """

    problem: Problem
    tree: Tree = field(init=False)
    outcomes: dict[NodeId, Outcome] = field(default_factory=lambda: {ROOT: Outcome()})
    answers: dict[NodeId, str | None] = field(default_factory=dict)
    origins: dict[BranchId, NodeId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.problem.answer is not None, "outcomes need the right answer"
        self.tree = Tree(self.problem)

    def add(self, event: Event) -> None:
        """Take the next event."""
        apply(self.tree, event)
        match event:
            case BranchStarted():
                self.origins[event.branch] = event.parent
            case StepProposed():
                self.outcomes[event.node] = Outcome()
            case AnswerFound():
                self._count(event.node, event.answer)
            case _:
                pass

    def _count(self, node: NodeId, answer: str | None) -> None:
        assert self.problem.answer is not None
        self.answers[node] = answer
        right = is_right(answer, gold=self.problem.answer)
        branch = self.tree[node].branch
        assert branch is not None, "only the root was not drawn"
        origin = self.origins[branch]
        at: NodeId | None = node
        while at is not None:
            self.outcomes[at] += Outcome(int(right), 1)
            at = None if at == origin else self.tree[at].parent
