"""Metrics of held-out estimates, weighted by question.

A question counts once, however many prefixes it has: hard questions have long solutions, whose prefixes are
not independent. Brier scores are of single outcomes, correct or wrong, so they include noise that no estimate
can predict; skill compares with the best constant on the same data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..codec import omitted
from .posterior import Array, logit, sigmoid

Number = float | None
"""A number of four digits; None where it is not defined."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Metrics of other estimates of the same prefixes."""

    skill: Number
    auc: Number


@dataclass(frozen=True, slots=True)
class StageReport:
    """Metrics of the estimates of one stage on questions that were not fitted.

    Attributes:
        n: Number of prefixes.
        questions: Number of questions that they belong to.
        base_rate, brier, skill, ece, auc, coverage: Metrics of this module.
        ece_floor: ECE that noise alone would show.
        intervals: 95 % interval of the skill over questions, by its name.
        auc_within: AUC within questions; None where no question has several prefixes.
        surface: Length and format alone (``fit.surface_estimates``): what the states add is the difference.
    """

    n: int
    questions: int
    base_rate: Number
    brier: Number
    skill: Number
    ece: Number
    auc: Number
    coverage: Number
    ece_floor: Number
    intervals: Mapping[str, tuple[Number, Number]]
    auc_within: Number = omitted(None)
    surface: Baseline | None = omitted(None)


def report(
    predictions: Mapping[str, Predictions], surface: Mapping[str, Predictions] | None = None
) -> dict[str, StageReport]:
    """Metrics of the estimates of each stage that occurred, beside those of length and format alone."""
    found = {}
    for name, data in predictions.items():
        if not len(data.right):
            continue
        (low, high), questions = bootstrap(data, skill), len(np.unique(data.question))
        beside = surface.get(name) if surface else None
        figures = (base_rate, brier, skill, ece, auc, coverage, ece_floor)
        found[name] = StageReport(
            n=len(data.right),
            questions=questions,
            **{each.__name__: _four_digits(each(data)) for each in figures},
            intervals={"skill": (_four_digits(low), _four_digits(high))},
            auc_within=_four_digits(auc_within(data)) if len(data.right) > questions else None,
            surface=Baseline(_four_digits(skill(beside)), _four_digits(auc(beside))) if beside else None,
        )
    return found


def _four_digits(value: float) -> Number:
    return None if math.isnan(value) else round(float(value), 4)


_BINS_MAX = 10
_QUESTIONS_PER_BIN = 10
_GRID = (np.arange(100) + 0.5) / 100
_FLIPS = 200
_TAIL = np.log(9.0)  # logit of the upper level


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


def coverage(data: Predictions) -> float:
    """Share of outcomes in the central 80 % of the predicted distribution; .8 is ideal.

    Only counts are observed, not the probability. Its logit is assumed to be logistic on either side of the
    median, and the PIT of a count is spread evenly over its step (Czado, Gneiting and Held, Biometrics 2009).
    nan if nothing can be counted.
    """
    groups = count_groups(data)
    if not len(groups.right):
        return float("nan")
    low, high = _pit(groups.quantiles, groups.right, groups.total)
    inside = np.minimum(high, 0.9) - np.maximum(low, 0.1)
    # An outcome that was next to impossible has no width of its own, only a place.
    place = (low >= 0.1) & (low <= 0.9)
    share = np.where(high > low, np.clip(inside, 0, None) / np.maximum(high - low, 1e-12), place)
    return float(groups.weights() @ share)


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


def _pit(quantiles: Array, right: Array, total: Array) -> tuple[Array, Array]:
    """``[n]`` twice: probability of fewer correct outcomes than observed, and of at most as many."""
    lower, median, upper = (logit(q)[:, None] for q in quantiles.T)
    levels = logit(_GRID)
    p = sigmoid(median + levels * np.where(levels < 0, median - lower, upper - median) / _TAIL)
    low, high = np.zeros(len(p)), np.zeros(len(p))
    choose = np.ones(len(p))
    for k in range(int(total.max()) + 1):
        left = total - k
        mass = np.where(
            left >= 0, choose * np.mean(p**k * (1 - p) ** np.maximum(left, 0)[:, None], axis=1), 0
        )
        low += mass * (right > k)
        high += mass * (right >= k)
        choose = choose * np.maximum(left, 0) / (k + 1)
    return low, np.minimum(high, 1.0)


def auc(data: Predictions) -> float:
    """Probability that a correct outcome has a higher median than a wrong one.

    Ties count half; nan if all outcomes are equal.
    """
    w = data.weights()
    good, bad = w * data.right / data.total, w * (data.total - data.right) / data.total
    values, inverse = np.unique(data.quantiles[:, 1], return_inverse=True)
    right = np.bincount(inverse, good, len(values))
    wrong = np.bincount(inverse, bad, len(values))
    pairs = right.sum() * wrong.sum()
    below = np.cumsum(wrong) - wrong
    return float((right * (below + wrong / 2)).sum() / pairs) if pairs > 0 else float("nan")


def auc_within(data: Predictions) -> float:
    """Mean over questions of the AUC among their own prefixes; nan if no question has both outcomes.

    It measures what a search needs: to tell correct and wrong solutions of one question apart.
    """
    every = (data.question == question for question in np.unique(data.question))
    found = [auc(replace(data, weight=own.astype(float))) for own in every]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def bootstrap(
    data: Predictions, metric: Callable[[Predictions], float], rounds: int = 400
) -> tuple[float, float]:
    """95 % interval of a metric over questions that are drawn with replacement."""
    rng = np.random.default_rng(0)
    names, index = np.unique(data.question, return_inverse=True)
    weights, values = data.weights(), np.empty(rounds)
    for at in range(rounds):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[index]
        values[at] = metric(replace(data, weight=weights * times))
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return float(low), float(high)
