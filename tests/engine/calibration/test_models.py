"""Models of one stage: maps against scikit-learn and scipy, heads against a world whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from worlds import beta_world, by_reward

from adascale.engine.calibration import Method
from adascale.engine.calibration.features import Evidence, logit, sigmoid
from adascale.engine.calibration.head import BetaLoss, HeadConfig, Rows, fit, folds_of, forward
from adascale.engine.calibration.metrics import Array, coverage, skill
from adascale.engine.calibration.models import (
    HeadModel,
    RewardMap,
    StageData,
    fit_model,
    reward_logits,
)

QUICK = HeadConfig(steps=60, folds=3)


@st.composite
def rewarded(draw: st.DrawFn) -> StageData:
    """Up to 25 prefixes of up to 10 questions; their rewards have ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 25))
    total = rng.integers(1, 5, n)
    reward = rng.integers(-3, 4, n) if draw(st.booleans()) else rng.normal(0, 2, n)
    return by_reward(reward, rng.binomial(total, rng.random(n)), total, rng.integers(0, 10, n))


def map_of(data: StageData) -> RewardMap:
    model, _ = fit_model(data, "isotonic", replace(QUICK, folds=2), seed=0)
    assert isinstance(model, RewardMap)
    return model


@given(rewarded())
@settings(max_examples=40, deadline=None)
def test_isotonic_is_scikit_learns(data: StageData) -> None:
    if len(np.unique(data.question)) < 2:
        return
    found = map_of(data)
    expected = IsotonicRegression(out_of_bounds="clip").fit(
        reward_logits(data.evidence), data.right / data.total, data.weight()
    )
    x = np.concatenate([reward_logits(data.evidence), np.linspace(-8, 8, 33)])
    assert np.interp(x, found.knots, found.values) == pytest.approx(expected.predict(x), abs=1e-9)


def test_isotonic_pools_equal_rewards_before_it_compares_them() -> None:
    data = by_reward(np.array([1.0, 2.0, 2.0]), np.array([1, 0, 2]), np.array([2, 1, 2]))
    found = map_of(data)
    assert np.interp([1.0, 2.0], found.knots, found.values).tolist() == [0.5, 0.5]
    above = by_reward(np.array([1.0, 2.0, 2.0]), np.array([5, 4, 10]), np.array([10, 10, 10]))
    found = map_of(above)
    assert np.interp([1.0, 2.0], found.knots, found.values) == pytest.approx([0.5, 0.7])


def test_the_concentration_of_a_map_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    n, total = 1000, np.full(1000, 10)
    x = rng.normal(0, 1, n)
    for kappa in (2.0, 30.0):
        p = rng.beta(sigmoid(x) * kappa, (1 - sigmoid(x)) * kappa)
        right = rng.binomial(total, p)
        found = map_of(by_reward(x, right, total))
        mean = np.interp(x, found.knots, found.values).clip(1e-5, 1 - 1e-5)

        def surprise(log_kappa: float, mean: Array = mean, right: Array = right) -> float:
            alpha, beta = mean * np.exp(log_kappa), (1 - mean) * np.exp(log_kappa)
            return -float(stats.betabinom.logpmf(right, total, alpha, beta).sum())

        best = np.exp(minimize_scalar(surprise, bounds=(-2, 6), method="bounded").x)
        assert float(found.kappa[0]) == pytest.approx(best, rel=0.06)  # those that are tried lie 10 % apart
    single = by_reward(x, rng.binomial(1, sigmoid(x)))
    assert map_of(single).kappa.tolist() == [8.0]


@pytest.mark.parametrize("method", get_args(Method))
def test_held_out_estimates_never_see_their_own_question(method: str) -> None:
    data, _ = beta_world(20)
    data = replace(data, evidence=by_reward(np.linspace(-2, 2, 60), np.ones(60)).evidence)
    _, before = fit_model(data, method, QUICK, seed=1)
    for question in (0, 7):
        own = data.question == question
        other = np.where(own, data.total - data.right, data.right)
        _, after = fit_model(replace(data, right=other), method, QUICK, seed=1)
        # The width of a head's interval is one number of all other folds, whose heads saw this one.
        said = slice(1, 2) if method == "beta" else slice(None)
        assert np.array_equal(before[own, said], after[own, said])
        if not np.array_equal(other, data.right):
            assert not np.array_equal(before, after)


