"""What the size of a model says of how often it is right, before it has said anything.

By published scores of 49 instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
logarithm of the parameters (``python -m bench.evidence.model_sizes``).
"""

from __future__ import annotations

import math

AT_ONE_BILLION = -0.16
RISE = 0.89
"""Logits for each factor of e; models lie .5 off the line."""

_FROM = 0.1e9
UNTIL = 2.7e9
"""Parameters where the line ends: there it reaches the mean of models of 7 to 15 billion."""


def rate_of_size(parameters: float) -> float:
    """How often a model of so many parameters is right, .1 to .67."""
    logit = AT_ONE_BILLION + RISE * math.log(min(max(parameters, _FROM), UNTIL) / 1e9)
    return 1.0 / (1.0 + math.exp(-logit))
