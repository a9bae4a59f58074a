"""What a head learns from counts: losses over its raw outputs, with their gradients.

A head's outputs become quantiles that cannot cross, as those of the paper's official code can. ``BetaLoss``
reads two outputs as a Beta distribution of the success probability, ``PinballLoss`` three as its quantiles.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .logits import Array, sigmoid
from .metrics import LEVELS

PRIOR_KAPPA = 8.0
"""Concentration that a head starts from, and stays at where counts say nothing (arXiv 2605.15529)."""

_SPAN = 4.0
_GRID = np.linspace(-12.0, 12.0, 769)


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
                counts = i < seen
                loss = loss + sign * counts * np.log(value + i)
                slope += sign * counts / (value + i)
        d_mean = kappa * (d_alpha - d_beta)
        d_log_kappa = kappa * (mean * d_alpha + (1 - mean) * d_beta + d_kappa)
        d_log_kappa *= np.abs(out[:, 1]) < _SPAN
        return loss, np.column_stack([d_mean * mean * (1 - mean), d_log_kappa])

    def quantiles(self, out: Array) -> Array:
        """See ``Loss``; the median is the Beta's mean, which is what outcomes are compared with."""
        mean, kappa = self._read(out)
        found = beta_quantiles(mean * kappa, (1 - mean) * kappa)
        found[:, 1] = mean
        return np.column_stack([np.minimum(found[:, 0], mean), mean, np.maximum(found[:, 2], mean)])

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
        miss = (right / total)[:, None] - quantiles
        levels = np.array(LEVELS)
        loss = np.maximum((levels - 1) * miss, levels * miss).mean(axis=1)
        d = np.where(miss > 0, -levels, 1 - levels) / len(LEVELS)
        median, low, high = parts[:, 0], parts[:, 1], parts[:, 2]
        d_median = d[:, 1] + d[:, 0] * low + d[:, 2] * (1 - high)
        gradient = np.column_stack([d_median, d[:, 0] * median, d[:, 2] * (1 - median)]) * slopes
        return loss, gradient

    def quantiles(self, out: Array) -> Array:
        """See ``Loss``."""
        parts = sigmoid(out)
        median = parts[:, 0]
        return np.column_stack([median * parts[:, 1], median, median + (1 - median) * parts[:, 2]])


def beta_quantiles(alpha: Array, beta: Array) -> NDArray[np.float64]:
    """``[n, 3]`` quantiles at ``LEVELS`` of Beta distributions, to about 1e-3.

    By the trapezoid rule over the logit, where the density is smooth and has one peak.
    """
    a, b = alpha[:, None], beta[:, None]
    centre = np.log(a) - np.log(b)
    # The variance of the logit is trigamma(a) + trigamma(b), here by its first two terms.
    spread = np.sqrt(1 / a + 0.5 / a**2 + 1 / b + 0.5 / b**2)
    x = centre + spread * _GRID
    log_density = -a * np.logaddexp(0.0, -x) - b * np.logaddexp(0.0, x)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    below = np.cumsum(density, axis=1) - 0.5 * density
    below /= below[:, -1:] + 0.5 * density[:, -1:]
    found = [np.interp(LEVELS, row, at) for row, at in zip(below, x, strict=True)]
    return sigmoid(np.array(found).reshape(-1, len(LEVELS)))
