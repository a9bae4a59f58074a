"""Metrics for research against their definitions, cases that were worked out by hand, and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from worlds import scored, tables

from adascale.engine.calibration.metrics import Predictions, brier
from bench.metrics import auc, bootstrap


@given(tables())
@settings(max_examples=60, deadline=None)
def test_auc_is_a_mean_over_pairs_of_outcomes(data: Predictions) -> None:
    w, p = data.weights() / data.total, data.quantiles[:, 1]
    good, bad = w * data.right, w * (data.total - data.right)
    if good.sum() and bad.sum():
        ahead = (p[:, None] > p) + 0.5 * (p[:, None] == p)
        assert auc(data) == pytest.approx(good @ ahead @ bad / (good.sum() * bad.sum()))
    else:
        assert math.isnan(auc(data))


def brier_world(questions: int, rng: np.random.Generator) -> Predictions:
    p = rng.uniform(0.1, 0.9, questions)
    return scored(p, (rng.random(questions) < p).astype(float))


def test_the_bootstrap_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(7)
    truth = float(np.mean([p * (1 - p) for p in np.linspace(0.1, 0.9, 10_001)]))
    intervals = [bootstrap(brier_world(150, rng), brier, rounds=150) for _ in range(60)]
    held = sum(low <= truth <= high for low, high in intervals)
    assert held >= 51  # 57 are expected, the percentile method and 60 tries give some away
