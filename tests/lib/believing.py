"""Common parts of calibrators of worlds with a known truth."""

from __future__ import annotations

from adascale.engine.answers.choosing import odds_over_question
from adascale.engine.answers.result import PROFILES, FinishedSearch
from adascale.engine.types import Estimate, NodeId


class Steadfast:
    """Base of a calibrator that revises no estimate and finds no question out of distribution."""

    profiles = PROFILES
    weights = None
    is_rough = False

    def odds(self, finished: FinishedSearch) -> dict[NodeId, float]:
        return odds_over_question(finished)


def around(p: float) -> Estimate:
    """An estimate that is almost sure of a probability."""
    return Estimate(max(0.0, p - 0.05), p, min(1.0, p + 0.05), calibrated=True)
