"""What the size of a model says of how often it is right, before it has said anything.

By published scores of instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
logarithm of the parameters. The line goes through 27 models of .3 to 5 billion; 22 of 7 to 15 billion, which
are no better than those of 3, say where it ends (``python -m bench.evidence.model_sizes``).
"""

from __future__ import annotations

import math

UNKNOWN = 0.5
"""How often a model of unknown size is right: even odds, which portable heads are fitted at."""

AT_ONE_BILLION = -0.16
RISE = 0.89
"""Logits for each factor of e; models lie .5 off the line."""

FROM = 0.1e9
"""Parameters where the line begins, below any model of the table: smaller ones are hardly ever right."""
UNTIL = 2.7e9
"""Parameters where it ends: there it reaches the mean of the larger models."""


def rate_of_size(parameters: float) -> float:
    """How often a model of so many parameters is right, .1 to .67; ``UNKNOWN`` where the count is 0."""
    if parameters <= 0:
        return UNKNOWN
    logit = AT_ONE_BILLION + RISE * math.log(min(max(parameters, FROM), UNTIL) / 1e9)
    return 1.0 / (1.0 + math.exp(-logit))
