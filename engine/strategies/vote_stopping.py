"""Trajectories that are judged one after another, and the plainest rule to stop them: a lead in votes.

The rule reads no estimate: the gain of ``adaptive`` over it is what the estimates are worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..answers.result import Standing
from ..search.tree import Tree
from .allocation import majority_confidence
from .base import Plan, Strategy, whole_trajectories

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
class Margin(Sequential):
    """Draw until one answer is a number of votes ahead of every other.

    Attributes:
        lead: Lead in votes that ends the search.
    """

    name: ClassVar[str] = "margin"
    size: ClassVar[str] = "lead"

    lead: int = 2

    def is_satisfied(self, standing: Standing) -> bool:
        """True if the leader has the lead."""
        return standing.votes - standing.second >= self.lead

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other."""
        yield whole_trajectories(self.samples, self.modes, sure=min(self.lead, self.samples))
        while tree.standing is None or not self.is_satisfied(tree.standing):
            if all_drawn(tree, self.samples):
                return None
            yield ()
        return "confident"
