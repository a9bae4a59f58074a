"""Reward without a model, and estimates without a calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..ports import Prefix, Score
from ..types import Estimate, Finished, Problem


class SequenceLogprob:
    """Rewards a prefix by the geometric mean of its token probabilities, in [0, 1]; costs nothing."""

    flops_per_token = 0.0

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """``exp(mean token log-probability)`` of all steps so far."""
        return [Score(self._reward(prefix)) for prefix in prefixes]

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""

    @staticmethod
    def _reward(prefix: Prefix) -> float:
        tokens = sum(len(step.token_ids) for step in prefix.steps)
        return math.exp(sum(step.logprob for step in prefix.steps) / tokens) if tokens else 0.0


class Uncalibrated:
    """Passes the raw reward on, marked as a score that is no probability."""

    def question(self, prefix: Prefix) -> None:
        """Nothing is known before anything is written."""

    def confidence(self, prefix: Prefix, finished: Finished) -> None:
        """The best trajectory's score stands for the answer."""

    def outside(self, prefix: Prefix) -> bool:
        """There is no inside."""
        return False

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """The reward three times."""
        return Estimate(reward, reward, reward, calibrated=False)
