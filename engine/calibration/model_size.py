"""What the size of a model says of how often it is right, before it has said anything.

By published scores of instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
logarithm of the parameters. The line goes through 27 models of .3 to 5 billion; 22 of 7 to 15 billion, which
are no better than those of 3, say where it ends (``python -m bench.evidence.model_sizes``).
"""

from __future__ import annotations

import math
from dataclasses import replace

from ..types import Estimate, FinishedSearch

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
    return _sigmoid(AT_ONE_BILLION + RISE * math.log(min(max(parameters, FROM), UNTIL) / 1e9))


def without_prior(finished: FinishedSearch, prior: float) -> FinishedSearch:
    """A search whose estimates are those of a model of unknown size.

    What lies between two estimates is read of these: near 0 and 1 log-odds are cut off, and a prior would
    move one of the two into the cut and not the other.

    Args:
        finished: With estimates that begin from ``prior``.
        prior: How often a model of its size is right.
    """
    if prior == UNKNOWN:
        return finished
    questions = {mode: _moved(estimate, -_logit(prior)) for mode, estimate in finished.questions.items()}
    candidates = tuple(replace(c, estimate=_moved(c.estimate, -_logit(prior))) for c in finished.candidates)
    return replace(finished, questions=questions, candidates=candidates)


def _moved(estimate: Estimate, logits: float) -> Estimate:
    lower, median, upper = (
        _sigmoid(_logit(p) + logits) for p in (estimate.lower, estimate.median, estimate.upper)
    )
    return replace(estimate, lower=lower, median=median, upper=upper)


def _logit(p: float) -> float:
    p = min(max(p, 1e-9), 1.0 - 1e-9)
    return math.log(p / (1.0 - p))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
