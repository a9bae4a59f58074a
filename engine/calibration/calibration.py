"""A calibration: one model per stage, one for answers, and the domain that they were fitted on.

The domain of each mode tells whether a question is like those that were fitted, by the generator's state
behind its prompt, or of a portable calibration by its text; outside of it intervals grow with the distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..answers.lookahead import log_odds
from ..answers.program import executed_answer
from ..answers.votes import odds_over_peers, odds_over_question
from ..ports import Prefix
from ..types import Estimate, FinishedSearch, Mode, ModeProfile, NodeId
from .agreement import revise
from .features import (
    QUESTION,
    Array,
    Evidence,
    Stage,
    States,
    StepArrays,
    answer_evidence,
    logit,
    path_evidence,
    program_evidence,
    question_evidence,
    sigmoid,
    vote_evidence,
)
from .model_size import UNKNOWN, rate_of_size
from .models import StageModel
from .projection import Projection
from .question_text import text_features

_COMPONENTS = 16
_QUESTIONS_PER_COMPONENT = 10
"""With fewer, the fitted questions lie closer to their own centre than any new one does."""
_SHARE = 0.99
"""Of the fitted questions, whose distance is at most 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Distance of a question from the fitted ones, over a threshold that 99 % of them keep.

    Attributes:
        projection: To standardised components.
        threshold: ``[1]`` root mean square component.
    """

    projection: Projection
    threshold: Array

    @classmethod
    def fit(cls, states: States) -> Domain:
        """From ``[questions, width]`` states."""
        components = max(1, min(_COMPONENTS, len(states) // _QUESTIONS_PER_COMPONENT))
        projection = Projection.fit(states, np.full(len(states), 1 / len(states)), components)
        distance = _distance(projection, states)
        # Questions that all look the same would make everything else infinitely far.
        return cls(projection, np.array([max(float(np.quantile(distance, _SHARE, method="higher")), 1e-3)]))

    def distance(self, states: States) -> Array:
        """``[n]`` distances; above 1 is outside."""
        return _distance(self.projection, states) / self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Implements ``engine.ports.Calibrator`` with fitted models.

    Attributes:
        stages: Model of each stage of its modes.
        answer: Model of a finished search's chosen answer.
        domains: Where the questions lay, in each mode.
        profiles: Of its modes.
        is_portable: Whether it reads nothing that belongs to one model, and fits all of them.
        agreement: Of a portable one: P(a solution is right) by what others of its question say.
        prior: Of a portable one: how often a generator of this size is right.
    """

    stages: Mapping[Stage, StageModel]
    answer: StageModel
    domains: Mapping[Mode, Domain]
    profiles: Mapping[Mode, ModeProfile]
    is_portable: bool = False
    agreement: StageModel | None = None
    prior: float = UNKNOWN

    def of_size(self, parameters: float) -> Calibration:
        """The same for a generator of so many parameters; a fitted one knows how often its own is right."""
        return replace(self, prior=rate_of_size(parameters)) if self.is_portable else self

    @property
    def width(self) -> int:
        """Numbers by which it knows a question: the hidden states that it reads, or ``TEXT_FEATURES``."""
        return len(next(iter(self.domains.values())).projection.matrix)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that it knows."""
        return tuple(self.domains)

    def question(self, prefix: Prefix) -> Estimate:
        """Estimate for a question of which nothing is written yet."""
        found = self.quantiles(QUESTION[prefix.mode], question_evidence(self._question_state(prefix)))
        return self._estimate(found, prefix)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for a prefix with steps; a finished one has its own model."""
        steps = StepArrays.of(prefix, reward)
        assert steps is not None, "the generator's states were not kept"
        match prefix.mode:
            case "prose":
                stage: Stage = "step" if prefix.steps[-1].finish == "step" else "finished"
                wrong_sum = np.array([steps.wrong_sum])
                evidence = path_evidence(steps.scalars()[None], steps.states()[None], wrong_sum)
            case "program":
                stage = "program"
                answer = None if prefix.execution is None else executed_answer(prefix.execution)
                evidence = _whole_program(steps, steps.program_scalars(answer), failed=answer is None)
            case "code":
                stage, trial = "code", prefix.trial
                passed = 0 if trial is None else trial.passed
                failed = trial is None or trial.fails
                evidence = _whole_program(steps, steps.code_scalars(passed), failed=failed)
        return self._estimate(self.quantiles(stage, evidence), prefix)

    def quantiles(self, stage: Stage, evidence: Evidence) -> Array:
        """``[n, 3]`` lower, median and upper of prefixes of a stage that stand alone."""
        return self.stages[stage].quantiles(evidence.shifted(log_odds(self.prior)))

    def confidence(self, prefix: Prefix, finished: FinishedSearch) -> Estimate:
        """Estimate for the chosen answer of a finished search."""
        if self.is_portable:
            evidence = vote_evidence([finished], self.prior)
        else:
            evidence = answer_evidence([finished], self.profiles, self.answer.features)
        return self._estimate(self.answer.quantiles(evidence), prefix)

    def revise(self, prefix: Prefix, finished: FinishedSearch) -> Mapping[NodeId, Estimate]:
        """See ``ports.Calibrator``; a fitted calibration revises nothing."""
        if self.agreement is None:
            return {}
        distance, revised = self.distance(prefix), revise(self.agreement, finished, self.prior)
        return {node: widen(found, distance) for node, found in revised.items()}

    def odds(self, prefix: Prefix, finished: FinishedSearch) -> Mapping[NodeId, float]:
        """Of estimates over the question's; of a portable calibration over the mean of its solutions.

        Solutions of a model that it was not fitted on may all lie above the question's estimate, or below.
        """
        return odds_over_peers(finished) if self.is_portable else odds_over_question(finished)

    def is_outside(self, prefix: Prefix) -> bool:
        """Whether the question is out of distribution, where estimates say little."""
        return self.distance(prefix) > 1.0

    def distance(self, prefix: Prefix) -> float:
        """Distance of the question from the fitted ones; above 1 is outside."""
        return float(self.domains[prefix.mode].distance(self._question_state(prefix))[0])

    def _question_state(self, prefix: Prefix) -> States:
        """``[1, width]``."""
        if self.is_portable:
            return text_features(prefix.problem.question)[None]
        assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
        return prefix.prompt.last.reshape(1, -1)

    def _estimate(self, quantiles: Array, prefix: Prefix) -> Estimate:
        return widen(Estimate.of_quantiles(quantiles[0]), self.distance(prefix))


