"""Metrics of estimates for research: errors, ranks, intervals, coverage; the product has those of a card."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.calibration.metrics import Predictions, report, skill
from adascale.engine.calibration.posterior import Array, logit, sigmoid
from adascale.engine.codec import to_plain

_BINS_MAX = 10
_QUESTIONS_PER_BIN = 10
_FLIPS = 200

_GRID = (np.arange(100) + 0.5) / 100
_TAIL = np.log(9.0)  # logit of the upper level


def full_report(predictions: Mapping[str, Predictions]) -> dict[str, dict[str, Any]]:
    """Metrics of the estimates of each stage that occurred, as JSON: those of a card, and those below."""
    found: dict[str, dict[str, Any]] = to_plain(report(predictions))
    for name, own in found.items():
        data = predictions[name]
        own |= {each.__name__: four_digits(each(data)) for each in (ece, ece_floor, auc, coverage)}
        own["intervals"] = {"skill": [*map(four_digits, bootstrap(data, skill))]}
        if own["n"] > own["questions"]:
            own["auc_within"] = four_digits(auc_within(data))
    return found


def four_digits(value: float) -> float | None:
    """A metric for people and files; None where it is not defined."""
    return None if math.isnan(value) else round(float(value), 4)


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
    """The outcomes of each question as one row: counts, mean quantiles, and its weight.

    One Bernoulli outcome cannot identify the dispersion, so only questions with at least two independent
    outcomes are used; the interval is of the share of correct ones among them.
    """
    names, question = np.unique(data.question, return_inverse=True)
    counted = np.ones(len(question)) if data.independent is None else data.independent.astype(float)
    right, total, size, *sums = (
        np.bincount(question, values * counted, len(names)).astype(float)
        for values in (data.right, data.total, counted, *data.quantiles.T)
    )
    each = data.weights() if data.weight is None else data.weight
    weight = np.bincount(question, each, len(names)).astype(float)
    kept = total > 1
    means = np.column_stack(sums)[kept] / size[kept, None]
    return Predictions(names[kept], means, right[kept], total[kept], weight[kept])


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
