"""Metrics for research against their definitions, cases that were worked out by hand, and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from worlds import scored, tables

from adascale.engine.calibration.metrics import Predictions, brier
from bench.metrics import auc, bootstrap, ece, ece_floor


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


def test_ece_of_a_case_by_hand() -> None:
    p = np.repeat([0.2, 0.8], 80)
    right = np.concatenate([np.arange(80) < 24, np.arange(80) < 60]).astype(float)
    assert ece(scored(p, right)) == pytest.approx(0.075), ".2 was .3, and .8 was .75"


@pytest.mark.parametrize(("rows", "bins"), [(1, 1), (9, 1), (19, 1), (20, 2), (100, 10), (8000, 10)])
def test_bins_have_equal_weight_and_ten_questions(rows: int, bins: int) -> None:
    """Within a bin errors make up for each other: estimates that run against the truth show its middle."""
    p = np.linspace(0, 1, rows)
    within = np.concatenate([part[::-1] for part in np.array_split(p, bins)])
    assert ece(scored(p, within)) == pytest.approx(0, abs=1 / rows)
    if bins > 1:
        assert ece(scored(p, p[::-1])) > 0.4


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
