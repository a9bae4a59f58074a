"""The allocation rules: how much search an estimate asks for. Pure numbers; strategies apply them.

``required_samples`` and the two rules for beams are those of instance-adaptive scaling (Park et al., arXiv
2506.09338; the formulas as in its code, since the text leaves the clamp and the division open).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.99
"""The paper's C: wanted P(one of the samples is right)."""

_TOKENS = 0.25
"""What a token weighs beside time, where the time of a token of one branch alone weighs 1."""

_ODDS = 0.6
_POWER = 0.7
"""Of the odds that a search goes on after one more trajectory: fitted (docs/LOG.md, 2026-11-26)."""

_EPS = 1e-4
"""Probabilities are kept this far from 0 and 1, as the paper's code does."""


def required_samples(p: float, confidence: float) -> int:
    """Fewest independent samples of which one is right with probability ``confidence``.

    ``N_IAS(p, C) = ceil(ln(1 - C) / ln(1 - p))``; it says nothing about whether the right one is then chosen.

    Args:
        p: Probability that one sample is right; clamped to [1e-4, 1 - 1e-4].
        confidence: In (0, 1).
    """
    return math.ceil(_needed(p, confidence))


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


def samples_of_each(lowers: Sequence[float], kept: int, branching: int, confidence: float) -> int:
    """IAS-of-M: children of each kept prefix, from the lower estimate of the worst of them.

    Args:
        lowers: Lower estimates of the kept prefixes, at least one.
        kept: Prefixes that share the samples (the paper's K_max).
        branching: Never more than this (its M).
        confidence: As in ``required_samples``.
    """
    return max(1, min(math.ceil(_needed(min(lowers), confidence) / kept), branching))


def majority_confidence(first: int, second: int) -> float:
    """P(the leading answer is drawn more often than its rival), from their votes under a uniform prior.

    ``P(X > 1/2)`` for ``X ~ Beta(first + 1, second + 1)``: the stopping rule of adaptive consistency
    (Aggarwal et al., arXiv 2305.11860).
    """
    draws = first + second + 1
    at_most_first = sum(math.comb(draws, i) for i in range(first + 1))
    return at_most_first / float(2**draws)


def chance_needed(ahead: int, undecided: int, surplus: float | None = None) -> float:
    """P(a trajectory will be judged), ``ahead`` places behind the next one.

    After k trajectories that decided nothing the next decides nothing with odds of k + 1 to 1, or less where
    more trajectories promise little: ``0.6 * surplus ** 0.7`` at most (docs/LOG.md).

    Args:
        ahead: How many are judged between the next one, which is sure to be, and this one; 0 and below: none.
        undecided: The k.
        surplus: What each trajectory more promises to add, over what it must add for the search to go on.
    """
    odds = undecided + 1.0
    if surplus is not None:
        odds = min(odds, _ODDS * max(surplus, 0.0) ** _POWER)
    return (odds / (odds + 1.0)) ** max(ahead, 0)


def run_ahead(running: Sequence[float], waiting: Sequence[float], costs: Sequence[float]) -> int:
    """How many of those that wait to start at once, so that a trajectory that is needed costs least.

    One that turns out not to be needed is waste; a fuller batch takes less time for each, where a decode step
    costs little more for it. Time counts in full, tokens a quarter, both relative to one branch alone.

    Args:
        running: Chances that each running branch is needed, in [0, 1].
        waiting: Chances of those that wait, best first; those that are sure to be needed are always started.
        costs: Relative cost of a decode step with 1, 2, ... branches, the first of them 1; never more
            branches than that. Empty where nothing is known: then only what is sure.
    """
    sure = sum(chance >= 1.0 for chance in waiting)
    room = len(costs) - len(running)

    def cost(n: int) -> float:
        branches, useful = len(running) + n, sum(running) + sum(waiting[:n])
        return (costs[branches - 1] + _TOKENS * branches) / useful if useful else math.inf

    return min(range(sure, min(len(waiting), room) + 1), key=cost, default=sure)


def _needed(p: float, confidence: float) -> float:
    p = min(max(p, _EPS), 1.0 - _EPS)
    return math.log(1.0 - confidence) / math.log(1.0 - p)
