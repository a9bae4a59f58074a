"""Metrics for research against their definitions, cases that were worked out by hand, and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from worlds import scored, tables

from adascale.engine.calibration.metrics import Predictions, brier, skill
from bench.metrics import auc, auc_within, bootstrap, coverage, full_report


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


@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_single_outcomes_cannot_flatter_an_interval(rate: float) -> None:
    rng = np.random.default_rng(3)
    right = (rng.random(500) < rate).astype(float)
    p = np.full(500, 0.5)
    assert np.isnan(coverage(scored(p, right, lower=p - 0.05, upper=p + 0.05)))
    # Ten solutions of each question, of which only the questions differ: taken together they show it.
    question = np.repeat(np.arange(200), 10)
    right = np.repeat((rng.random(200) < rate).astype(float), 10)
    p = np.full(2000, 0.5)
    assert coverage(scored(p, right, question=question, lower=p - 0.05, upper=p + 0.05)) < 0.1


def brier_world(questions: int, rng: np.random.Generator) -> Predictions:
    p = rng.uniform(0.1, 0.9, questions)
    return scored(p, (rng.random(questions) < p).astype(float))


def test_the_bootstrap_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(7)
    truth = float(np.mean([p * (1 - p) for p in np.linspace(0.1, 0.9, 10_001)]))
    intervals = [bootstrap(brier_world(150, rng), brier, rounds=150) for _ in range(60)]
    held = sum(low <= truth <= high for low, high in intervals)
    assert held >= 51  # 57 are expected, the percentile method and 60 tries give some away


def test_auc_within_compares_solutions_of_one_question_alone() -> None:
    p = np.array([0.9, 0.8, 0.2, 0.1, 0.3, 0.7])
    right = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    data = scored(p, right, question=np.array([0, 0, 1, 1, 2, 2]))
    assert auc_within(data) == 0.0  # only question 1 has both, and the wrong way round
    assert auc(data) > 0.5
    assert math.isnan(auc_within(scored(p[:2], right[:2], question=np.array([0, 0]))))


def test_a_full_report_has_the_metrics_of_a_card_and_those_of_research() -> None:
    data = brier_world(60, np.random.default_rng(1))
    own = full_report({"answer": data})["answer"]
    assert (own["skill"], own["auc"]) == (round(skill(data), 4), round(auc(data), 4))
    low, high = own["intervals"]["skill"]
    assert low <= own["skill"] <= high
    assert own["coverage"] is None, "single outcomes cannot tell it"