@pytest.mark.parametrize("method", get_args(Method))
def test_known_logits_are_added_and_not_learned_again(method: str) -> None:
    rng = np.random.default_rng(5)
    x, offset = rng.normal(0, 1, 3000), -2.5 * (rng.random(3000) < 0.3)
    data = by_reward(x, rng.binomial(1, sigmoid(x + offset)))
    data = replace(data, evidence=replace(data.evidence, offset=offset))
    model, held_out = fit_model(data, method, HeadConfig(), seed=0)
    for rows in (offset == 0, offset < 0) if method != "quantile" else ():  # a median of counts is no mean
        assert held_out[rows, 1].mean() == pytest.approx(data.right[rows].mean(), abs=0.03)
    sound = logit(model.quantiles(replace(data.evidence, offset=0.0))[:, 1])
    assert logit(model.quantiles(data.evidence)[:, 1]) == pytest.approx(sound + offset, abs=0.01)


def test_a_feature_that_names_the_question_is_worth_nothing_held_out() -> None:
    rng = np.random.default_rng(3)
    question = np.repeat(np.arange(40), 8)
    right = np.repeat(rng.integers(0, 2, 40), 8).astype(float)
    names = np.eye(40)[question]
    data = StageData(Evidence(names, ()), question, right, np.ones(len(right)))
    for method in ("beta", "quantile"):
        model, held_out = fit_model(data, method, HeadConfig(decay=0.1), seed=0)
        assert skill(data.predictions(held_out)) <= 0.02
        assert skill(data.predictions(model.quantiles(data.evidence))) > 0.3


@pytest.mark.parametrize("method", ["beta", "quantile"])
def test_a_head_finds_a_world_of_logistic_means(method: str) -> None:
    data, mean = beta_world(500)
    oracle = skill(data.predictions(np.column_stack([mean, mean, mean])))
    model, held_out = fit_model(data, method, HeadConfig(), seed=0)
    assert skill(data.predictions(held_out)) > (0.85 if method == "beta" else 0.7) * oracle
    fresh, mean = beta_world(500)
    assert np.corrcoef(model.quantiles(fresh.evidence)[:, 1], mean)[0, 1] > 0.95


