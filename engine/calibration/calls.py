"""The number of a call: a look at whether to call at all, and the votes for each call, as one posterior.

It is rough: measured on 75 requests of one coder (docs/research/LOG.md), and shifted by the size of others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from ..answers.weighing import OptionWeights
from ..ports import AnswerEstimates, Prefix, QuestionEstimate, Uncalibrated
from ..tools.tool import NO_CALL, ToolRequest
from ..types import PROFILES, Estimate, FinishedSearch, Mode, ModeProfile, NodeId, Problem
from .options import share_of_trust
from .votes import SPREAD, Z90, shifted

CALL_WEIGHTS = OptionWeights(trust=2.5, lean=-2.6, merit={}, habit=1.0, overlap=0.5)
"""They fit 22 looks of the 1.5b: P(yes) was .69 to .93 where a call is right (13), else .57 to .80 (9)."""

_UNREAD = 0.85
"""Log-odds of a call where the look says nothing: two of three requests want one."""

_FREE, _FORCED = 0.70, 0.90
"""P(a call is right) where nothing was read: behind a result, where a reply in words is as likely as it is
before, and where a call is required or no look was taken."""

_EASIER = 0.55
"""Logits by which a call is easier than a question of mathematics: .68 instead of .55 for the 1.5b."""

_REPEATED = 0.86
"""Chance that two wrong calls are the same: two that agree are right at .84."""

_CALLS = {"right": 0.97, "wrong": 0.85}
"""Chance that a model calls where a call is right, and where none is (22 of 25)."""


@dataclass(frozen=True, slots=True)
class CallPosterior:
    """Implements ``engine.ports.Calibrator`` for requests with tools.

    Attributes:
        prior: Prior accuracy of the model on mathematics, in (0, 1).
        weights: Weights of the look.
    """

    profiles: ClassVar[Mapping[Mode, ModeProfile]] = PROFILES
    is_rough: ClassVar[bool] = True

    prior: float
    weights: OptionWeights = CALL_WEIGHTS

    @classmethod
    def of_size(cls, prior: float, parameters: float) -> Self:
        """The posterior of a model of so many parameters, whose look says the less the smaller it is."""
        share = share_of_trust(parameters)
        lean = share * CALL_WEIGHTS.lean + (1.0 - share) * _UNREAD
        return cls(prior, replace(CALL_WEIGHTS, trust=share * CALL_WEIGHTS.trust, lean=lean))

    def question(self, prefix: Prefix) -> QuestionEstimate:
        """Nothing is known but what a look shows."""
        return QuestionEstimate(None)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """The reward as a score."""
        return Uncalibrated().estimate(prefix, reward)

    def odds(self, finished: FinishedSearch) -> Mapping[NodeId, float]:
        """Calls are weighed without them."""
        return {}

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """The posterior of each answer, with the bounds of models that are worse and better than most."""
        bounds = (-Z90 * SPREAD, 0.0, Z90 * SPREAD)
        p_call = self._call_chance(prefix.problem, finished)
        merits = (shifted(self.prior, _EASIER + logits) for logits in bounds)
        found = [self._chances(finished, p_call, merit) for merit in merits]
        revised: dict[NodeId, Estimate] = {}
        for at, group in enumerate(finished.groups):
            lower, _, upper = sorted(chances[at] for chances in found)
            estimate = Estimate(lower, found[1][at], upper, calibrated=True)
            revised |= dict.fromkeys(group.nodes, estimate)
        options = {}
        if finished.look:
            call, none = finished.look
            options = {call: p_call, none: 1.0 - p_call}
        best = max(revised.values(), key=lambda each: each.median)
        return AnswerEstimates(best, revised, options)

    def _votes(self, finished: FinishedSearch) -> list[int]:
        """Votes for each answer; a reply that was drawn without tools is none."""
        free = {each.node for each in finished.candidates if each.mode == "call"}
        return [sum(node in free for node in group.nodes) for group in finished.groups]

    def _call_chance(self, problem: Problem, finished: FinishedSearch) -> float:
        """P(a call is right)."""
        votes = self._votes(finished)
        none = sum(n for n, group in zip(votes, finished.groups, strict=True) if group.answer == NO_CALL)
        calls = sum(votes) - none
        if finished.look:
            prior = self.weights.prior(tuple(finished.look.values()))[0]
        else:
            request = ToolRequest.of(problem.details)
            prior = _FORCED if request.is_asked or request.choice == "required" else _FREE
        right, wrong = _CALLS["right"], _CALLS["wrong"]
        ratio = calls * math.log(right / wrong) + none * math.log((1.0 - right) / (1.0 - wrong))
        repeated = 1.0 + self.weights.overlap * max(0, calls + none - 1)
        return shifted(prior, ratio / repeated)

    def _chances(self, finished: FinishedSearch, p_call: float, merit: float) -> list[float]:
        """P(correct) of each answer.

        Given that some call is right, n votes for one speak for it as (merit / (1 - merit)) ** n over none of
        those seen, and a wrong one is repeated with ``_REPEATED``.
        """
        votes = self._votes(finished)
        ratios = [
            0.0 if group.answer == NO_CALL or not n else (merit / (1.0 - merit)) ** n / _REPEATED ** (n - 1)
            for n, group in zip(votes, finished.groups, strict=True)
        ]
        total = 1.0 + sum(ratios)
        return [
            1.0 - p_call if group.answer == NO_CALL else p_call * ratio / total
            for ratio, group in zip(ratios, finished.groups, strict=True)
        ]
