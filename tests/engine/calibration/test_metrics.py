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
    for metric in (base_rate, brier, skill):
        assert metric(more) == pytest.approx(metric(data)), metric


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
    for metric in (base_rate, brier, skill):
        assert plain[metric.__name__] == round(metric(data), 4)
    assert build(StageReport, json.loads(json.dumps(plain, allow_nan=False))) == found["answer"]
