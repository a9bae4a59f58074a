"""Metrics of held-out estimates, weighted by question.

A question counts once, however many prefixes it has: hard questions have long solutions, whose prefixes are
not independent. Brier scores are of single outcomes, correct or wrong, so they include noise that no estimate
can predict; skill compares with the best constant on the same data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .posterior import Array

Number = float | None
"""A number of four digits; None where it is not defined."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """Metrics of the estimates of one stage on questions that were not fitted.

    Attributes:
        n: Number of prefixes.
        questions: Number of questions that they belong to.
        base_rate, brier, skill, ece: Metrics of this module.
        ece_floor: ECE that noise alone would show.
    """

    n: int
    questions: int
    base_rate: Number
    brier: Number
    skill: Number
    ece: Number
    ece_floor: Number


def report(predictions: Mapping[str, Predictions]) -> dict[str, StageReport]:
    """Metrics of the estimates of each stage that occurred."""
    figures = (base_rate, brier, skill, ece, ece_floor)
    return {
        name: StageReport(
            n=len(data.right),
            questions=len(np.unique(data.question)),
            **{each.__name__: four_digits(each(data)) for each in figures},
        )
        for name, data in predictions.items()
        if len(data.right)
    }


def four_digits(value: float) -> Number:
    """A metric for people and files."""
    return None if math.isnan(value) else round(float(value), 4)


_BINS_MAX = 10
_QUESTIONS_PER_BIN = 10
_FLIPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Estimates with their outcomes.

    Attributes:
        question: ``[n]`` index of the question that each prefix belongs to.
        quantiles: ``[n, 3]`` in [0, 1]: lower, median, upper.
        right, total: ``[n]`` correct outcomes, and all outcomes, at least one.
        weight: ``[n]``; None weights every question the same.
        independent: ``[n]``, True if outcomes may be counted together (``count_groups``); None for all.
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


def _bin_of(data: Predictions) -> NDArray[np.int64]:
    """``[n]`` bin of each row; equal medians share one, or the order of rows would decide."""
    bins = int(np.clip(len(np.unique(data.question)) // _QUESTIONS_PER_BIN, 1, _BINS_MAX))
    values, index = np.unique(data.quantiles[:, 1], return_inverse=True)
    w = np.bincount(index, data.weights(), len(values))
    # The middle of a value decides its bin, so that one heavy value fills one bin.
    of_value = np.minimum(((np.cumsum(w) - w / 2) * bins).astype(int), bins - 1)
    bin_of_row: NDArray[np.int64] = of_value[index]
    return bin_of_row


def ece(data: Predictions) -> float:
    """Expected calibration error over bins of about equal weight, in [0, 1].

    Bins are by the median: one for every ten questions, at most 10.
    """
    bins, w = _bin_of(data), data.weights()
    miss = w * (data.quantiles[:, 1] - data.right / data.total)
    return float(np.abs(np.bincount(bins, miss)).sum())


def ece_floor(data: Predictions) -> float:
    """Mean ECE that noise alone would give perfect estimates of these questions.

    Cluster wild bootstrap: flips the sign of each question's centred residuals at random, because outcomes of
    one question are correlated. nan if a bin has only one question.
    """
    bins, w = _bin_of(data), data.weights()
    miss = data.right / data.total - data.quantiles[:, 1]
    weight = np.bincount(bins, w)
    gap = np.bincount(bins, w * miss) / np.where(weight > 0, weight, 1.0)
    names, question = np.unique(data.question, return_inverse=True)
    added = np.zeros((len(names), len(weight)))
    np.add.at(added, (question, bins), w * (miss - gap[bins]))
    inside = np.array([len(np.unique(question[bins == b])) for b in range(len(weight))])
    if (inside == 1).any():
        return float("nan")
    # The gap is estimated from the same residuals, which costs one degree of freedom.
    added *= np.sqrt(inside / np.maximum(inside - 1, 1))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, len(names)))
    return float(np.abs(signs @ added).sum(axis=1).mean())


def count_groups(data: Predictions) -> Predictions:
    """Outcomes that can be counted together, each group as one row: counts, mean quantiles, and its weight.

    One Bernoulli outcome cannot identify the dispersion, so only groups with at least two outcomes are used.
    If most questions have prefixes with several outcomes, each such prefix is a group (a few of them, from
    rewritten steps, would not be representative). Otherwise the independent prefixes of a question are a
    group, and the interval is of the share of correct ones among them. The groups of a question share its
    whole weight.
    """
    names, question = np.unique(data.question, return_inverse=True)
    several = data.total > 1
    if 2 * len(np.unique(question[several])) > len(names):
        rows = np.flatnonzero(several)
        of, group = question[rows], np.arange(len(rows))
    else:
        rows = np.arange(len(question)) if data.independent is None else np.flatnonzero(data.independent)
        rows = rows[np.bincount(question[rows], minlength=len(names))[question[rows]] > 1]
        of, group = np.unique(question[rows], return_inverse=True)
    right, total, size, *sums = (
        np.bincount(group, values[rows], len(of)).astype(float)
        for values in (data.right, data.total, np.ones(len(question)), *data.quantiles.T)
    )
    weight = data.weights() if data.weight is None else data.weight
    shares = np.bincount(question, weight, len(names))[of] / np.bincount(of, minlength=len(names))[of]
    return Predictions(names[of], np.column_stack(sums) / size[:, None], right, total, shares)
