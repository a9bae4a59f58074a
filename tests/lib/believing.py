"""What calibrators of worlds with a known truth have in common."""

from __future__ import annotations

from adascale.engine.answers.votes import odds_over_question
from adascale.engine.ports import Prefix
from adascale.engine.types import PROFILES, Estimate, FinishedSearch, NodeId


class Steadfast:
    """Base of a calibrator that revises no estimate and finds no question out of distribution."""

    profiles = PROFILES

    def revise(self, prefix: Prefix, finished: FinishedSearch) -> dict[NodeId, Estimate]:
        return {}

    def odds(self, prefix: Prefix, finished: FinishedSearch) -> dict[NodeId, float]:
        return odds_over_question(finished)

    def is_outside(self, prefix: Prefix) -> bool:
        return False


def around(p: float) -> Estimate:
    """An estimate that is almost sure of a probability."""
    return Estimate(max(0.0, p - 0.05), p, min(1.0, p + 0.05), calibrated=True)
