"""Metrics for research against their definitions, cases that were worked out by hand, and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from worlds import scored, tables

from adascale.engine.calibration.metrics import Predictions
from bench.metrics import auc, ece, ece_floor


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


def test_ece_of_a_case_by_hand() -> None:
    p = np.repeat([0.2, 0.8], 80)
    right = np.concatenate([np.arange(80) < 24, np.arange(80) < 60]).astype(float)
    assert ece(scored(p, right)) == pytest.approx(0.075), ".2 was .3, and .8 was .75"


def test_the_floor_of_ece_knows_that_steps_of_a_solution_share_its_outcome() -> None:
    rng = np.random.default_rng(4)
    question, p = np.repeat(np.arange(200), 6), np.repeat(rng.uniform(0, 1, 200), 6)

    def world() -> Predictions:
        return scored(p, np.repeat((rng.random(200) < p[::6]).astype(float), 6), question=question)

    true = np.mean([ece(world()) for _ in range(100)])
    assert np.mean([ece_floor(world()) for _ in range(10)]) == pytest.approx(true, rel=0.1)
    few = [scored(p[:n], np.ones(n)) for n in (1, 2)]
    assert np.isnan(ece_floor(few[0]))
    # Nor does an error of the estimates pass for noise.
    off = world()
    shifted = scored(p * 0.5, off.right, question=question)
    assert ece_floor(shifted) < 1.3 * true < ece(shifted)
