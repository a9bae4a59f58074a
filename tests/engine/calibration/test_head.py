"""Heads: the loss by finite differences and scipy, and what lies far from the fitted questions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from adascale.engine.calibration.features import States
from adascale.engine.calibration.head import PRIOR_KAPPA, Domain, beta_loss, quantiles_of, widen
from adascale.engine.calibration.posterior import LEVELS, Array, beta_quantiles, sigmoid
from adascale.engine.types import Estimate

counts = st.integers(1, 20).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
outputs = arrays(float, 2, elements=st.floats(-3.9, 3.9))


def loss(out: Array, seen: tuple[int, int]) -> tuple[float, Array]:
    """Loss and gradient of one row."""
    right, total = (np.array([float(each)]) for each in seen)
    losses, gradients = beta_loss(out[None], right, total)
    return float(losses[0]), gradients[0]


@given(outputs, counts)
@example(np.array([1.0, -6.0]), (3, 8))  # beyond the clip of its concentration
@example(np.array([1.0, 6.0]), (3, 8))
@settings(max_examples=50, deadline=None)
def test_the_gradient_is_the_slope(out: Array, seen: tuple[int, int]) -> None:
    step = 1e-5 * np.eye(2)
    slope = [(loss(out + each, seen)[0] - loss(out - each, seen)[0]) / 2e-5 for each in step]
    assert loss(out, seen)[1] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@given(outputs, counts)
@settings(max_examples=50, deadline=None)
def test_the_loss_is_the_beta_binomial_likelihood(out: Array, seen: tuple[int, int]) -> None:
    right, total = seen
    mean, kappa = float(sigmoid(out[:1])[0]), PRIOR_KAPPA * np.exp(out[1])
    whole = stats.betabinom.logpmf(right, total, mean * kappa, (1 - mean) * kappa)
    ways = np.log(float(stats.binom.pmf(right, total, 0.5))) + total * np.log(2)
    assert loss(out, seen)[0] == pytest.approx(ways - whole, rel=1e-6, abs=1e-8)


def test_beta_quantiles_are_scipys_and_of_many_rows_take_little_memory() -> None:
    side = np.geomspace(0.05, 200, 72)
    alpha, beta = (axis.ravel() for axis in np.meshgrid(side, side))
    tracemalloc.start()
    found = beta_quantiles(alpha, beta)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # 30 KB a row, were they all at once
    miss = np.abs(found - np.column_stack([stats.beta.ppf(level, alpha, beta) for level in LEVELS]))
    assert miss.max() < 2.5e-3  # where all the mass is at the ends
    assert miss[(alpha >= 0.5) & (beta >= 0.5)].max() < 1e-3
    assert beta_quantiles(np.empty(0), np.empty(0)).shape == (0, 3)


@given(
    arrays(float, (4, 2), elements=st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False))
)
@settings(max_examples=60, deadline=None)
def test_quantiles_are_in_order_and_in_their_middle_is_the_mean(out: Array) -> None:
    found = quantiles_of(out)
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(np.diff(found, axis=1) >= 0)
    assert found[:, 1] == pytest.approx(sigmoid(out[:, 0]), abs=1e-5)


_MIX = np.random.default_rng(9).normal(0, 1, (40, 40))


def states(count: int, seed: int) -> States:
    """Correlated, not centred, of very different sizes."""
    found: States = (np.random.default_rng(seed).normal(0, 1, (count, 40)) @ _MIX * 3 + 5).astype(np.float32)
    return found


def test_almost_all_fitted_questions_are_in_distribution_and_most_new_ones() -> None:
    fitted = states(600, 0)
    domain = Domain.fit(fitted)
    assert 0.98 <= np.mean(domain.distance(fitted) <= 1) <= 0.995
    assert np.mean(domain.distance(states(600, 1)) <= 1) > 0.95
    for count in (20, 60, 200):
        assert np.mean(Domain.fit(states(count, 3)).distance(states(400, 4)) <= 1) > 0.85


def test_far_states_are_out_of_distribution_the_farther_the_more() -> None:
    fitted = states(300, 0)
    domain, middle = Domain.fit(fitted), fitted.mean(axis=0)
    new = states(50, 2)
    last = np.zeros(50)
    for times in (1, 4, 10, 100):
        distance = domain.distance(middle + times * (new - middle))
        assert np.all(distance >= last)
        last = distance
        if times >= 10:
            assert np.all(distance > 1)
    assert np.all(np.isfinite(domain.distance(np.full((1, 40), 1e6, np.float32))))


probabilities = st.floats(0, 1)


@given(st.tuples(probabilities, probabilities, probabilities).map(sorted), st.floats(0, 1e6))
@example([0.0, 0.0, 0.0], 2.0)
@example([0.0, 0.0, 1.0], 2.0)
@example([1.0, 1.0, 1.0], 3.0)
@example([0.0, 1e-9, 2e-9], 5.0)
@settings(max_examples=60, deadline=None)
def test_widened_keeps_the_median_and_never_narrows(quantiles: list[float], distance: float) -> None:
    estimate = Estimate(*quantiles, calibrated=True)
    found = widen(estimate, distance)
    assert found.median == estimate.median
    assert found.calibrated
    assert 0 <= found.lower <= estimate.lower
    assert estimate.upper <= found.upper <= 1
    if distance <= 1:
        assert found == estimate
    middle = widen(Estimate(0.4, 0.5, 0.6, calibrated=True), 2.0)
    assert (middle.lower, middle.upper) == pytest.approx((4 / 13, 9 / 13)), "on the logit scale"
