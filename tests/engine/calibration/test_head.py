"""Heads: quantiles beside those of scipy, and questions far from the fitted ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from adascale.engine.calibration.features import States
from adascale.engine.calibration.head import Domain, quantiles_of
from adascale.engine.calibration.posterior import LEVELS, Array, beta_quantiles, sigmoid


def test_beta_quantiles_are_scipys() -> None:
    side = np.geomspace(0.05, 200, 72)
    alpha, beta = (axis.ravel() for axis in np.meshgrid(side, side))
    found = beta_quantiles(alpha, beta)
    miss = np.abs(found - np.column_stack([stats.beta.ppf(level, alpha, beta) for level in LEVELS]))
    assert miss.max() < 2.5e-3  # where all the mass is at the ends
    assert miss[(alpha >= 0.5) & (beta >= 0.5)].max() < 1e-3
    assert beta_quantiles(np.empty(0), np.empty(0)).shape == (0, 3)


@given(
    arrays(float, (4, 2), elements=st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False))
)
@settings(max_examples=60, deadline=None)
def test_quantiles_are_in_order_and_in_their_middle_is_the_mean(out: Array) -> None:
    found = quantiles_of(*out.T)
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
    domain = Domain.fit(fitted, 6.0)
    assert 0.98 <= np.mean(domain.distance(fitted) <= 1) <= 0.995
    assert np.mean(domain.distance(states(600, 1)) <= 1) > 0.95
    for count in (20, 60, 200):
        assert np.mean(Domain.fit(states(count, 3), 6.0).distance(states(400, 4)) <= 1) > 0.85


def test_far_states_are_out_of_distribution_the_farther_the_more() -> None:
    fitted = states(300, 0)
    domain, middle = Domain.fit(fitted, 6.0), fitted.mean(axis=0)
    new = states(50, 2)
    last = np.zeros(50)
    for times in (1, 4, 10, 100):
        distance = domain.distance(middle + times * (new - middle))
        assert np.all(distance >= last)
        last = distance
        if times >= 10:
            assert np.all(distance > 1)
    assert np.all(np.isfinite(domain.distance(np.full((1, 40), 1e6, np.float32))))
