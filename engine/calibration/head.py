"""Linear heads that map evidence to quantiles of a success probability, and the losses that teach them.

A hidden layer gains nothing at 300 questions (docs/research.md). The raw outputs of a head become quantiles
that cannot cross, unlike in the paper's official code: ``BetaLoss`` reads two outputs as a Beta distribution
of the success probability, ``PinballLoss`` three as its quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Estimate
from . import Method
from .features import Array, Evidence, Observation, logit, sigmoid
from .projection import Arrays, Inputs, Projection

LEVELS = (0.1, 0.5, 0.9)
"""Quantile levels of an estimate: lower, median, upper."""

PRIOR_KAPPA = 8.0
"""Concentration that a head starts from, and stays at where counts say nothing (arXiv 2605.15529)."""

_SPAN = 4.0
_GRID = np.linspace(-12.0, 12.0, 769)
_BLOCK = 1024

Params = tuple[Array, Array]
"""Weights ``[features, outputs]`` and constants ``[outputs]``."""


class BetaLoss:
    """Negative Beta-binomial likelihood of counts (BetaPRM, arXiv 2605.15529).

    Outputs: logit of the mean, and log of the concentration over ``PRIOR_KAPPA``. One outcome teaches the
    mean alone; several from one prefix teach how far its probability may lie from it.

    Attributes:
        outputs: Number of outputs.
        shrunk: ``[outputs]``, share of the weight decay that pulls each constant to zero.
        vague: ``[outputs]`` of a wide interval around even odds, for prefixes of which nothing is known.
    """

    outputs = 2
    shrunk = np.array([0.0, 0.1])
    vague = np.array([0.0, -np.log(PRIOR_KAPPA)])

    def __call__(self, out: Array, right: Array, total: Array) -> tuple[Array, Array]:
        """``[n]`` losses and ``[n, outputs]`` gradients, of ``[n, outputs]`` raw outputs."""
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
        """``[n, 3]`` lower, mean and upper.

        The mean stands in for the median, as it is what outcomes are compared with; no bound lies across it.
        """
        mean, kappa = self._read(out)
        lower, _, upper = beta_quantiles(mean * kappa, (1 - mean) * kappa).T
        return np.column_stack([np.minimum(lower, mean), mean, np.maximum(upper, mean)])

    @staticmethod
    def _read(out: Array) -> tuple[Array, Array]:
        mean = np.clip(sigmoid(out[:, 0]), 1e-5, 1 - 1e-5)
        return mean, PRIOR_KAPPA * np.exp(np.clip(out[:, 1], -_SPAN, _SPAN))


class PinballLoss:
    """Pinball loss of three quantiles against the observed rate (arXiv 2506.09338, weighted quantile loss).

    Outputs: logit of the median, and logits of where lower and upper lie between it and 0 and 1. Attributes
    are those of ``BetaLoss``.
    """

    outputs = 3
    shrunk = np.zeros(3)
    vague = np.array([0.0, -np.log(9.0), np.log(9.0)])

    def __call__(self, out: Array, right: Array, total: Array) -> tuple[Array, Array]:
        """``[n]`` losses and ``[n, outputs]`` gradients."""
        parts = sigmoid(out)
        slopes = parts * (1 - parts)
        quantiles = self.quantiles(out)
        rate, levels = right / total, np.array(LEVELS)
        d = np.where(rate[:, None] > quantiles, -levels, 1 - levels) / len(LEVELS)
        median, low, high = parts[:, 0], parts[:, 1], parts[:, 2]
        d_median = d[:, 1] + d[:, 0] * low + d[:, 2] * (1 - high)
        gradient = np.column_stack([d_median, d[:, 0] * median, d[:, 2] * (1 - median)]) * slopes
        miss = rate[:, None] - quantiles
        return np.maximum((levels - 1) * miss, levels * miss).mean(axis=1), gradient

    def quantiles(self, out: Array) -> Array:
        """``[n, 3]`` lower, median and upper."""
        parts = sigmoid(out)
        median = parts[:, 0]
        return np.column_stack([median * parts[:, 1], median, median + (1 - median) * parts[:, 2]])


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


Loss = BetaLoss | PinballLoss
LOSSES: Mapping[Method, Loss] = {"beta": BetaLoss(), "quantile": PinballLoss()}


def forward(params: Params, x: Array) -> Array:
    """``[n, outputs]`` raw outputs of ``[n, features]`` inputs."""
    weights, constants = params
    return x @ weights + constants


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """An ensemble of heads over one set of inputs; their raw outputs are averaged.

    Attributes:
        inputs: Inputs of all heads.
        ensemble: Parameters of each head.
        method: How outputs become quantiles.
    """

    inputs: Inputs
    ensemble: tuple[Params, ...]
    method: Method

    @classmethod
    def constant(cls, rate: float, method: Method) -> HeadModel:
        """A model that knows a base rate and reads nothing."""
        nothing = np.empty(0)
        constants = LOSSES[method].vague.copy()
        constants[0] = logit(np.array(rate))
        params = np.empty((0, len(constants))), constants
        return cls(Inputs((), {}, nothing, nothing, nothing, nothing), (params,), method)

    def quantiles(self, evidence: Evidence) -> Array:
        """``[n, 3]`` lower, median and upper, in [0, 1] and in order."""
        if not len(evidence):
            return np.empty((0, 3))
        x = self.inputs(evidence)
        out: Array = np.mean([forward(params, x) for params in self.ensemble], axis=0)
        out[:, 0] += evidence.offset
        return LOSSES[self.method].quantiles(out)

    def estimate(self, found: Observation) -> Estimate:
        """The estimate of one prefix or answer."""
        evidence = Evidence.stack([found], self.inputs.names, [*self.inputs.projections])
        return Estimate.of_quantiles(self.quantiles(evidence)[0])

    def arrays(self) -> Arrays:
        """All its parameters by name, for an artefact; ``inputs`` has the names of what it reads."""
        weights, constants = (np.stack(part) for part in zip(*self.ensemble, strict=True))
        found: dict[str, NDArray[np.floating[Any]]] = {"weights": weights, "constants": constants}
        found |= {f"numbers.{name}": getattr(self.inputs, name) for name in _MOMENTS}
        for name, projection in self.inputs.projections.items():
            found |= projection.arrays(f"states.{name}")
        return found

    @classmethod
    def of(cls, arrays: Arrays, method: Method, numbers: Sequence[str], states: Sequence[str]) -> HeadModel:
        """The inverse of ``arrays``.

        Args:
            arrays: Parameters by name.
            method: How outputs become quantiles.
            numbers: Names of the numbers that it reads.
            states: Names of the blocks of states that it reads.

        Raises:
            LookupError, ValueError: they are not those of a model.
        """
        projections = {name: Projection.of(arrays, f"states.{name}") for name in states}
        weights, constants = (arrays[name].astype(np.float64) for name in ("weights", "constants"))
        if not len(weights):
            raise ValueError("weights have no member")
        moments = [arrays[f"numbers.{name}"].astype(np.float64) for name in _MOMENTS]
        if any(moment.shape != (len(numbers),) for moment in moments):
            raise ValueError(f"moments of {len(numbers)} numbers")
        inputs = Inputs(tuple(numbers), projections, *moments)
        return cls(inputs, tuple(zip(weights, constants, strict=True)), method)


_MOMENTS = ("mean", "scale", "low", "high")
"""Arrays of ``Inputs`` that belong to its numbers."""
