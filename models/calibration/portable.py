"""What several models drew, as training data of the portable calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adascale.engine.calibration.fitting import Training
from adascale.engine.calibration.portable import without_states

from .rollouts import Rollouts
from .training import training_set


@dataclass(frozen=True, slots=True, eq=False)
class ModelRollouts:
    """What one model drew.

    Attributes:
        prose: Rollouts of each question.
        programs: Of the same questions; none of a model that drew prose alone.
    """

    prose: Sequence[Rollouts]
    programs: Sequence[Rollouts] = ()

    def training(self) -> Training:
        """As training data without the model's states."""
        texts = [rollouts.problem.question for rollouts in self.prose]
        return without_states(training_set(self.prose, None, self.programs), texts)