class CalibrationByMode:
    """Several calibrations as one ``Calibrator``: what a search asks goes to the one that knows its modes.

    Args:
        calibrations: No two of them know the same mode.
    """

    def __init__(self, calibrations: Sequence[Calibration]) -> None:
        self._by_mode = {mode: each for each in calibrations for mode in each.modes}

    @property
    def profiles(self) -> Mapping[Mode, ModeProfile]:
        """Of all modes."""
        return {mode: each.profiles[mode] for mode, each in self._by_mode.items()}

    def question(self, prefix: Prefix) -> Estimate:
        """See ``Calibration``."""
        return self._by_mode[prefix.mode].question(prefix)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """See ``Calibration``."""
        return self._by_mode[prefix.mode].estimate(prefix, reward)

    def confidence(self, prefix: Prefix, finished: FinishedSearch) -> Estimate:
        """See ``Calibration``."""
        return self._by_mode[prefix.mode].confidence(prefix, finished)

    def revise(self, prefix: Prefix, finished: FinishedSearch) -> Mapping[NodeId, Estimate]:
        """See ``Calibration``."""
        return self._by_mode[prefix.mode].revise(prefix, finished)

    def odds(self, prefix: Prefix, finished: FinishedSearch) -> Mapping[NodeId, float]:
        """See ``Calibration``."""
        return self._by_mode[prefix.mode].odds(prefix, finished)

    def is_outside(self, prefix: Prefix) -> bool:
        """See ``Calibration``."""
        return self._by_mode[prefix.mode].is_outside(prefix)


def _whole_program(steps: StepArrays, scalars: Array, *, failed: bool) -> Evidence:
    return program_evidence(scalars[None], steps.program_states()[None], np.array([failed]))


def widen(estimate: Estimate, distance: float) -> Estimate:
    """The interval stretched around the median, on the logit scale, for a question that lies outside."""
    if distance <= 1.0:
        return estimate
    low, middle, high = logit(np.array([estimate.lower, estimate.median, estimate.upper]))
    stretched = sigmoid(np.array([middle + distance * (low - middle), middle + distance * (high - middle)]))
    # ``logit`` clips near 0 and 1, so a bound that is already there would come back narrower.
    lower, upper = min(float(stretched[0]), estimate.lower), max(float(stretched[1]), estimate.upper)
    return Estimate(lower, estimate.median, upper, estimate.calibrated)


def _distance(projection: Projection, states: States) -> Array:
    square: Array = (projection(states) ** 2).mean(axis=1)
    return np.sqrt(square)
