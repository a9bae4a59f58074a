"""Linear heads that map evidence to quantiles of a success probability, and the loss that teaches them.

A head has two raw outputs, which are read as a Beta distribution of the success probability: the logit of its
mean, and the log of its concentration over ``PRIOR_KAPPA``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Estimate
from .features import Array, Evidence, Observation, logit, sigmoid
from .projection import Arrays, Inputs, Projection

LEVELS = (0.1, 0.5, 0.9)
"""Quantile levels of an estimate: lower, median, upper."""

PRIOR_KAPPA = 8.0
"""Concentration that a head starts from, and stays at where counts say nothing (arXiv 2605.15529)."""

OUTPUTS = 2

_SPAN = 4.0
_GRID = np.linspace(-12.0, 12.0, 769)
_BLOCK = 1024

Params = tuple[Array, Array]
"""Weights ``[features, OUTPUTS]`` and constants ``[OUTPUTS]``."""


def beta_loss(out: Array, right: Array, total: Array) -> tuple[Array, Array]:
    """Negative Beta-binomial likelihood of counts (BetaPRM, arXiv 2605.15529).

    One outcome teaches the mean alone; several from one prefix teach how far its probability may lie from it.

    Args:
        out: ``[n, OUTPUTS]`` raw outputs.
        right: ``[n]`` correct outcomes.
        total: ``[n]`` outcomes, at least one each.

    Returns:
        ``[n]`` losses and ``[n, OUTPUTS]`` gradients.
    """
    mean, kappa = _read(out)
    alpha, beta = mean * kappa, (1 - mean) * kappa
    loss = np.zeros_like(mean)
    d_alpha, d_beta, d_kappa = np.zeros_like(mean), np.zeros_like(mean), np.zeros_like(mean)
    for i in range(int(total.max())):
        for seen, value, slope, sign in (
            (right, alpha, d_alpha, -1.0),
            (total - right, beta, d_beta, -1.0),
            (total, kappa, d_kappa, 1.0),
        ):
            counts = seen > i
            loss = loss + sign * counts * np.log(value + i)
            slope += sign * counts / (value + i)
    d_mean = kappa * (d_alpha - d_beta)
    d_log_kappa = kappa * (mean * d_alpha + (1 - mean) * d_beta + d_kappa)
    d_log_kappa *= np.abs(out[:, 1]) < _SPAN
    return loss, np.column_stack([d_mean * mean * (1 - mean), d_log_kappa])


def quantiles_of(out: Array) -> Array:
    """``[n, 3]`` lower, mean and upper of ``[n, OUTPUTS]`` raw outputs.

    The mean stands in for the median, as it is what outcomes are compared with; no bound lies across it.
    """
    mean, kappa = _read(out)
    lower, _, upper = beta_quantiles(mean * kappa, (1 - mean) * kappa).T
    return np.column_stack([np.minimum(lower, mean), mean, np.maximum(upper, mean)])


def _read(out: Array) -> tuple[Array, Array]:
    """``[n]`` means and concentrations."""
    mean = np.clip(sigmoid(out[:, 0]), 1e-5, 1 - 1e-5)
    return mean, PRIOR_KAPPA * np.exp(np.clip(out[:, 1], -_SPAN, _SPAN))


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


def forward(params: Params, x: Array) -> Array:
    """``[n, OUTPUTS]`` raw outputs of ``[n, features]`` inputs."""
    weights, constants = params
    return x @ weights + constants


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """An ensemble of heads over one set of inputs; their raw outputs are averaged.

    Attributes:
        inputs: Inputs of all heads.
        ensemble: Parameters of each head.
    """

    inputs: Inputs
    ensemble: tuple[Params, ...]

    @classmethod
    def constant(cls, rate: float) -> HeadModel:
        """A model that knows a base rate and reads nothing; its interval is wide (a concentration of 1)."""
        nothing = np.empty(0)
        params = np.empty((0, OUTPUTS)), np.array([logit(np.array(rate)), -np.log(PRIOR_KAPPA)])
        return cls(Inputs((), {}, nothing, nothing, nothing, nothing), (params,))

    def quantiles(self, evidence: Evidence) -> Array:
        """``[n, 3]`` lower, median and upper, in [0, 1] and in order."""
        if not len(evidence):
            return np.empty((0, 3))
        x = self.inputs(evidence)
        out: Array = np.mean([forward(params, x) for params in self.ensemble], axis=0)
        out[:, 0] += evidence.offset
        return quantiles_of(out)

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
    def of(cls, arrays: Arrays, numbers: Sequence[str], states: Sequence[str]) -> HeadModel:
        """The inverse of ``arrays``.

        Args:
            arrays: Parameters by name.
            numbers: Names of the numbers that it reads.
            states: Names of the blocks of states that it reads.

        Raises:
            LookupError: one is missing.
        """
        projections = {name: Projection.of(arrays, f"states.{name}") for name in states}
        weights, constants = (arrays[name].astype(np.float64) for name in ("weights", "constants"))
        moments = [arrays[f"numbers.{name}"].astype(np.float64) for name in _MOMENTS]
        inputs = Inputs(tuple(numbers), projections, *moments)
        return cls(inputs, tuple(zip(weights, constants, strict=True)))


_MOMENTS = ("mean", "scale", "low", "high")
"""Arrays of ``Inputs`` that belong to its numbers."""
