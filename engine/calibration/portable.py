"""Training data of several models as one: what a calibration reads that belongs to no model.

Hidden states mean something else in every model, so they are left out. What remains are log-probabilities,
entropies, lengths, positions, executions and agreement. A question is known by its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..types import Mode
from .agreement import RISING
from .features import FINISHED, QUESTION, Evidence, Stage
from .fitting import CalibrationFit, QuestionSamples, Training, agreement_data, fit_calibration
from .head import HeadConfig
from .models import StageData, fit_model
from .question_text import text_features

_CONFIG = HeadConfig(components=0, decay=1.0, anchor=10.0, sureness=0.0)
"""Few inputs, whose weights must not be so small that a constant speaks for them, and wide intervals."""


def without_states(training: Training, questions: Sequence[str]) -> Training:
    """What is known of every model; ``questions`` are the texts in the place of the states behind them."""
    texts = np.stack([text_features(question) for question in questions])
    asked = set(QUESTION.values())

    def portable(stage: Stage, data: StageData) -> StageData:
        states = (texts[data.question],) if stage in asked else ()
        return replace(data, evidence=replace(data.evidence, states=states))

    return replace(training, stages={s: portable(s, data) for s, data in training.stages.items()})


def join(trainings: Sequence[Training]) -> Training:
    """The data of models with the same stages as one; a fit on several holds out one after the other."""
    sizes = [len(each.samples) for each in trainings]
    first = np.cumsum([0, *sizes[:-1]])
    stages = {
        stage: _join_stage([t.stages[stage] for t in trainings], first) for stage in trainings[0].stages
    }
    samples: list[QuestionSamples] = []
    rows = dict.fromkeys(trainings[0].modes, 0)
    for training, start in zip(trainings, first, strict=True):
        samples += [_moved(each, int(start), rows) for each in training.samples]
        rows = {mode: before + len(training.stages[FINISHED[mode]].right) for mode, before in rows.items()}
    models = np.repeat(np.arange(len(trainings)), sizes)
    return Training(stages, samples, models, is_portable=True)


def _moved(question: QuestionSamples, first: int, rows: Mapping[Mode, int]) -> QuestionSamples:
    """Samples behind those of other models: so many questions, and rows of each mode."""
    samples = (replace(sample, row=sample.row + rows[sample.mode]) for sample in question.samples)
    return QuestionSamples(question.question + first, tuple(samples))


def _join_stage(parts: Sequence[StageData], first: NDArray[np.int64]) -> StageData:
    """The rows of one model after those of the other; ``first`` are the numbers of their first questions."""
    offsets = [np.broadcast_to(part.evidence.offset, len(part.right)) for part in parts]
    evidence = Evidence(
        np.concatenate([part.evidence.scalars for part in parts]),
        tuple(map(np.concatenate, zip(*(part.evidence.states for part in parts), strict=True))),
        np.concatenate(offsets),
    )
    independent = [
        np.ones(len(part.right), bool) if part.independent is None else part.independent for part in parts
    ]
    return StageData(
        evidence,
        np.concatenate([part.question + start for part, start in zip(parts, first, strict=True)]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.total for part in parts]),
        np.concatenate(independent),
    )


def fit_portable(training: Training, seed: int) -> CalibrationFit:
    """Fit all stages on what ``join`` gives; the held-out estimates of a model are by the others alone."""
    fit = fit_calibration(training, "beta", _CONFIG, seed)
    data, _ = agreement_data(training, fit.held_out, seed)
    config = replace(_CONFIG, rising=RISING)
    agreement, quantiles = fit_model(data, "beta", config, seed, models=training.models)
    portable = replace(fit.calibration, is_portable=True, agreement=agreement)
    return CalibrationFit(portable, {**fit.held_out, "agreement": data.predictions(quantiles)})
