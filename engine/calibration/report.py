"""How good a calibration is, as a report: metrics by stage with intervals, beside those of the raw score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..codec import OMIT_DEFAULT
from .features import QUESTION, SCALARS, Evidence, Stage
from .fitting import Training, raw_predictions
from .head import HeadConfig
from .metrics import (
    METRICS,
    Bin,
    Predictions,
    auc,
    auc_within,
    base_rate,
    bootstrap,
    brier,
    coverage,
    ece,
    ece_floor,
    pinball,
    reliability,
    skill,
    width,
)
from .models import StageData, fit_model

_WITH_INTERVAL = ("brier", "skill", "ece", "auc", "coverage")
_SURFACE = ("steps", "tokens", "step_tokens", "cut_off")
_DEPTHS = {"1": (1, 1), "2": (2, 2), "3": (3, 3), "4-5": (4, 5), "6+": (6, 10**6)}

Number = float | None
"""Four digits; None for what is not defined, which JSON has no number for."""


@dataclass(frozen=True, slots=True)
class BaselineReport:
    """Other estimates of the same prefixes, such as the raw reward read as a probability: see ``metrics``."""

    brier: Number
    skill: Number
    ece: Number
    auc: Number
    reliability: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class EndedReport:
    """Finished prefixes without the runs that were cut off, whose failure is plain to see.

    Attributes:
        n: How many.
        skill, auc: See ``metrics``; None without any.
    """

    n: int
    skill: Number = None
    auc: Number = None


@dataclass(frozen=True, slots=True)
class StageReport:
    """How good the estimates of one stage are on questions that were not fitted.

    Attributes:
        n: Prefixes.
        questions: Questions that they belong to.
        outcomes: Draws through all prefixes.
        base_rate, brier, skill, ece, auc, coverage, width, pinball: See ``metrics``.
        ece_floor: ECE that noise alone would show.
        intervals: 95 % over questions, of some of the metrics by name.
        reliability: Bins of the reliability diagram.
        raw: The raw reward on the same prefixes, where it was given and the stage has one.
        surface: A fit of length and format alone on the same prefixes, cross-validated: how long they are,
            and whether a limit cut them off. What the states are worth is what is better than this.
        auc_within: See ``metrics``; of stages that have several prefixes of a question.
        auc_by_depth: Of unfinished prefixes by their number of steps.
        ended: Of finished prefixes, those that were not cut off.
    """

    n: int
    questions: int
    outcomes: int
    base_rate: Number
    brier: Number
    skill: Number
    ece: Number
    auc: Number
    coverage: Number
    width: Number
    pinball: Number
    ece_floor: Number
    intervals: Mapping[str, tuple[Number, Number]]
    reliability: tuple[Bin, ...]
    raw: BaselineReport | None = field(default=None, metadata=OMIT_DEFAULT)
    surface: BaselineReport | None = field(default=None, metadata=OMIT_DEFAULT)
    auc_within: Number = field(default=None, metadata=OMIT_DEFAULT)
    auc_by_depth: Mapping[str, Number] | None = field(default=None, metadata=OMIT_DEFAULT)
    ended: EndedReport | None = field(default=None, metadata=OMIT_DEFAULT)


def report(
    predictions: Mapping[str, Predictions], training: Training | None = None, rounds: int = 400
) -> dict[str, StageReport]:
    """Metrics of each stage that occurred.

    Args:
        predictions: Estimates of each stage beside their outcomes.
        training: The prefixes themselves, for the raw reward, AUC by depth and runs that ended.
        rounds: Of each bootstrap.
    """
    stages = {name: _stage(data, rounds) for name, data in predictions.items() if len(data.right)}
    for stage, data in training.stages.items() if training is not None else ():
        if stage in stages and stage not in QUESTION.values():
            within = _four_digits(auc_within(predictions[stage]))
            raw, surface = _beside(raw_predictions(data)), _beside(_surface_predictions(data, stage))
            stages[stage] = replace(stages[stage], raw=raw, surface=surface, auc_within=within)
        if stage in stages and stage == "step":
            stages[stage] = replace(stages[stage], auc_by_depth=_by_depth(predictions[stage], data))
        if stage in stages and stage == "finished":
            stages[stage] = replace(stages[stage], ended=_ended(predictions[stage], data))
    return stages


def _stage(data: Predictions, rounds: int) -> StageReport:
    low_high = {name: bootstrap(data, METRICS[name], rounds) for name in _WITH_INTERVAL}
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
        pinball=_four_digits(pinball(data)),
        ece_floor=_four_digits(ece_floor(data)),
        intervals={name: (_four_digits(low), _four_digits(high)) for name, (low, high) in low_high.items()},
        reliability=_bins(data),
    )


def _bins(data: Predictions) -> tuple[Bin, ...]:
    return tuple(
        Bin(round(b.weight, 4), round(b.estimate, 4), round(b.observed, 4)) for b in reliability(data)
    )


def _beside(data: Predictions) -> BaselineReport:
    return BaselineReport(
        _four_digits(brier(data)),
        _four_digits(skill(data)),
        _four_digits(ece(data)),
        _four_digits(auc(data)),
        _bins(data),
    )


def _surface_predictions(data: StageData, stage: Stage) -> Predictions:
    """Estimates of each prefix by a fit of length and format that never saw its question."""
    columns = [SCALARS[stage].index(name) for name in _SURFACE]
    # A program that failed is known to be wrong without any fit.
    offset = data.evidence.offset if stage in ("program", "code") else 0.0
    seen = replace(data, evidence=Evidence(data.evidence.scalars[:, columns], (), offset))
    return data.predictions(fit_model(seen, "beta", HeadConfig(components=0), seed=0)[1])


def _by_depth(predictions: Predictions, data: StageData) -> dict[str, Number]:
    depth = np.rint(np.exp(data.evidence.scalars[:, SCALARS["step"].index("steps")]))
    weights = predictions.weights()
    rows = {name: np.flatnonzero((depth >= low) & (depth <= high)) for name, (low, high) in _DEPTHS.items()}
    return {name: _four_digits(auc(predictions.take(at, weights))) for name, at in rows.items() if len(at)}


def _ended(predictions: Predictions, data: StageData) -> EndedReport:
    rows = np.flatnonzero(data.evidence.scalars[:, SCALARS["finished"].index("cut_off")] == 0)
    if not len(rows):
        return EndedReport(0)
    ended = predictions.take(rows, predictions.weights())
    return EndedReport(len(rows), _four_digits(skill(ended)), _four_digits(auc(ended)))


def _four_digits(value: float) -> Number:
    return None if math.isnan(value) else round(float(value), 4)
