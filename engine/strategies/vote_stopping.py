"""Votes drawn one after another until a rule is satisfied: stopping rules that read no estimate.

They are the baselines of ``adaptive``: its gain over them is what its estimates are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..answers.result import Standing
from ..errors import UsageError, setting
from ..search.tree import Tree
from ..types import ROOT, Mode, NodeId
from .allocation import majority_confidence
from .base import Expand, Plan, Strategy, gather, whole_trajectories

MAX_CONCURRENT = 16
"""Most trajectories of one question that run at once, if it may stop before it has seen all."""

_MAJORITY = 0.95
"""Posterior that ends a vote (Aggarwal et al., arXiv 2305.11860)."""


def is_clear(standing: Standing) -> bool:
    """True if the leading answer keeps the majority of all further votes with a probability of .95."""
    return standing.votes > 0 and majority_confidence(standing.votes, standing.second) >= _MAJORITY


def all_drawn(tree: Tree, samples: int) -> bool:
    """True if this many trajectories have been judged."""
    return tree.standing is not None and tree.standing.finished >= samples


@dataclass(frozen=True, slots=True)
class Sequential(Strategy):
    """Trajectories that are judged one after another in drawing order, until their votes or estimates decide.

    Attributes:
        samples: Most trajectories.
    """

    samples: int = 16

    @property
    def branches(self) -> int:
        """The number that may run ahead of their turn."""
        return min(self.samples, MAX_CONCURRENT)


@dataclass(frozen=True, slots=True)
class VoteUntil(Sequential):
    """Draw until the votes satisfy a rule: here that the posterior of the majority is clear.

    Another rule is a subclass; its number (``size``) is the fewest trajectories that can satisfy it.
    """

    def is_satisfied(self, standing: Standing, answers: Sequence[str | None]) -> bool:
        """True if the votes satisfy the rule.

        Args:
            standing: Votes so far.
            answers: The answer of each trajectory that was judged, in order.
        """
        return is_clear(standing)

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other."""
        fewest: int = 2 if self.size == "samples" else getattr(self, self.size)
        return (yield from self._judge(tree, self.samples, fewest))

    def _judge(self, tree: Tree, samples: int, sure: int) -> Plan:
        judged: list[NodeId] = []
        judged += yield whole_trajectories(samples, self.modes, sure=min(sure, samples))
        while tree.standing is None or not self.is_satisfied(tree.standing, _answers(tree, judged)):
            if all_drawn(tree, self.samples):
                return None
            judged += yield ()
        return "confident"


def _answers(tree: Tree, nodes: Sequence[NodeId]) -> list[str | None]:
    """The answers of those nodes that end a trajectory."""
    by_node = {node: group.answer for group in tree.groups for node in group.nodes}
    return [by_node.get(node) for node in nodes if tree[node].status == "terminal"]


@dataclass(frozen=True, slots=True)
class AdaptiveConsistency(VoteUntil):
    """Draw until the posterior of the majority is clear (Aggarwal et al., arXiv 2305.11860)."""

    name: ClassVar[str] = "adaptive-consistency"


@dataclass(frozen=True, slots=True)
class FirstTo(VoteUntil):
    """Draw until one answer has a number of votes.

    Attributes:
        votes: Number of votes that ends the search.
    """

    name: ClassVar[str] = "first-to"
    size: ClassVar[str] = "votes"

    votes: int = 3

    def is_satisfied(self, standing: Standing, answers: Sequence[str | None]) -> bool:
        """True if the leader has the votes."""
        return standing.votes >= self.votes


@dataclass(frozen=True, slots=True)
class Margin(VoteUntil):
    """Draw until one answer is a number of votes ahead of every other.

    Attributes:
        lead: Lead in votes that ends the search.
    """

    name: ClassVar[str] = "margin"
    size: ClassVar[str] = "lead"

    lead: int = 2

    def is_satisfied(self, standing: Standing, answers: Sequence[str | None]) -> bool:
        """True if the leader has the lead."""
        return standing.votes - standing.second >= self.lead


@dataclass(frozen=True, slots=True)
class EarlyStopping(VoteUntil):
    """Draw window after window until all answers of one are the same (ESC; Li et al., arXiv 2401.10480).

    Attributes:
        window: Trajectories of a window.
    """

    name: ClassVar[str] = "esc"
    size: ClassVar[str] = "window"

    window: int = 4

    def is_satisfied(self, standing: Standing, answers: Sequence[str | None]) -> bool:
        """True if a window has just ended with one answer."""
        if not answers or len(answers) % self.window:
            return False
        return answers[-1] is not None and len(set(answers[-self.window :])) == 1


@dataclass(frozen=True, slots=True)
class ProseAndProgram(VoteUntil):
    """A greedy solution and a greedy program; if they differ, more of both by turns until a vote is clear.

    CPFF of Hawasly et al. (arXiv 2604.17433), with the rule of adaptive consistency after it.
    """

    name: ClassVar[str] = "cpff"

    modes: tuple[Mode, ...] = field(default=("prose", "program"), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a single mode, and fewer samples than modes.

        Raises:
            UsageError: the modes or samples are too few.
        """
        VoteUntil.__post_init__(self)
        if self.samples < len(self.modes):
            raise UsageError(
                f"{self.name} draws at least one of each mode", hint=setting("samples", len(self.modes))
            )
        if len(self.modes) < 2:
            raise UsageError(f"{self.name} compares prose with a program", hint=setting("mode", "auto"))

    def plan(self, tree: Tree) -> Plan:
        """Draw the two greedy ones, then one trajectory after the other."""
        sure = len(self.modes)
        first = [Expand(ROOT, 1, "answer", greedy=True, sure=sure, mode=mode) for mode in self.modes]
        yield from gather(tree, first)
        if tree.standing is not None and tree.standing.votes == len(first):
            return "confident"
        if all_drawn(tree, self.samples):
            return None
        return (yield from self._judge(tree, self.samples - len(first), sure=1))
