"""The answer's own probability: a second, small fit from the state of a finished search."""

from __future__ import annotations

import numpy as np

from ..types import Finished
from .logits import Array, logit

FEATURES = ("question", "share", "lead", "mean", "best", "samples", "groups")


def answer_features(finished: Finished) -> Array:
    """``[len(FEATURES)]``: shares are smoothed by half a vote, probabilities are logits."""
    n, chosen = len(finished.candidates), finished.groups[0]
    medians = {c.node: c.estimate.median for c in finished.candidates}
    members = np.array([medians[node] for node in chosen.nodes])
    votes = len(chosen.nodes)
    other = max((len(group.nodes) for group in finished.groups[1:]), default=0)
    prior = finished.question.median if finished.question is not None else 0.5
    chances = np.array([prior, (votes + 0.5) / (n + 1), members.mean(), members.max()])
    question, share, mean, best = logit(chances)
    lead = (votes - other) / np.sqrt(n)
    return np.array([question, share, lead, mean, best, np.log(n), np.log(len(finished.groups))])
