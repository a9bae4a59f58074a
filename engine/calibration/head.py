"""A linear head in numpy, and the losses that teach it from counts of right outcomes.

docs/LOG.md has what a hidden layer gains: nothing. The raw outputs of a head become quantiles that cannot
cross, unlike in the paper's official code: ``BetaLoss`` reads two outputs as a Beta distribution of the
success probability, ``PinballLoss`` three as its quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .features import Array, logit, sigmoid
from .metrics import LEVELS, pinball_losses

PRIOR_KAPPA = 8.0
"""Concentration that a head starts from, and stays at where counts say nothing (arXiv 2605.15529)."""

_SPAN = 4.0
_GRID = np.linspace(-12.0, 12.0, 769)
_BLOCK = 1024

_RATE = 0.02
"""Largest step length of Adam; it falls to zero along a half cosine."""

Params = tuple[Array, Array]
"""Weights ``[features, outputs]`` and constants ``[outputs]``."""


class Loss(Protocol):
    """A loss over the outputs of a head.

    Attributes:
        outputs: How many.
        shrunk: ``[outputs]``, share of the weight decay that pulls each constant to zero.
    """

    outputs: int
    shrunk: Array

    def __call__(self, out: Array, right: Array, total: Array) -> tuple[Array, Array]:
        """``[n]`` losses and ``[n, outputs]`` gradients, of ``[n, outputs]`` raw outputs."""

    def quantiles(self, out: Array) -> Array:
        """``[n, 3]`` lower, median and upper."""


class BetaLoss:
    """Negative Beta-binomial likelihood of counts (BetaPRM, arXiv 2605.15529).

    Outputs: logit of the mean, and log of the concentration over ``PRIOR_KAPPA``. One outcome teaches the
    mean alone; several from one prefix teach how far its probability may lie from it.
    """

    outputs = 2
    shrunk = np.array([0.0, 0.1])

    def __call__(self, out: Array, right: Array, total: Array) -> tuple[Array, Array]:
        """See ``Loss``."""
        mean, kappa = self._read(out)
        alpha, beta = mean * kappa, (1 - mean) * kappa
        loss = np.zeros_like(mean)
        d_alpha, d_beta, d_kappa = np.zeros_like(mean), np.zeros_like(mean), np.zeros_like(mean)
        for i in range(int(total.max())):
            for seen, value, slope, sign in (
                (right, alpha, d_alpha, -1.0),
                (total - right, beta, d_beta, -1.0),
                (total, kappa, d_kappa, 1.0),
            ):
                counts = np.clip(seen - i, 0.0, 1.0)  # a probable outcome counts by its probability
                loss = loss + sign * counts * np.log(value + i)
                slope += sign * counts / (value + i)
        d_mean = kappa * (d_alpha - d_beta)
        d_log_kappa = kappa * (mean * d_alpha + (1 - mean) * d_beta + d_kappa)
        d_log_kappa *= np.abs(out[:, 1]) < _SPAN
        return loss, np.column_stack([d_mean * mean * (1 - mean), d_log_kappa])

    def quantiles(self, out: Array) -> Array:
        """See ``Loss``."""
        return mean_and_bounds(*self._read(out))

    @staticmethod
    def _read(out: Array) -> tuple[Array, Array]:
        mean = np.clip(sigmoid(out[:, 0]), 1e-5, 1 - 1e-5)
        return mean, PRIOR_KAPPA * np.exp(np.clip(out[:, 1], -_SPAN, _SPAN))


class PinballLoss:
    """Pinball loss of three quantiles against the observed rate (arXiv 2506.09338, weighted quantile loss).

    Outputs: logit of the median, and logits of where lower and upper lie between it and 0 and 1.
    """

    outputs = 3
    shrunk = np.zeros(3)

    def __call__(self, out: Array, right: Array, total: Array) -> tuple[Array, Array]:
        """See ``Loss``."""
        parts = sigmoid(out)
        slopes = parts * (1 - parts)
        quantiles = self.quantiles(out)
        rate, levels = right / total, np.array(LEVELS)
        d = np.where(rate[:, None] > quantiles, -levels, 1 - levels) / len(LEVELS)
        median, low, high = parts[:, 0], parts[:, 1], parts[:, 2]
        d_median = d[:, 1] + d[:, 0] * low + d[:, 2] * (1 - high)
        gradient = np.column_stack([d_median, d[:, 0] * median, d[:, 2] * (1 - median)]) * slopes
        return pinball_losses(quantiles, rate), gradient

    def quantiles(self, out: Array) -> Array:
        """See ``Loss``."""
        parts = sigmoid(out)
        median = parts[:, 0]
        return np.column_stack([median * parts[:, 1], median, median + (1 - median) * parts[:, 2]])


def mean_and_bounds(mean: Array, kappa: Array) -> Array:
    """``[n, 3]`` lower quantile, mean and upper quantile of Beta distributions.

    The mean stands in for the median, as it is what outcomes are compared with; no bound lies across it.

    Args:
        mean: ``[n]`` in (0, 1).
        kappa: ``[n]`` or ``[1]`` concentrations.
    """
    lower, _, upper = beta_quantiles(mean * kappa, (1 - mean) * kappa).T
    return np.column_stack([np.minimum(lower, mean), mean, np.maximum(upper, mean)])


def beta_quantiles(alpha: Array, beta: Array) -> NDArray[np.float64]:
    """``[n, 3]`` quantiles at ``LEVELS`` of Beta distributions, to about 1e-3.

    By the trapezoid rule over the logit, where the density is smooth and has one peak. It goes by blocks of
    rows, as a row takes 30 KB.
    """
    blocks = len(alpha) // _BLOCK + 1
    parts = zip(np.array_split(alpha, blocks), np.array_split(beta, blocks), strict=True)
    return sigmoid(np.concatenate([_logit_quantiles(a[:, None], b[:, None]) for a, b in parts]))


def _logit_quantiles(a: Array, b: Array) -> Array:
    """``[n, 3]`` logits of the quantiles of Beta distributions with ``[n, 1]`` parameters."""
    centre = np.log(a) - np.log(b)
    # The variance of the logit is trigamma(a) + trigamma(b), here by its first two terms.
    spread = np.sqrt(1 / a + 0.5 / a**2 + 1 / b + 0.5 / b**2)
    x = centre + spread * _GRID
    log_density = -a * np.logaddexp(0.0, -x) - b * np.logaddexp(0.0, x)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    below = np.cumsum(density, axis=1) - 0.5 * density
    below /= below[:, -1:] + 0.5 * density[:, -1:]
    found = [np.interp(LEVELS, row, at) for row, at in zip(below, x, strict=True)]
    return np.array(found).reshape(-1, len(LEVELS))


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """How a head is fitted.

    Attributes:
        components: Of the states (``Inputs.fit``).
        decay: Prior precision of a weight, in questions: it fades as there are more of them.
        anchor: Prior precision of the constant, about even odds, in questions.
        rising: The first so many inputs, which no weight lets lower the estimate.
        sureness: Largest log of the mean concentration over ``PRIOR_KAPPA``: intervals are no narrower.
        folds: Heads of the ensemble, each fitted without one fold of the questions.
        steps: Of Adam, on all rows at once.
    """

    components: int = 64
    decay: float = 10.0
    anchor: float = 0.0
    rising: int = 0
    sureness: float = math.inf
    folds: int = 5
    steps: int = 400


def forward(params: Params, x: Array) -> Array:
    """``[n, outputs]`` raw outputs of ``[n, features]`` inputs."""
    weights, constants = params
    return x @ weights + constants


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Training data of a head.

    Attributes:
        x: ``[n, features]``, about standardised.
        right: ``[n]`` right outcomes.
        total: ``[n]`` outcomes.
        weight: ``[n]``, summing to the number of questions.
        offset: ``[n]``, added to the first output.
    """

    x: Array
    right: Array
    total: Array
    weight: Array
    offset: Array

    def take(self, rows: NDArray[np.bool_]) -> Rows:
        """These rows."""
        return Rows(self.x[rows], self.right[rows], self.total[rows], self.weight[rows], self.offset[rows])


