"""Evidence as a few standardised inputs: principal components of the states, and the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import Array, Evidence, States

Arrays = Mapping[str, NDArray[np.floating[Any]]]

_MIN_VARIANCE = 1e-8
_CLIP = 4.0
"""Standard deviations at which a component is clipped."""

_TEMPERING = 0.25
"""Tempering of the components that a head reads (``Projection.fit``); 0 and .5 are worse on the 1.5b."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """An affine map of states to standardised principal components, each scaled by its prior size.

    Attributes:
        matrix: ``[width, components]``, rounded to half precision, which an artefact keeps it in.
        bias: ``[components]``.
        size: ``[components]``, 1 for the largest, less for smaller ones.
    """

    matrix: States
    bias: Array
    size: Array

    @classmethod
    def fit(cls, states: States, weight: Array, components: int, tempering: float = 0.0) -> Projection:
        """Components of weighted ``[n, width]`` states; label-free.

        ``tempering`` is the power of its share of variance that a component keeps as its size. Whitening (0)
        trusts the smallest as much as the largest; plain components (.5) nearly ignore the small ones. Under
        weight decay the size is the prior.
        """
        x = states.astype(np.float64)
        mean = weight @ x / weight.sum()
        x -= mean
        covariance = (x * (weight / weight.sum())[:, None]).T @ x
        values, vectors = np.linalg.eigh(covariance)
        top = np.argsort(values)[::-1][:components]
        values = np.maximum(values[top], _MIN_VARIANCE)
        # The solver chooses a component's sign: it is fixed here, so that machines agree.
        vectors = vectors[:, top]
        vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(top))])
        # A direction without variance (few questions, or all the same) carries no information.
        matrix = np.where(values > _MIN_VARIANCE, vectors / np.sqrt(values), 0.0)
        matrix = matrix.astype(np.float16).astype(np.float32)
        return cls(matrix, -(mean @ matrix), (values / values[0]) ** tempering)

    @classmethod
    def of(cls, arrays: Arrays, name: str) -> Projection:
        """The inverse of ``arrays``.

        Raises:
            KeyError: one of its arrays is missing.
        """
        matrix, bias, size = (arrays[f"{name}.{part}"] for part in ("matrix", "bias", "size"))
        return cls(matrix.astype(np.float32), bias.astype(np.float64), size.astype(np.float64))

    def arrays(self, name: str) -> Arrays:
        """Its arrays for an artefact, each with this name in front of its own."""
        return {f"{name}.matrix": self.matrix, f"{name}.bias": self.bias, f"{name}.size": self.size}

    def __call__(self, states: States) -> Array:
        """``[n, components]``."""
        z: Array = (states @ self.matrix).astype(np.float64) + self.bias
        return z.clip(-_CLIP, _CLIP) * self.size


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """All evidence that a head reads as one standardised row per prefix.

    Attributes:
        names: Numbers that are read.
        projections: Projection of each block of states that is read, by its name.
        mean, scale: ``[numbers]``.
        low, high: ``[numbers]``, the range that was fitted: a small head must not extrapolate, say to sixteen
            equal answers from four.
    """

    names: tuple[str, ...]
    projections: Mapping[str, Projection]
    mean: Array
    scale: Array
    low: Array
    high: Array

    @classmethod
    def fit(cls, evidence: Evidence, weight: Array, components: int) -> Inputs:
        """Standardise by weighted moments; states are read where ``components`` is not 0."""
        w = weight / weight.sum()
        mean = w @ evidence.numbers
        deviation = np.sqrt(w @ (evidence.numbers - mean) ** 2)
        # A number that was constant in fitting (say no step was ever cut off) must have no effect later.
        scale = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0)
        read = evidence.states if components else {}
        projections = {
            name: Projection.fit(states, weight, components, _TEMPERING) for name, states in read.items()
        }
        low, high = (f(evidence.numbers, axis=0) for f in (np.min, np.max))
        return cls(evidence.names, projections, mean, scale, low, high)

    def __call__(self, evidence: Evidence) -> Array:
        """``[n, numbers + blocks * components]``."""
        numbers = (evidence.columns(self.names).clip(self.low, self.high) - self.mean) * self.scale
        parts = [project(evidence.states[name]) for name, project in self.projections.items()]
        return np.concatenate([numbers, *parts], axis=1)
