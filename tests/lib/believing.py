"""Calibrators of worlds with a known truth."""

from __future__ import annotations

from collections.abc import Mapping

from adascale.engine.answers.choosing import PROFILES, FinishedSearch
from adascale.engine.ports import AnswerEstimates, Prefix, QuestionEstimate
from adascale.engine.types import Estimate, Mode


class Fitted:
    """Base of a calibrator that is not rough and weighs no options."""

    profiles = PROFILES
    weights = None
    is_rough = False


def around(p: float) -> Estimate:
    """An estimate that is almost sure of a probability."""
    return Estimate(max(0.0, p - 0.05), p, min(1.0, p + 0.05), calibrated=True)


class Believing(Fitted):
    """Takes rewards for probabilities, and the vote share shrunk towards the question's for the answer's.

    Args:
        question: Probability of the question, or that of each mode.
    """

    def __init__(self, question: float | Mapping[Mode, float]) -> None:
        self._question = question

    def _p(self, mode: Mode) -> float:
        return self._question if isinstance(self._question, float) else self._question[mode]

    def question(self, prefix: Prefix) -> QuestionEstimate:
        return QuestionEstimate(around(self._p(prefix.mode)))

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        failed = prefix.execution is not None and prefix.execution.error
        return around(0.001 if failed else reward)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        votes, n = len(finished.groups[0].nodes), len(finished.candidates)
        p = self._p(prefix.mode)
        return AnswerEstimates(around((votes + p) / (n + 1) if votes > 1 else p / 2))
