"""Evidence to a few standardised inputs: principal components of the states, and the scalars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .features import Evidence, States
from .metrics import Array

_CLIP = 4.0
"""Standard deviations beyond which an input says no more: small heads must not extrapolate."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """An affine map of states to standardised principal components.

    Attributes:
        matrix: ``[width, components]`` float32.
        bias: ``[components]``.
    """

    matrix: States
    bias: Array

    @classmethod
    def fit(cls, states: States, weight: Array, components: int) -> Projection:
        """Components of weighted ``[n, width]`` states; label-free."""
        x = states.astype(np.float64)
        mean = weight @ x / weight.sum()
        x -= mean
        covariance = (x * (weight / weight.sum())[:, None]).T @ x
        values, vectors = np.linalg.eigh(covariance)
        top = np.argsort(values)[::-1][:components]
        # A component's sign is the solver's whim: fixed, so that machines agree.
        vectors = vectors[:, top]
        vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(top))])
        matrix = vectors / np.sqrt(np.maximum(values[top], 1e-12))
        return cls(matrix.astype(np.float32), -(mean @ matrix))

    def __call__(self, states: States) -> Array:
        """``[n, components]``."""
        return np.array(states @ self.matrix + self.bias, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """All of a stage's evidence as one standardised row per prefix.

    Attributes:
        projections: One per block of states.
        mean, scale: ``[scalars]``.
    """

    projections: tuple[Projection, ...]
    mean: Array
    scale: Array

    @classmethod
    def fit(cls, evidence: Evidence, weight: Array, components: int) -> Inputs:
        """Standardise by weighted moments."""
        w = weight / weight.sum()
        mean = w @ evidence.scalars
        deviation = np.sqrt(w @ (evidence.scalars - mean) ** 2)
        # A scalar that never changed in fitting (a reward where there is no PRM) must not speak later.
        scale = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0)
        return cls(tuple(Projection.fit(s, weight, components) for s in evidence.states), mean, scale)

    def __call__(self, evidence: Evidence) -> Array:
        """``[n, scalars + blocks * components]``."""
        scalars = (evidence.scalars - self.mean) * self.scale
        parts = [p(s) for p, s in zip(self.projections, evidence.states, strict=True)]
        row: Array = np.concatenate([scalars, *parts], axis=1)
        return row.clip(-_CLIP, _CLIP)
