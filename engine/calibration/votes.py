"""The number of a model that nobody fitted: the posterior of its votes, with a prior by its size.

Hidden states mean something else in every model, so none are read. What every model has are its size, and
solutions that agree or do not: P(an answer is correct) is that of ``answers.lookahead``, with its strength of
the prior and the spreads of ``PROFILES``. Decision 0030 has what was measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..answers.choosing import supports
from ..answers.lookahead import STRENGTH, ModeState, posterior
from ..ports import AnswerEstimates, Prefix, QuestionEstimate, Uncalibrated
from ..types import PROFILES, Estimate, FinishedSearch, Mode, ModeProfile, NodeId
from .head import beta_quantiles

# By published scores of instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
# logarithm of the parameters. The line goes through 27 models of .3 to 5 billion; 22 of 7 to 15 billion,
# which are no better than those of 3, say where it ends (``python -m bench.evidence.model_sizes``).
AT_ONE_BILLION = -0.16
RISE = 0.89
"""Logits for each factor of e."""
FROM = 0.34e9
"""Parameters where the line begins: those of the smallest model of the table.

With a prior below .12, prose and a program that agree would be likelier to share a mistake than to be right.
"""
UNTIL = 2.7e9
"""Parameters where it ends: there it reaches the mean of the larger models."""
SPREAD = 0.49
"""Logits that models lie off the line (standard deviation)."""

FACT_SPREAD = 2.0
"""Spread of wrong answers to a question for a fact: below that of programs, since many solutions make one
mistake (Sydney, for the capital of Australia). It is not fitted on anything."""

Z90 = 1.2816
"""90 % quantile of a standard normal."""


def rate_of_size(parameters: float) -> float:
    """Prior accuracy of a model of so many parameters, .25 to .67; even odds where the count is 0."""
    if parameters <= 0:
        return 0.5
    return shifted(0.5, AT_ONE_BILLION + RISE * math.log(min(max(parameters, FROM), UNTIL) / 1e9))


def shifted(p: float, logits: float) -> float:
    """A probability, so many logits away."""
    return 1.0 / (1.0 + (1.0 - p) / p * math.exp(-logits))


@dataclass(frozen=True, slots=True)
class VotePosterior:
    """Implements ``engine.ports.Calibrator`` by votes and a prior.

    Steps and solutions without others beside them have their reward as a score, which is no probability.

    Attributes:
        prior: Prior accuracy of the model, in (0, 1).
    """

    profiles: ClassVar[Mapping[Mode, ModeProfile]] = PROFILES
    weights: ClassVar[None] = None
    is_rough: ClassVar[bool] = True

    prior: float

    def question(self, prefix: Prefix) -> QuestionEstimate:
        """The prior, with the interval of the Beta that the posterior begins from."""
        right, wrong = np.array([self.prior]) * STRENGTH, np.array([1.0 - self.prior]) * STRENGTH
        [[lower, _, upper]] = beta_quantiles(right, wrong).tolist()
        return QuestionEstimate(
            Estimate(min(lower, self.prior), self.prior, max(upper, self.prior), calibrated=True)
        )

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """The reward as a score."""
        return Uncalibrated().estimate(prefix, reward)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """The posterior of the chosen answer, and of each solution that of its answer.

        Lower and upper are those of models of this size that are right less and more often than 80 % of them.
        """
        below, above = (shifted(self.prior, logits) for logits in (-Z90 * SPREAD, Z90 * SPREAD))
        spread = FACT_SPREAD if prefix.problem.kind == "fact" else None
        found = [VotePosterior(prior).chances(finished, spread) for prior in (below, self.prior, above)]
        revised = {}
        for node, p in found[1].items():
            lower, _, upper = sorted(chances[node] for chances in found)
            revised[node] = Estimate(lower, p, upper, calibrated=True)
        return AnswerEstimates(revised[finished.groups[0].nodes[0]], revised)

    def odds(self, finished: FinishedSearch) -> dict[NodeId, float]:
        """Even odds for all: votes alone speak for an answer."""
        return dict.fromkeys((candidate.node for candidate in finished.candidates), 0.0)

    def chances(self, finished: FinishedSearch, spread: float | None = None) -> dict[NodeId, float]:
        """P(its answer is correct) of each solution that has one.

        Args:
            finished: The solutions.
            spread: Spread of their wrong answers; None for that of each mode.
        """
        ended = Counter(candidate.mode for candidate in finished.candidates)
        asked = Estimate(self.prior, self.prior, self.prior, calibrated=True)
        states = {mode: ModeState(asked, n, spread or PROFILES[mode].spread) for mode, n in ended.items()}
        of_answers = posterior(states, supports(finished, self.odds(finished)))
        return {
            node: p for group, p in zip(finished.groups, of_answers, strict=False) for node in group.nodes
        }
