"""Whether a question is like those that were fitted, by the generator's state behind its prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Estimate
from .features import States
from .logits import Array, logit, sigmoid
from .projection import Projection

_COMPONENTS = 16
_QUESTIONS_PER_COMPONENT = 10
"""With fewer, the fitted questions lie closer to their own centre than any new one does."""
_SHARE = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Distance of a question from the fitted ones, over a threshold that 99 % of them keep.

    Attributes:
        projection: To standardised components.
        threshold: ``[1]`` root mean square component.
    """

    projection: Projection
    threshold: Array

    @classmethod
    def fit(cls, states: States) -> Domain:
        """From ``[questions, width]`` states."""
        components = max(1, min(_COMPONENTS, len(states) // _QUESTIONS_PER_COMPONENT))
        projection = Projection.fit(states, np.full(len(states), 1 / len(states)), components)
        distance = _distance(projection, states)
        # Questions that all look the same would make everything else infinitely far.
        return cls(projection, np.array([max(float(np.quantile(distance, _SHARE, method="higher")), 1e-3)]))

    def distance(self, states: States) -> Array:
        """``[n]`` distances; above 1 is outside."""
        return _distance(self.projection, states) / self.threshold


def _distance(projection: Projection, states: States) -> Array:
    square: Array = (projection(states) ** 2).mean(axis=1)
    return np.sqrt(square)


def widened(estimate: Estimate, distance: float) -> Estimate:
    """The interval stretched around the median, on the logit scale, for a question that lies outside."""
    if distance <= 1.0:
        return estimate
    low, middle, high = logit(np.array([estimate.lower, estimate.median, estimate.upper]))
    stretched = sigmoid(np.array([middle + distance * (low - middle), middle + distance * (high - middle)]))
    # A logit is kept away from 0 and 1, so what lies there already would come back from it narrower.
    lower, upper = min(float(stretched[0]), estimate.lower), max(float(stretched[1]), estimate.upper)
    return Estimate(lower, estimate.median, upper, estimate.calibrated)
