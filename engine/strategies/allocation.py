"""The allocation rules: the amount of search that an estimate asks for. Strategies apply them.

``required_samples`` and the two rules for beams are those of instance-adaptive scaling (Park et al., arXiv
2506.09338; the formulas as in its code, since the text leaves the clamp and the division open).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..types import Estimate

CONFIDENCE = 0.99
"""The paper's C: wanted P(one of the samples is right)."""

_Z = 1.2816
"""The 90 % quantile of the standard normal distribution."""

_MEAN_EPS = 0.01
"""The mean of a rate is kept this far from 0 and 1: no estimate alone says that a task cannot be solved."""

_STRENGTHS = 0.1, 100.0
"""Samples that an estimate is worth, at least and at most."""

_EPS = 1e-4
"""Probabilities are kept this far from 0 and 1, as the paper's code does."""


def required_samples(p: float, confidence: float) -> int:
    """Fewest independent samples of which at least one is correct with probability ``confidence``.

    ``N_IAS(p, C) = ceil(ln(1 - C) / ln(1 - p))``; which says nothing about choosing the correct one.

    Args:
        p: Probability that one sample is right; clamped to [1e-4, 1 - 1e-4].
        confidence: In (0, 1).
    """
    return math.ceil(_samples_needed(p, confidence))


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
    return max(1, min(math.ceil(_samples_needed(min(lowers), confidence) / kept), branching))


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

    Where a calibrated estimate knows little, the first samples tell much: most questions are solved nearly
    always or nearly never.
    """
    mean = min(max(estimate.median, _MEAN_EPS), 1.0 - _MEAN_EPS)
    deviation = max((estimate.upper - estimate.lower) / (2.0 * _Z), 1e-3)
    low, high = _STRENGTHS
    strength = min(max(mean * (1.0 - mean) / deviation**2 - 1.0, low), high)
    return mean * strength, (1.0 - mean) * strength


def _samples_needed(p: float, confidence: float) -> float:
    p = min(max(p, _EPS), 1.0 - _EPS)
    return math.log(1.0 - confidence) / math.log(1.0 - p)
