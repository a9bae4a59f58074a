"""How often a question's trajectories are right, as a distribution around its calibrated estimate."""

from __future__ import annotations

from ..types import Estimate

_Z = 1.2816
"""The 90 % quantile of the standard normal distribution."""

_EPS = 0.01
"""Means are kept this far from 0 and 1."""

_STRENGTHS = 0.1, 100.0
"""Trajectories that an estimate is worth, at least and at most."""


def rate_of(question: Estimate) -> tuple[float, float]:
    """``alpha, beta`` of the rate: a Beta with the mean of the estimate and the variance of its quantiles.

    Where an estimate knows little of its question, the first trajectories tell much: most questions are
    solved nearly always or nearly never.
    """
    mean = min(max(question.median, _EPS), 1.0 - _EPS)
    deviation = max((question.upper - question.lower) / (2.0 * _Z), 1e-3)
    low, high = _STRENGTHS
    strength = min(max(mean * (1.0 - mean) / deviation**2 - 1.0, low), high)
    return mean * strength, (1.0 - mean) * strength
