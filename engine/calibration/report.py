"""Metrics as a report: per stage, with intervals, beside the raw score that they are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .features import SCALARS
from .fitting import Training, raw_predictions
from .metrics import METRICS, Predictions, auc, bootstrap, brier, ece, ece_floor, reliability, skill
from .models import StageData

_WITH_INTERVAL = ("brier", "skill", "ece", "auc", "coverage")
_DEPTHS = {"1": (1, 1), "2": (2, 2), "3": (3, 3), "4-5": (4, 5), "6+": (6, 10**6)}

Report = dict[str, Any]


def report(scored: Mapping[str, Predictions], training: Training | None = None, rounds: int = 400) -> Report:
    """JSON-ready metrics of each stage that occurred.

    Keys of a stage: ``n`` prefixes, ``questions``, ``outcomes``, every metric of ``METRICS``, ``ece_floor``
    (what noise alone would show), ``intervals`` (95 %, over questions), ``reliability``; with ``training``
    also ``raw``, the same for the raw reward taken as a probability, ``auc_by_depth``, and for finished ones
    ``ended``, skill and AUC without the runs that were cut off, whose failure is plain to see.
    """
    found = {name: _stage(data, rounds) for name, data in scored.items() if len(data.right)}
    for stage, data in training.stages.items() if training is not None else ():
        if stage in found and stage != "question":
            found[stage]["raw"] = _raw(data)
        if stage in found and stage == "step":
            found[stage]["auc_by_depth"] = _by_depth(scored[stage], data)
        if stage in found and stage == "finished":
            found[stage]["ended"] = _ended(scored[stage], data)
    return found


def _stage(data: Predictions, rounds: int) -> Report:
    found: Report = {
        "n": len(data.right),
        "questions": len(np.unique(data.question)),
        "outcomes": int(data.total.sum()),
        **{name: _number(metric(data)) for name, metric in METRICS.items()},
        "ece_floor": _number(ece_floor(data)),
        "intervals": {
            name: [_number(x) for x in bootstrap(data, METRICS[name], rounds)] for name in _WITH_INTERVAL
        },
    }
    return {**found, "reliability": _bins(data)}


def _bins(data: Predictions) -> list[Report]:
    return [{key: _number(value) for key, value in b._asdict().items()} for b in reliability(data)]


def _raw(data: StageData) -> Report:
    scored = raw_predictions(data)
    found: Report = {m.__name__: _number(m(scored)) for m in (brier, skill, ece, auc)}
    return {**found, "reliability": _bins(scored)}


def _by_depth(scored: Predictions, data: StageData) -> Report:
    depth = np.rint(np.exp(data.evidence.scalars[:, SCALARS["step"].index("steps")]))
    weights = scored.weights()
    found = {}
    for name, (low, high) in _DEPTHS.items():
        rows = np.flatnonzero((depth >= low) & (depth <= high))
        if len(rows):
            found[name] = _number(auc(scored.take(rows, weights)))
    return found


def _ended(scored: Predictions, data: StageData) -> Report:
    rows = np.flatnonzero(data.evidence.scalars[:, SCALARS["finished"].index("cut_off")] == 0)
    ended = scored.take(rows, scored.weights())
    return {"n": len(rows), **{m.__name__: _number(m(ended)) for m in (skill, auc) if len(rows)}}


def _number(value: float) -> float | None:
    """Four digits; None for what is not defined, which JSON has no number for."""
    return None if math.isnan(value) else round(float(value), 4)
