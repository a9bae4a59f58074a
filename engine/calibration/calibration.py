"""A calibration: one model per stage, one for answers, and the domain they were fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..ports import Prefix
from ..types import Estimate, Finished
from .answer import answer_features
from .domain import Domain, widened
from .features import Evidence, Path, Stage, path_evidence, question_evidence
from .logits import Array
from .models import StageModel


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Implements ``engine.ports.Calibrator`` with fitted models.

    Attributes:
        stages: Model of each stage.
        answer: Model of a finished search's chosen answer.
        domain: Where the questions lay.
    """

    stages: Mapping[Stage, StageModel]
    answer: StageModel
    domain: Domain

    @property
    def width(self) -> int:
        """Numbers of the hidden states that it reads."""
        return len(self.domain.projection.matrix)

    def question(self, prefix: Prefix) -> Estimate:
        """Estimate for a question of which nothing is written yet."""
        return self._estimate("question", question_evidence(_question(prefix)), prefix)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for a prefix with steps; a finished one has its own model."""
        stage: Stage = "step" if prefix.steps[-1].finish == "step" else "finished"
        path = Path.of(prefix, reward)
        assert path is not None, "the generator's states were not kept"
        evidence = path_evidence(path.scalars()[None], path.states()[None], np.array([path.slipped]))
        return self._estimate(stage, evidence, prefix)

    def confidence(self, prefix: Prefix, finished: Finished) -> Estimate:
        """Estimate for the chosen answer of a finished search."""
        evidence = Evidence(answer_features(finished)[None], ())
        return self._widened(self.answer.quantiles(evidence), prefix)

    def outside(self, prefix: Prefix) -> bool:
        """Whether the question is unlike those that were fitted, so that estimates say little."""
        return self.distance(prefix) > 1.0

    def _estimate(self, stage: Stage, evidence: Evidence, prefix: Prefix) -> Estimate:
        return self._widened(self.stages[stage].quantiles(evidence), prefix)

    def _widened(self, quantiles: Array, prefix: Prefix) -> Estimate:
        lower, median, upper = (float(q) for q in quantiles[0])
        return widened(Estimate(lower, median, upper, calibrated=True), self.distance(prefix))

    def distance(self, prefix: Prefix) -> float:
        """How far the question is from those that were fitted; above 1 is outside."""
        return float(self.domain.distance(_question(prefix))[0])


def _question(prefix: Prefix) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
    return prefix.prompt.last.reshape(1, -1)
