"""A calibration: one model per stage, one for answers, and the domain that they were fitted on.

The domain of each mode tells how far a question is from those that were fitted, by the generator's state
behind its prompt; outside of it intervals grow with the distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..answers.program import executed_answer
from ..answers.result import FinishedSearch, ModeProfile
from ..ports import AnswerEstimates, Prefix, QuestionEstimate
from ..types import Estimate, Mode
from .features import (
    QUESTION,
    Array,
    Observation,
    Stage,
    States,
    answer_observation,
    code_observation,
    logit,
    program_observation,
    prose_observation,
    sigmoid,
)
from .head import HeadModel
from .projection import Projection

_COMPONENTS = 16
_QUESTIONS_PER_COMPONENT = 10
"""With fewer, the fitted questions lie closer to their own centre than any new one does."""
_SHARE = 0.99
"""Share of the fitted questions whose distance is at most 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Distance of a question from the fitted ones, over a threshold that 99 % of them keep.

    Attributes:
        projection: Maps states to standardised components.
        threshold: ``[1]`` root mean square component.
    """

    projection: Projection
    threshold: Array

    @classmethod
    def fit(cls, states: States) -> Domain:
        """The domain of ``[questions, width]`` states."""
        components = max(1, min(_COMPONENTS, len(states) // _QUESTIONS_PER_COMPONENT))
        projection = Projection.fit(states, np.full(len(states), 1 / len(states)), components)
        distance = cls(projection, np.ones(1)).distance(states)
        # Questions that all look the same would make everything else infinitely far.
        return cls(projection, np.array([max(float(np.quantile(distance, _SHARE, method="higher")), 1e-3)]))

    def distance(self, states: States) -> Array:
        """``[n]`` distances; above 1 is outside."""
        distances: Array = np.sqrt((self.projection(states) ** 2).mean(axis=1)) / self.threshold
        return distances


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Implements ``engine.ports.Calibrator`` with models that were fitted on the generator itself.

    Attributes:
        stages: Model of each stage of its modes.
        answer: Model of a finished search's chosen answer.
        domains: Domain of the questions in each mode.
        profiles: Profile of each mode.
    """

    stages: Mapping[Stage, HeadModel]
    answer: HeadModel
    domains: Mapping[Mode, Domain]
    profiles: Mapping[Mode, ModeProfile]

    weights = None  # there are no options to weigh
    is_rough = False

    @property
    def width(self) -> int:
        """Width of the states that it knows a question by."""
        return len(next(iter(self.domains.values())).projection.matrix)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that it knows."""
        return tuple(self.domains)

    def question(self, prefix: Prefix) -> QuestionEstimate:
        """Estimate for a question of which nothing is written yet."""
        found = Observation({}, {"question": self._known_by(prefix)})
        estimate, distance = self.stages[QUESTION[prefix.mode]].estimate(found), self.distance(prefix)
        return QuestionEstimate(widen(estimate, distance), distance > 1.0)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for a prefix with steps; a finished one has its own model."""
        execution = prefix.execution
        match prefix.mode:
            case "prose":
                stage: Stage = "step" if prefix.steps[-1].finish == "step" else "finished"
                found = prose_observation(prefix, reward)
            case "program":
                stage, answer = "program", None if execution is None else executed_answer(execution)
                found = program_observation(prefix, reward, answer)
            case "code":
                stage, passed = "code", 0 if execution is None else execution.passed
                failed = execution is None or execution.fails
                found = code_observation(prefix, reward, passed, failed=failed)
        return widen(self.stages[stage].estimate(found), self.distance(prefix))

    def answer_observation(self, finished: FinishedSearch) -> Observation:
        """Evidence that ``answer`` reads from a finished search."""
        return answer_observation(finished, self.profiles)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """Estimate for the chosen answer; those of its trajectories stay as they are."""
        estimate = self.answer.estimate(self.answer_observation(finished))
        return AnswerEstimates(widen(estimate, self.distance(prefix)))

    def distance(self, prefix: Prefix) -> float:
        """Distance of the question from the fitted ones; above 1 is outside."""
        return float(self.domains[prefix.mode].distance(self._known_by(prefix)[None])[0])

    def _known_by(self, prefix: Prefix) -> States:
        """``[width]`` by which a question is known."""
        assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
        return prefix.prompt.last


def widen(estimate: Estimate, distance: float) -> Estimate:
    """Stretch the interval around the median, on the logit scale, for a question that lies outside."""
    if distance <= 1.0:
        return estimate
    low, middle, high = logit(np.array([estimate.lower, estimate.median, estimate.upper]))
    stretched = sigmoid(np.array([middle + distance * (low - middle), middle + distance * (high - middle)]))
    # ``logit`` clips near 0 and 1, so a bound that is already there would come back narrower.
    lower, upper = min(float(stretched[0]), estimate.lower), max(float(stretched[1]), estimate.upper)
    return Estimate(lower, estimate.median, upper, estimate.calibrated)
