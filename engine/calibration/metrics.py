"""Metrics of held-out estimates, weighted by question.

A question counts once, however many prefixes it has: hard questions have long solutions, whose prefixes are
not independent. Brier scores are of single outcomes, correct or wrong, so they include noise that no estimate
can predict; skill compares with the best constant on the same data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .posterior import Array


@dataclass(frozen=True, slots=True)
class StageReport:
    """Metrics of the estimates of one stage on questions that were not fitted.

    Attributes:
        n: Number of prefixes.
        questions: Number of questions that they belong to.
        base_rate, brier, skill: Metrics of this module.
    """

    n: int
    questions: int
    base_rate: float
    brier: float
    skill: float


def report(predictions: Mapping[str, Predictions]) -> dict[str, StageReport]:
    """Metrics of the estimates of each stage that occurred, with four digits."""
    return {
        name: StageReport(
            n=len(data.right),
            questions=len(np.unique(data.question)),
            **{metric.__name__: round(metric(data), 4) for metric in (base_rate, brier, skill)},
        )
        for name, data in predictions.items()
        if len(data.right)
    }


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Estimates with their outcomes.

    Attributes:
        question: ``[n]`` index of the question that each prefix belongs to.
        quantiles: ``[n, 3]`` in [0, 1]: lower, median, upper.
        right, total: ``[n]`` correct outcomes, and all outcomes, at least one.
        weight: ``[n]``; None weights every question the same.
        independent: ``[n]``, True if outcomes of a question are independent of each other; None for all.
    """

    question: NDArray[np.int64]
    quantiles: Array
    right: Array
    total: Array
    weight: Array | None = None
    independent: NDArray[np.bool_] | None = None

    def weights(self) -> Array:
        """``[n]``, summing to one."""
        if self.weight is not None:
            return self.weight / float(self.weight.sum())
        _, inverse, counts = np.unique(self.question, return_inverse=True, return_counts=True)
        weights: Array = 1.0 / (counts[inverse] * len(counts))
        return weights


def base_rate(data: Predictions) -> float:
    """Share of correct outcomes."""
    return float(data.weights() @ (data.right / data.total))


def brier(data: Predictions) -> float:
    """Mean squared error of the median against single outcomes, in [0, 1]."""
    rate, p = data.right / data.total, data.quantiles[:, 1]
    return float(data.weights() @ (rate * (1 - p) ** 2 + (1 - rate) * p**2))


def skill(data: Predictions) -> float:
    """Brier skill: 1 is perfect, 0 is no better than the base rate of this very data, or if all are equal."""
    rate = base_rate(data)
    # If all outcomes are equal, weights that do not quite sum to one leave a remainder of 1e-16 here.
    return 1.0 - brier(data) / (rate * (1.0 - rate)) if abs(rate * (1.0 - rate)) > 1e-12 else 0.0
