"""Measures a calibration: metrics by stage with intervals, and those of raw scores and surface features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .features import QUESTION, STAGES, Stage, sigmoid
from .fit import HeadConfig, StageData, Training, answer_examples, fit_stage
from .head import Calibration
from .metrics import (
    BaselineReport,
    Bin,
    Metric,
    Number,
    Predictions,
    StageReport,
    auc,
    auc_within,
    base_rate,
    bootstrap,
    brier,
    coverage,
    ece,
    ece_floor,
    reliability,
    skill,
    width,
)

_WITH_INTERVAL: Mapping[str, Metric] = {
    metric.__name__: metric for metric in (brier, skill, ece, auc, coverage)
}
_SURFACE = ("steps", "tokens", "step_tokens", "cut_off")


def report(
    predictions: Mapping[str, Predictions], training: Training | None = None, rounds: int = 400
) -> dict[str, StageReport]:
    """Metrics of each stage that occurred.

    Args:
        predictions: Estimates of each stage with their outcomes.
        training: The prefixes, for the baselines: raw rewards and surface features.
        rounds: Rounds of each bootstrap.
    """
    stages = {name: _stage(data, rounds) for name, data in predictions.items() if len(data.right)}
    for stage, data in training.stages.items() if training is not None else ():
        if stage in stages and stage not in QUESTION.values():
            within = _four_digits(auc_within(predictions[stage]))
            raw, surface = _baseline(_raw_predictions(data)), _baseline(_surface_predictions(data, stage))
            stages[stage] = replace(stages[stage], raw=raw, surface=surface, auc_within=within)
    return stages


def measure(calibration: Calibration, training: Training, seed: int) -> dict[str, Predictions]:
    """Estimates of a calibration on other questions, by stage.

    Args:
        calibration: Its modes are measured.
        training: The questions.
        seed: Seed of the replayed searches.
    """
    found: dict[str, Predictions] = {
        stage: data.predictions(calibration.stages[stage].quantiles(data.evidence))
        for stage, data in training.stages.items()
        if stage in calibration.stages
    }
    searches = [*answer_examples(training, found, calibration.answer_observation, seed)]
    answers = StageData.stack(searches, calibration.answer.inputs.names)
    found["answer"] = answers.predictions(calibration.answer.quantiles(answers.evidence))
    return found


def _raw_predictions(data: StageData) -> Predictions:
    """The raw reward, taken as a probability."""
    p = sigmoid(data.evidence.columns(["reward"])[:, 0])
    return data.predictions(np.column_stack([p, p, p]))


def _stage(data: Predictions, rounds: int) -> StageReport:
    intervals = bootstrap(data, *_WITH_INTERVAL.values(), rounds=rounds)
    return StageReport(
        n=len(data.right),
        questions=len(np.unique(data.question)),
        outcomes=int(data.total.sum()),
        base_rate=_four_digits(base_rate(data)),
        brier=_four_digits(brier(data)),
        skill=_four_digits(skill(data)),
        ece=_four_digits(ece(data)),
        auc=_four_digits(auc(data)),
        coverage=_four_digits(coverage(data)),
        width=_four_digits(width(data)),
        ece_floor=_four_digits(ece_floor(data)),
        intervals={
            name: (_four_digits(low), _four_digits(high))
            for name, (low, high) in zip(_WITH_INTERVAL, intervals, strict=True)
        },
        reliability=_bins(data),
    )


def _bins(data: Predictions) -> tuple[Bin, ...]:
    return tuple(
        Bin(round(b.weight, 4), round(b.estimate, 4), round(b.observed, 4)) for b in reliability(data)
    )


def _baseline(data: Predictions) -> BaselineReport:
    return BaselineReport(
        _four_digits(brier(data)),
        _four_digits(skill(data)),
        _four_digits(ece(data)),
        _four_digits(auc(data)),
    )


def _surface_predictions(data: StageData, stage: Stage) -> Predictions:
    """Held-out estimates of each prefix by a fit of length and format alone."""
    seen = data.evidence
    # Failed programs keep their offset, since they are known to be wrong; wrong sums are no surface feature.
    offset = np.zeros(len(seen)) if STAGES[stage].mode == "prose" else seen.offset
    surface = replace(seen, names=_SURFACE, numbers=seen.columns(_SURFACE), states={}, offset=offset)
    surface_data = replace(data, evidence=surface)
    return data.predictions(fit_stage(surface_data, HeadConfig(components=0), seed=0)[1])


def _four_digits(value: float) -> Number:
    return None if math.isnan(value) else round(float(value), 4)
