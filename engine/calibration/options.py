"""Calibration of questions with options: how far a look and the votes of solutions are to be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..answers.choosing import FinishedSearch, ModeProfile
from ..answers.weighing import OptionWeights
from ..kinds import kind_of
from ..ports import AnswerEstimates, Prefix, QuestionEstimate
from ..types import Estimate, Mode

_AT_CHANCE = 0.5e9
"""Parameters of a coder that chooses letters at chance (.27 right of 90 fitting questions)."""
_FITTED_AT = 1.5e9
"""Parameters of the coder that the portable calibrations were fitted on."""


@dataclass(frozen=True, slots=True, eq=False)
class OptionsCalibration:
    """Implements ``engine.ports.Calibrator`` for a kind of question with options.

    Attributes:
        weights: Weights of looks and votes.
        profiles: Statistics of the solutions of each mode.
    """

    weights: OptionWeights
    profiles: Mapping[Mode, ModeProfile]

    is_rough = False

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that it knows."""
        return tuple(self.profiles)

    def of_size(self, parameters: float) -> OptionsCalibration:
        """A portable calibration as a generator of so many parameters uses it.

        Letters of small models say nothing: the portable trust falls to 0 with the logarithm of the size.
        """
        trust = self.weights.trust * share_of_trust(parameters)
        return replace(self, weights=replace(self.weights, trust=trust))

    def question(self, prefix: Prefix) -> QuestionEstimate:
        """Nothing is known of the question but what a look shows."""
        return QuestionEstimate(None)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """The rate at which solutions are correct, until it is known which option one has chosen."""
        merit = self.weights.merit.get(prefix.mode, 0.0)
        p = merit + (1.0 - merit) / max(1, len(kind_of(prefix.problem).options(prefix.problem)))
        return Estimate(p, p, p, calibrated=True)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """Options are weighed without it."""
        return AnswerEstimates(None)


def share_of_trust(parameters: float) -> float:
    """Share of the portable trust that the look of a model of so many parameters deserves, in [0, 1]."""
    if parameters <= 0:
        return 1.0
    share = math.log(parameters / _AT_CHANCE) / math.log(_FITTED_AT / _AT_CHANCE)
    return min(max(share, 0.0), 1.0)
