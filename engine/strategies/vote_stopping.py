"""Votes drawn one after another until they are clear: stopping rules that read no estimate.

They are the baselines of ``adaptive``: its gain over them is what its estimates are worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import UsageError, setting
from ..search.tree import Tree
from ..types import Mode, NodeId, Standing
from .allocation import majority_confidence
from .base import Plan, Strategy, gather, require_positive, whole_trajectories

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
        return (yield from _draw_until(self, is_clear, tree, sure=2))


@dataclass(frozen=True, slots=True)
class FirstTo(Sequential):
    """Draw until one answer has a number of votes.

    Attributes:
        votes: That number.
    """

    name: ClassVar[str] = "first-to"
    size: ClassVar[str] = "votes"

    votes: int = 3

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples", "votes")

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other."""
        return (yield from _draw_until(self, lambda s: s.votes >= self.votes, tree, sure=self.votes))


@dataclass(frozen=True, slots=True)
class Margin(Sequential):
    """Draw until one answer is a number of votes ahead of every other.

    Attributes:
        lead: That number.
    """

    name: ClassVar[str] = "margin"
    size: ClassVar[str] = "lead"

    lead: int = 2

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples", "lead")

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other."""
        return (yield from _draw_until(self, lambda s: s.votes - s.second >= self.lead, tree, sure=self.lead))


@dataclass(frozen=True, slots=True)
class EarlyStopping(Sequential):
    """Draw window after window until all answers of one are the same (ESC; Li et al., arXiv 2401.10480).

    Attributes:
        window: Trajectories of a window.
    """

    name: ClassVar[str] = "esc"
    size: ClassVar[str] = "window"

    window: int = 4

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples", "window")

    def plan(self, tree: Tree) -> Plan:
        """Judge window after window."""
        window: set[NodeId] = set()
        sure = min(self.window, self.samples)
        window |= set((yield whole_trajectories(self.samples, self.modes, sure=sure)))
        while True:
            if tree.standing is not None and tree.standing.finished % self.window == 0:
                if any(len(window & set(group.nodes)) == self.window for group in tree.groups):
                    return "confident"
                window.clear()
            if all_drawn(tree, self.samples):
                return None
            window |= set((yield ()))


@dataclass(frozen=True, slots=True)
class ProseAndProgram(Sequential):
    """A greedy solution and a greedy program; where they differ, more of both by turns until a vote is clear.

    CPFF of Hawasly et al. (arXiv 2604.17433), with adaptive consistency's rule behind it.
    """

    name: ClassVar[str] = "cpff"

    modes: tuple[Mode, ...] = field(default=("prose", "program"), kw_only=True)

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples")
        if self.samples < len(self.modes):
            raise UsageError(
                f"{self.name} draws one of each mode at least", hint=setting("samples", len(self.modes))
            )
        if len(self.modes) < 2:
            raise UsageError(f"{self.name} compares prose with a program", hint=setting("mode", "auto"))

    def plan(self, tree: Tree) -> Plan:
        """Two greedy ones, then one trajectory after the other."""
        first = whole_trajectories(len(self.modes), self.modes, greedy=True)
        yield from gather(tree, first)
        if tree.standing is not None and tree.standing.votes == len(first):
            return "confident"
        if all_drawn(tree, self.samples):
            return None
        return (yield from _draw_until(self, is_clear, tree, sure=1, begun=len(first)))


def _draw_until(
    strategy: Sequential, decided: Callable[[Standing], bool], tree: Tree, sure: int, begun: int = 0
) -> Plan:
    """Judge one trajectory after the other; ``begun`` of the samples were drawn before."""
    left = strategy.samples - begun
    yield whole_trajectories(left, strategy.modes, sure=min(sure, left))
    while tree.standing is None or not decided(tree.standing):
        if all_drawn(tree, strategy.samples):
            return None
        yield ()
    return "confident"
