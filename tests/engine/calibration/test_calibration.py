"""What is far from the fitted questions is told, and its interval is stretched, never narrowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adascale.engine.calibration.features import States
from adascale.engine.calibration.head import Domain, widen
from adascale.engine.types import Estimate

_MIX = np.random.default_rng(9).normal(0, 1, (40, 40))


def states(count: int, seed: int) -> States:
    """Correlated, not centred, of very different sizes."""
    found: States = (np.random.default_rng(seed).normal(0, 1, (count, 40)) @ _MIX * 3 + 5).astype(np.float32)
    return found


def test_almost_all_fitted_questions_are_inside_and_most_new_ones() -> None:
    fitted = states(600, 0)
    domain = Domain.fit(fitted)
    assert 0.98 <= np.mean(domain.distance(fitted) <= 1) <= 0.995
    assert np.mean(domain.distance(states(600, 1)) <= 1) > 0.95


@pytest.mark.parametrize("count", [20, 60, 200])
def test_of_few_fitted_questions_most_new_ones_are_inside_too(count: int) -> None:
    assert np.mean(Domain.fit(states(count, 3)).distance(states(400, 4)) <= 1) > 0.85


def test_far_states_are_outside_the_farther_the_more() -> None:
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


def test_widened_stretches_by_the_distance_on_the_logit_scale() -> None:
    found = widen(Estimate(0.4, 0.5, 0.6, calibrated=True), 2.0)
    assert (found.lower, found.upper) == pytest.approx((4 / 13, 9 / 13))
