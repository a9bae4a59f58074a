"""Votes drawn one after another until they are clear: stopping rules that read no estimate.

They are the baselines of ``adaptive``: its gain over them is what its estimates are worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..search.tree import Tree
from ..types import ROOT, Standing
from .allocation import majority_confidence
from .base import Expand, Plan, Strategy, require_positive

MAX_CONCURRENT = 16
"""Trajectories of one question that run at once at most, where it may stop before it has seen all."""

_MAJORITY = 0.95
"""Posterior that ends a vote (Aggarwal et al., arXiv 2305.11860)."""


def is_clear(standing: Standing) -> bool:
    """Whether the leading answer has the majority of all further votes, too, with a probability of .95."""
    return standing.votes > 0 and majority_confidence(standing.votes, standing.second) >= _MAJORITY


def all_drawn(tree: Tree, samples: int) -> bool:
    """Whether so many trajectories have been judged."""
    return tree.standing is not None and tree.standing.finished >= samples


@dataclass(frozen=True, slots=True)
class Sequential(Strategy):
    """Trajectories that are judged one after another in drawing order, until their votes or estimates decide.

    Attributes:
        samples: Trajectories at most.
    """

    samples: int = 16

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples")

    @property
    def at_most(self) -> int:
        """``samples``."""
        return self.samples

    @property
    def branches(self) -> int:
        """As many as may run ahead of their turn."""
        return min(self.samples, MAX_CONCURRENT)


@dataclass(frozen=True, slots=True)
class AdaptiveConsistency(Sequential):
    """Draw until the posterior of the majority is clear (Aggarwal et al., arXiv 2305.11860)."""

    name: ClassVar[str] = "adaptive-consistency"

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other."""
        return (yield from _draw_until(is_clear, tree, self.samples, sure=2))


@dataclass(frozen=True, slots=True)
class Margin(Sequential):
    """Draw until one answer is a number of votes ahead of every other.

    Attributes:
        lead: That number.
    """

    name: ClassVar[str] = "margin"

    lead: int = 2

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples", "lead")

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other."""

        def leads(standing: Standing) -> bool:
            return standing.votes - standing.second >= self.lead

        return (yield from _draw_until(leads, tree, self.samples, sure=self.lead))


def _draw_until(decided: Callable[[Standing], bool], tree: Tree, samples: int, sure: int) -> Plan:
    yield [Expand(ROOT, samples, until="answer", sure=min(sure, samples))]
    while tree.standing is None or not decided(tree.standing):
        if all_drawn(tree, samples):
            return None
        yield ()
    return "confident"
