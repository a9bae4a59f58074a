"""Instance-adaptive scaling (Park et al., arXiv 2506.09338): how much search an estimate asks for, and beams.

The formulas follow its code, since the text leaves the clamp and the division open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ..errors import UsageError
from ..search.tree import Tree
from ..types import ROOT, Z90, Estimate, NodeId
from .base import Command, Cut, Expand, Plan, Strategy, gather, top_k

Adapt = Literal["none", "n", "k", "m", "km"]
"""Which number an allocation rule of the paper sets from lower estimates: the samples of a question, the
prefixes that a beam keeps, the children of each, or both."""


CONFIDENCE = 0.99
"""The paper's C: wanted P(one of the samples is right)."""

_MEAN_EPS = 0.01
"""The mean of a rate stays this far from 0 and 1: no estimate alone proves that a task cannot be solved."""

_STRENGTHS = 0.1, 100.0
"""Samples that an estimate is worth, at least and at most."""

_EPS = 1e-4
"""Probabilities are kept this far from 0 and 1, as the paper's code does."""


@dataclass(frozen=True, slots=True)
class InstanceAdaptive(Strategy):
    """A strategy with allocation rules of the paper (arXiv 2506.09338), each off unless asked for.

    Attributes:
        rules: Which rules the strategy has.
        adapt: The rule in use.
        confidence: The C of the rules, in (0, 1): wanted P(some trajectory is right).
    """

    rules: ClassVar[tuple[Adapt, ...]]

    adapt: Adapt = field(default="none", kw_only=True)
    confidence: float = field(default=CONFIDENCE, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a rule that the strategy does not have.

        Raises:
            UsageError: the rule, or a confidence outside (0, 1).
        """
        Strategy.__post_init__(self)
        if self.adapt not in ("none", *self.rules):
            raise UsageError(f"{self.name} has no rule {self.adapt}", hint=f"it has {', '.join(self.rules)}")
        if not 0.0 < self.confidence < 1.0:
            raise UsageError(f"confidence is {self.confidence:g}, it must be between 0 and 1")

    @property
    def reads_question(self) -> bool:
        """True with a rule, which draws more for a hard question."""
        return self.adapt != "none"


def required_samples(p: float, confidence: float) -> int:
    """Fewest independent samples of which at least one is correct with probability ``confidence``.

    ``N_IAS(p, C) = ceil(ln(1 - C) / ln(1 - p))``. The formula does not choose the correct one.

    Args:
        p: Probability that one sample is right; clamped to [1e-4, 1 - 1e-4].
        confidence: In (0, 1).
    """
    p = min(max(p, _EPS), 1.0 - _EPS)
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - p))


def prefixes_to_keep(lowers: Sequence[float], branching: int, confidence: float, most: int) -> int:
    """IAS-of-K: the smallest k for which ``k * branching`` samples are enough for the k-th best prefix.

    Args:
        lowers: Lower estimates; sorted here, best first.
        branching: Children that each kept prefix gets.
        confidence: As in ``required_samples``.
        most: Never more than this, nor than there are prefixes.
    """
    for k, lower in enumerate(sorted(lowers, reverse=True)[:most], start=1):
        if k * branching >= required_samples(lower, confidence):
            return k
    return min(most, len(lowers))


def samples_of_each(lowers: Sequence[float], width: int, branching: int, confidence: float) -> int:
    """IAS-of-M: children of each kept prefix, from the lower estimate of the worst of them.

    Args:
        lowers: Lower estimates of the kept prefixes, at least one.
        width: Prefixes that share the samples (the paper's K_max).
        branching: Never more than this (its M).
        confidence: As in ``required_samples``.
    """
    return min(math.ceil(required_samples(min(lowers), confidence) / width), branching)


def chance_of_success(question: Estimate, failures: int, left: int) -> float:
    """P(some of the next ``left`` samples succeeds) after failures alone, by a Beta-binomial.

    Args:
        question: Calibrated estimate before the first sample that one succeeds.
        failures: Samples so far.
        left: Samples that may still be drawn.
    """
    a, b = success_beta(question)
    b += failures
    all_fail = math.lgamma(b + left) - math.lgamma(a + b + left) - math.lgamma(b) + math.lgamma(a + b)
    return 1.0 - math.exp(all_fail)


def success_beta(estimate: Estimate) -> tuple[float, float]:
    """``alpha, beta`` of P(a sample succeeds): the mean of the estimate, and the variance of its quantiles.

    If a calibrated estimate is wide, the first samples are informative: most questions are solved nearly
    always or nearly never.
    """
    mean = min(max(estimate.median, _MEAN_EPS), 1.0 - _MEAN_EPS)
    deviation = max((estimate.upper - estimate.lower) / (2.0 * Z90), 1e-3)
    low, high = _STRENGTHS
    strength = min(max(mean * (1.0 - mean) / deviation**2 - 1.0, low), high)
    return mean * strength, (1.0 - mean) * strength


@dataclass(frozen=True, slots=True)
class Beam(InstanceAdaptive):
    """Keep the best prefixes, draw steps below each, repeat.

    The first level draws as many steps as a full beam would. A finished trajectory takes one place of
    the beam, so the search ends after ``beams`` answers (as in Snell et al., arXiv 2408.03314).

    Attributes:
        beams: Prefixes that are kept; with IAS-of-K (``adapt="k"``) the number that their lower estimates
            ask for.
        branching: Children of each; with IAS-of-M (``"m"``) the number that the worst of them asks for.
    """

    name = "beam"
    select = "best"
    grows_steps = True
    rules = ("k", "m", "km")

    beams: int = 4
    branching: int = 4

    @property
    def at_most(self) -> int:
        """A full level: if ``f`` of its trajectories finish, the next has ``(beams - f) * branching``."""
        return self.beams * self.branching

    def plan(self, tree: Tree) -> Plan:
        """Draw a level, prune it, expand the kept prefixes."""
        left = self.beams
        commands: list[Command] = [Expand(ROOT, self.beams * self.branching)]
        while True:
            children = yield from gather(tree, commands)
            alive = [node for node in children if tree[node].status == "open"]
            left -= len(children) - len(alive)
            most = max(0, left)
            if most and alive and "k" in self.adapt:
                most = prefixes_to_keep(_lowers(tree, alive), self.branching, self.confidence, most)
            survivors = top_k(tree, alive, most)
            dropped = tuple(node for node in alive if node not in survivors)
            reason = "outside the beam" if survivors else "the beam is full of answers"
            commands = [Cut(dropped, reason)] if dropped else []
            if not survivors:
                if commands:
                    yield commands
                return None
            commands += self._children(tree, survivors)

    def _children(self, tree: Tree, survivors: Sequence[NodeId]) -> list[Expand]:
        n = self.branching
        if "m" in self.adapt:
            n = samples_of_each(_lowers(tree, survivors), self.beams, n, self.confidence)
        return [Expand(node, n) for node in survivors]


def _lowers(tree: Tree, nodes: Iterable[NodeId]) -> list[float]:
    """Lower estimates of scored nodes, in order."""
    estimates = (tree[node].estimate for node in nodes)
    return [estimate.lower for estimate in estimates if estimate is not None]
