"""The fit of one stage, against worlds whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import beta_world, by_reward, stage_data

from adascale.engine.calibration.features import logit, sigmoid
from adascale.engine.calibration.fit import HeadConfig, StageData, fit, fit_stage
from adascale.engine.calibration.head import forward, quantiles_of
from adascale.engine.calibration.metrics import coverage, skill

QUICK = HeadConfig(steps=60, folds=3)


def test_held_out_estimates_never_see_their_own_question() -> None:
    data, _ = beta_world(20)
    _, before = fit_stage(data, QUICK, seed=1)
    own = data.question == 7
    other = np.where(own, data.total - data.right, data.right)
    _, after = fit_stage(replace(data, right=other), QUICK, seed=1)
    # The width of a head's interval is one number of all other folds, whose heads saw this one.
    assert np.array_equal(before[own, 1], after[own, 1])
    assert not np.array_equal(before, after)


def test_known_logits_are_added_and_not_learned_again() -> None:
    rng = np.random.default_rng(5)
    x, offset = rng.normal(0, 1, 1500), -2.5 * (rng.random(1500) < 0.3)
    data = by_reward(x, rng.binomial(1, sigmoid(x + offset)))
    data = replace(data, evidence=replace(data.evidence, offset=offset))
    model, held_out = fit_stage(data, HeadConfig(steps=200), seed=0)
    for rows in (offset == 0, offset < 0):
        assert held_out[rows, 1].mean() == pytest.approx(data.right[rows].mean(), abs=0.04)
    sound = logit(model.quantiles(replace(data.evidence, offset=np.zeros(1500)))[:, 1])
    assert logit(model.quantiles(data.evidence)[:, 1]) == pytest.approx(sound + offset, abs=0.01)


def test_a_feature_that_names_the_question_is_worth_nothing_held_out() -> None:
    rng = np.random.default_rng(3)
    question = np.repeat(np.arange(40), 8)
    right = np.repeat(rng.integers(0, 2, 40), 8).astype(float)
    data = stage_data(np.eye(40)[question], right, question=question)
    model, held_out = fit_stage(data, HeadConfig(decay=0.1), seed=0)
    assert skill(data.predictions(held_out)) <= 0.02
    assert skill(data.predictions(model.quantiles(data.evidence))) > 0.3


def test_a_head_finds_a_world_of_logistic_means() -> None:
    data, mean = beta_world(500)
    oracle = skill(data.predictions(np.column_stack([mean, mean, mean])))
    model, held_out = fit_stage(data, HeadConfig(), seed=0)
    assert skill(data.predictions(held_out)) > 0.85 * oracle
    fresh, mean = beta_world(500)
    assert np.corrcoef(model.quantiles(fresh.evidence)[:, 1], mean)[0, 1] > 0.95


@pytest.mark.parametrize("kappa", [3.0, 25.0])
def test_an_interval_holds_eighty_percent(kappa: float) -> None:
    data, mean = beta_world(350, total=8, kappa=kappa)
    _, held_out = fit_stage(data, HeadConfig(), seed=0)
    assert coverage(data.predictions(held_out)) == pytest.approx(0.82, abs=0.05)
    truth = np.random.default_rng(1).beta(mean * kappa, (1 - mean) * kappa)
    inside = (held_out[:, 0] < truth) & (truth < held_out[:, 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.08)


def test_an_interval_is_as_wide_as_held_out_counts_ask_for() -> None:
    # Question and estimate say nothing here: the rate of a question lies anywhere around the mean.
    rng = np.random.default_rng(2)
    question = np.repeat(np.arange(300), 6)
    right = rng.binomial(1, np.repeat(rng.beta(0.6, 0.6, 300), 6))
    data = stage_data(rng.standard_normal((1800, 3)), right, question=question)
    _, held_out = fit_stage(data, HeadConfig(), seed=0)
    assert coverage(data.predictions(held_out)) == pytest.approx(0.8, abs=0.06)


def test_single_outcomes_leave_the_concentration_where_it_began() -> None:
    data, _ = beta_world(60, prefixes=1, total=1)
    model, _ = fit_stage(data, HeadConfig(), seed=0)
    found = model.quantiles(data.evidence)
    expected = quantiles_of(np.column_stack([logit(found[:, 1]), np.zeros(len(found))]))
    assert found == pytest.approx(expected, abs=1e-4)


def test_neither_the_order_of_rows_nor_names_of_questions_matter() -> None:
    data, _ = beta_world(30)
    order = np.random.default_rng(0).permutation(len(data.question))
    taken = data.evidence
    states = {name: block[order] for name, block in taken.states.items()}
    question = data.question[order] * 7 + 100
    shuffled = stage_data(taken.numbers[order], data.right[order], data.total[order], question, states=states)
    model, held_out = fit_stage(data, QUICK, seed=2)
    other, other_held_out = fit_stage(shuffled, QUICK, seed=2)
    assert other_held_out == pytest.approx(held_out[order], abs=1e-4)
    assert other.quantiles(taken) == pytest.approx(model.quantiles(taken), abs=1e-4)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_outcomes_that_are_all_the_same_can_be_fitted(share: float) -> None:
    data, _ = beta_world(20)
    _, held_out = fit_stage(replace(data, right=data.total * share), QUICK, 0)
    assert np.isfinite(held_out).all()
    assert np.abs(held_out[:, 1] - share).max() < 0.5


def test_a_stage_of_one_question_says_the_base_rate() -> None:
    evidence = beta_world(20)[0].evidence
    for data in (beta_world(1)[0], StageData.stack([], evidence.names)):
        model, held_out = fit_stage(data, QUICK, 0, base_rate=0.3)
        found = model.quantiles(evidence)
        assert held_out.shape == (len(data.right), 3)
        assert found[:, 1] == pytest.approx(0.3)
        assert np.all(found[:, 2] - found[:, 0] > 0.5)


@given(st.integers(2, 60), st.integers(2, 6), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_folds_keep_questions_whole_and_are_of_one_size(questions: int, folds: int, seed: int) -> None:
    question = np.random.default_rng(seed).permutation(np.repeat(np.arange(questions), 3))
    found = by_reward(question, question, question=question).folds(folds, seed)
    of = {int(q): {int(f) for f in found[question == q]} for q in range(questions)}
    assert all(len(f) == 1 for f in of.values())
    sizes = np.bincount([next(iter(f)) for f in of.values()], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_decay_fades_as_there_are_more_questions() -> None:
    def slope(questions: int) -> float:
        x = np.linspace(-2, 2, questions)[:, None]
        data = stage_data(x, (x[:, 0] > 0).astype(float))
        params = fit(data, x, np.ones(questions), x[:, 0] < 3, HeadConfig(decay=10))
        out = forward(params, np.array([[-1.0], [1.0]]))[:, 0]
        return float(out[1] - out[0])

    assert 0 < slope(10) < slope(100) < slope(1000)


@pytest.mark.parametrize("rate", [0.01, 0.99])
def test_a_head_with_nothing_to_learn_says_the_base_rate_however_rare(rate: float) -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(600) < rate).astype(float)
    data = stage_data(rng.standard_normal((600, 20)), right, question=np.repeat(np.arange(150), 4))
    _, held_out = fit_stage(data, HeadConfig(), seed=0)
    assert held_out[:, 1].mean() == pytest.approx(right.mean(), abs=0.01)
    assert skill(data.predictions(held_out)) > -0.03


def test_a_head_does_not_extrapolate_beyond_the_numbers_it_was_fitted_on() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    model, _ = fit_stage(stage_data(x, rng.random(200) < sigmoid(3 * x[:, 0])), QUICK, seed=0)
    inside, far = (
        model.quantiles(stage_data(np.array([[v]]), np.ones(1)).evidence) for v in (float(x.max()), 50.0)
    )
    assert np.array_equal(inside, far)
