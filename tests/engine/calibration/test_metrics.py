"""Metrics against their definitions, cases that were worked out by hand, and simulated truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import scored, tables

from adascale.engine.calibration.metrics import (
    Predictions,
    StageReport,
    base_rate,
    brier,
    ece,
    ece_floor,
    report,
    skill,
)
from adascale.engine.codec import build, to_plain


@given(tables())
@settings(max_examples=60, deadline=None)
def test_brier_is_a_mean_over_outcomes(data: Predictions) -> None:
    w, p = data.weights() / data.total, data.quantiles[:, 1]
    good, bad = w * data.right, w * (data.total - data.right)
    assert brier(data) == pytest.approx(good @ (1 - p) ** 2 + bad @ p**2)


@given(tables(), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_repeating_the_rows_of_one_question_changes_nothing(data: Predictions, times: int) -> None:
    first = np.flatnonzero(data.question == data.question[0])
    rows = np.concatenate([np.arange(len(data.right)), *[first] * (times - 1)])
    more = Predictions(data.question[rows], data.quantiles[rows], data.right[rows], data.total[rows])
    for metric in (base_rate, brier, skill, ece):
        assert metric(more) == pytest.approx(metric(data), nan_ok=True), metric


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


@given(tables())
@settings(max_examples=40, deadline=None)
def test_skill_of_the_base_rate_is_zero_and_of_the_truth_one(data: Predictions) -> None:
    constant = np.full(len(data.right), base_rate(data))
    assert skill(scored(constant, data.right, data.total, data.question)) == pytest.approx(0, abs=1e-9)
    single = scored(data.right >= 1, data.right >= 1, question=data.question)
    assert skill(single) == (1 if len(set(single.right)) > 1 else 0)


def test_a_report_is_json_with_all_that_is_promised() -> None:
    rng = np.random.default_rng(1)
    data = scored(rng.random(60), (rng.random(60) < 0.5).astype(float))
    found = report(
        {
            "answer": data,
            "step": scored(data.right[:1], data.right[:1]),
            "finished": scored(data.right[:0], data.right[:0]),
        }
    )
    plain = to_plain(found["answer"])
    assert set(found) == {"answer", "step"}
    assert (plain["n"], plain["questions"]) == (60, 60)
    for metric in (base_rate, brier, skill, ece, ece_floor):
        assert plain[metric.__name__] == round(metric(data), 4)
    assert found["step"].ece_floor is None, "what is not defined"
    assert build(StageReport, json.loads(json.dumps(plain, allow_nan=False))) == found["answer"]