@pytest.mark.parametrize("kappa", [3.0, 25.0])
def test_the_interval_of_a_beta_head_holds_eighty_percent(kappa: float) -> None:
    data, mean = beta_world(350, total=8, kappa=kappa)
    _, held_out = fit_model(data, "beta", HeadConfig(), seed=0)
    assert coverage(data.predictions(held_out)) == pytest.approx(0.82, abs=0.05)
    truth = np.random.default_rng(1).beta(mean * kappa, (1 - mean) * kappa)
    inside = (held_out[:, 0] < truth) & (truth < held_out[:, 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.08)


def test_single_outcomes_leave_the_concentration_where_it_began() -> None:
    data, _ = beta_world(60, prefixes=1, total=1)
    model, _ = fit_model(data, "beta", HeadConfig(), seed=0)
    found = model.quantiles(data.evidence)
    expected = BetaLoss().quantiles(np.column_stack([logit(found[:, 1]), np.zeros(len(found))]))
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", get_args(Method))
def test_the_order_of_the_rows_does_not_matter(method: str) -> None:
    data, _ = beta_world(30)
    if method == "isotonic":
        data = by_reward(data.evidence.scalars[:, 0], data.right, data.total, data.question)
    order = np.random.default_rng(0).permutation(len(data.question))
    shuffled = StageData(
        Evidence(data.evidence.scalars[order], tuple(s[order] for s in data.evidence.states)),
        data.question[order],
        data.right[order],
        data.total[order],
    )
    model, held_out = fit_model(data, method, QUICK, seed=2)
    other, other_held_out = fit_model(shuffled, method, QUICK, seed=2)
    assert other_held_out == pytest.approx(held_out[order], abs=1e-4)
    assert other.quantiles(data.evidence) == pytest.approx(model.quantiles(data.evidence), abs=1e-4)


@pytest.mark.parametrize("method", get_args(Method))
def test_names_of_questions_do_not_matter(method: str) -> None:
    data, _ = beta_world(20)
    if method == "isotonic":
        data = by_reward(data.evidence.scalars[:, 0], data.right, data.total, data.question)
    renamed = replace(data, question=data.question * 7 + 100)
    assert np.array_equal(fit_model(renamed, method, QUICK, 0)[1], fit_model(data, method, QUICK, 0)[1])


@pytest.mark.parametrize("method", get_args(Method))
def test_arrays_hold_the_whole_model(method: str) -> None:
    data, _ = beta_world(20)
    if method == "isotonic":
        data = by_reward(data.evidence.scalars[:, 0], data.right, data.total, data.question)
    model, _ = fit_model(data, method, QUICK, seed=0)
    again = (
        HeadModel.of(model.arrays(), method) if isinstance(model, HeadModel) else RewardMap.of(model.arrays())
    )
    assert np.array_equal(again.quantiles(data.evidence), model.quantiles(data.evidence))


def test_arrays_of_a_hidden_layer_are_read_only_where_it_has_no_units() -> None:
    data, _ = beta_world(20)
    model, _ = fit_model(data, "beta", QUICK, seed=0)
    older = {**model.arrays(), "head.0": np.zeros((3, 20, 0))}
    assert np.array_equal(
        HeadModel.of(older, "beta").quantiles(data.evidence), model.quantiles(data.evidence)
    )
    with pytest.raises(ValueError, match="a linear head"):
        HeadModel.of({**older, "head.0": np.zeros((3, 20, 8))}, "beta")


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_is_always_right_or_always_wrong_can_be_fitted(method: str, share: float) -> None:
    data, _ = beta_world(20)
    if method == "isotonic":
        data = by_reward(data.evidence.scalars[:, 0], data.right, data.total, data.question)
    model, held_out = fit_model(replace(data, right=data.total * share), method, HeadConfig(folds=3), 0)
    for found in (held_out, model.quantiles(data.evidence)):
        assert np.isfinite(found).all()
        assert np.abs(found[:, 1] - share).max() < 0.5


@given(st.integers(2, 60), st.integers(2, 6), st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_folds_keep_questions_whole_and_are_of_one_size(questions: int, folds: int, seed: int) -> None:
    question = np.random.default_rng(seed).permutation(np.repeat(np.arange(questions), 3))
    found = folds_of(question, folds, seed)
    of = {int(q): {int(f) for f in found[question == q]} for q in range(questions)}
    assert all(len(f) == 1 for f in of.values())
    sizes = np.bincount([next(iter(f)) for f in of.values()], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_decay_fades_as_there_are_more_questions() -> None:
    def slope(questions: int) -> float:
        x = np.linspace(-2, 2, questions)[:, None]
        right = (x[:, 0] > 0).astype(float)
        one, none = np.ones(questions), np.zeros(questions)
        params = fit(Rows(x, right, one, one, none), BetaLoss(), HeadConfig(decay=10))
        out = forward(params, np.array([[-1.0], [1.0]]))[:, 0]
        return float(out[1] - out[0])

    assert 0 < slope(10) < slope(100) < slope(1000)


@pytest.mark.parametrize("rate", [0.01, 0.99])
def test_a_head_with_nothing_to_learn_says_the_base_rate_however_rare(rate: float) -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(600) < rate).astype(float)
    question, noise = np.repeat(np.arange(150), 4), rng.standard_normal((600, 20))
    data = StageData(Evidence(noise, ()), question, right, np.ones(600))
    _, held_out = fit_model(data, "beta", HeadConfig(), seed=0)
    assert held_out[:, 1].mean() == pytest.approx(right.mean(), abs=0.01)
    assert skill(data.predictions(held_out)) > -0.03


def test_an_interval_is_as_wide_as_held_out_counts_ask_for() -> None:
    # Question and estimate say nothing here: the rate of a question lies anywhere around the mean.
    rng = np.random.default_rng(2)
    question = np.repeat(np.arange(300), 6)
    right = rng.binomial(1, np.repeat(rng.beta(0.6, 0.6, 300), 6)).astype(float)
    data = StageData(Evidence(rng.standard_normal((1800, 3)), ()), question, right, np.ones(1800))
    model, held_out = fit_model(data, "beta", HeadConfig(), seed=0)
    assert coverage(data.predictions(held_out)) == pytest.approx(0.8, abs=0.06)
    fresh = rng.binomial(1, np.repeat(rng.beta(0.6, 0.6, 300), 6)).astype(float)
    again = StageData(data.evidence, question, fresh, data.total)
    assert coverage(again.predictions(model.quantiles(data.evidence))) == pytest.approx(0.8, abs=0.06)


def test_a_head_does_not_extrapolate_beyond_the_scalars_it_was_fitted_on() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    right = (rng.random(200) < 1 / (1 + np.exp(-3 * x[:, 0]))).astype(float)
    data = StageData(Evidence(x, ()), np.arange(200), right, np.ones(200))
    model, _ = fit_model(data, "beta", HeadConfig(), seed=0)
    inside, far = (model.quantiles(Evidence(np.array([[v]]), ())) for v in (float(x.max()), 50.0))
    assert np.array_equal(inside, far)