def fit(rows: Rows, loss: Loss, config: HeadConfig) -> Params:
    """Minimise the weighted loss plus decay by Adam (Kingma and Ba, arXiv 1412.6980).

    Args:
        rows: Inputs and outcomes.
        loss: Of the outputs.
        config: Decay and number of steps.
    """
    params = weights, constants = np.zeros((rows.x.shape[1], loss.outputs)), np.zeros(loss.outputs)
    questions = rows.weight.sum()
    # The constant starts at the base rate: steps are short, and it may lie far out.
    constants[0] = logit((rows.weight @ (rows.right / rows.total) + 0.5) / (questions + 1))
    decays = config.decay / questions, config.decay / questions * loss.shrunk
    decays[1][0] += config.anchor / questions
    rows = replace(rows, weight=rows.weight / questions)
    moments = [(np.zeros_like(param), np.zeros_like(param)) for param in params]
    for step in range(1, config.steps + 1):
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        gradients = _gradients(params, rows, loss)
        for param, gradient, decay, (first, second) in zip(params, gradients, decays, moments, strict=True):
            gradient = gradient + decay * param
            first[:] = 0.9 * first + 0.1 * gradient
            second[:] = 0.99 * second + 0.01 * gradient**2
            scale = np.sqrt(second / (1 - 0.99**step)) + 1e-8
            param -= rate * first / (1 - 0.9**step) / scale
        rising = weights[: config.rising, 0]
        np.maximum(rising, 0.0, out=rising)
    return params


def _gradients(params: Params, rows: Rows, loss: Loss) -> Params:
    out = forward(params, rows.x)
    out[:, 0] += rows.offset
    _, slope = loss(out, rows.right, rows.total)
    slope = slope * rows.weight[:, None]
    return rows.x.T @ slope, slope.sum(axis=0)


def folds_of(question: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """``[n]`` fold of each row; all rows of a question share one."""
    names, index = np.unique(question, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % folds)[index]
