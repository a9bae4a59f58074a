"""Evidence to a few standardised inputs: principal components of the states, and the scalars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .features import Array, Evidence, States

_MIN_VARIANCE = 1e-8
_CLIP = 4.0
"""Standard deviations at which a component is clipped."""

_TEMPERING = 0.25
"""Of the components that a head reads (``Projection.fit``); docs/LOG.md has the others."""


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

    def __call__(self, states: States) -> Array:
        """``[n, components]``."""
        z: Array = (states @ self.matrix).astype(np.float64) + self.bias
        return z.clip(-_CLIP, _CLIP) * self.size


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """All of a stage's evidence as one standardised row per prefix.

    Attributes:
        projections: One per block of states; none where they are not read.
        mean, scale: ``[scalars]``.
        low, high: ``[scalars]``, the range that was fitted: a small head must not extrapolate, say to sixteen
            equal answers from four.
    """

    projections: tuple[Projection, ...]
    mean: Array
    scale: Array
    low: Array
    high: Array

    @classmethod
    def fit(cls, evidence: Evidence, weight: Array, components: int) -> Inputs:
        """Standardise by weighted moments; for the rest see ``Projection.fit``."""
        w = weight / weight.sum()
        mean = w @ evidence.scalars
        deviation = np.sqrt(w @ (evidence.scalars - mean) ** 2)
        # A scalar that was constant in fitting (say no step was ever cut off) must have no effect later.
        scale = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0)
        read = evidence.states if components else ()
        projections = (Projection.fit(s, weight, components, _TEMPERING) for s in read)
        low, high = (f(evidence.scalars, axis=0) for f in (np.min, np.max))
        return cls(tuple(projections), mean, scale, low, high)

    def __call__(self, evidence: Evidence) -> Array:
        """``[n, scalars + blocks * components]``."""
        scalars = (evidence.scalars.clip(self.low, self.high) - self.mean) * self.scale
        read = evidence.states if self.projections else ()
        parts = [p(s) for p, s in zip(self.projections, read, strict=True)]
        return np.concatenate([scalars, *parts], axis=1)
