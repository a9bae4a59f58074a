"""Whole trajectories from the root: greedy, self-consistency, best-of-n with IAS, and a lead in votes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..search.tree import Tree
from ..types import ROOT, SelectRule
from .allocation import required_samples
from .base import Adapt, InstanceAdaptive, Plan, Strategy, gather, whole_trajectories


@dataclass(frozen=True, slots=True)
class Greedy(Strategy):
    """One trajectory of most likely tokens in each mode."""

    name: ClassVar[str] = "greedy"

    @property
    def at_most(self) -> int:
        """One of each mode."""
        return len(self.modes)

    def plan(self, tree: Tree) -> Plan:
        """Draw it."""
        yield from gather(tree, whole_trajectories(self.at_most, self.modes, greedy=True))
        return None


@dataclass(frozen=True, slots=True)
class _IndependentSamples(InstanceAdaptive):
    """Independent trajectories.

    Attributes:
        samples: Number of trajectories; with ``adapt="n"`` the number that the question's lower estimate
            requires (arXiv 2506.09338: best-of-n with IAS), never more than this.
    """

    rules: ClassVar[tuple[Adapt, ...]] = ("n",)

    samples: int = 16

    def plan(self, tree: Tree) -> Plan:
        """Draw them all at once and wait for them."""
        commands = whole_trajectories(self.samples, self.modes)
        estimate = tree[ROOT].estimate
        if self.adapt == "n" and estimate is not None:
            required = required_samples(estimate.lower, self.confidence)
            granted = whole_trajectories(min(required, self.samples), self.modes)
            commands = [replace(each, required=required) for each in granted]
        yield from gather(tree, commands)
        return None


@dataclass(frozen=True, slots=True)
class Vote(_IndependentSamples):
    """Self-consistency (Wang et al., arXiv 2203.11171): the answer that most samples give."""

    name: ClassVar[str] = "vote"


@dataclass(frozen=True, slots=True)
class BestOfN(_IndependentSamples):
    """The answer of the sample with the highest estimate."""

    name: ClassVar[str] = "best-of-n"
    select: ClassVar[SelectRule] = "best"


@dataclass(frozen=True, slots=True)
class Margin(Strategy):
    """Draw until one answer is a number of votes ahead of every other: the plainest rule that stops early.

    Attributes:
        samples: Most trajectories.
        lead: Lead in votes that ends the search.
    """

    name: ClassVar[str] = "margin"
    size: ClassVar[str] = "lead"
    stops_early: ClassVar[bool] = True

    samples: int = 16
    lead: int = 2

    def plan(self, tree: Tree) -> Plan:
        """Draw them side by side."""
        yield whole_trajectories(self.samples, self.modes)
        while tree.standing is None or tree.standing.votes - tree.standing.second < self.lead:
            yield ()
        return "confident"
