"""Losses: gradients by finite differences, likelihoods and quantiles against scipy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from adascale.engine.calibration.features import Array, logit, sigmoid
from adascale.engine.calibration.head import LEVELS, BetaLoss, Loss, PinballLoss, beta_quantiles

_KAPPA = 8.0
_H = 1e-5

counts = st.integers(1, 20).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


def slope(loss: Loss, out: Array, right: int, total: int) -> Array:
    """Central differences of one row's loss."""
    found = []
    for i in range(loss.outputs):
        ends = []
        for sign in (1, -1):
            moved = out.copy()
            moved[i] += sign * _H
            ends.append(float(loss(moved[None], np.array([float(right)]), np.array([float(total)]))[0][0]))
        found.append((ends[0] - ends[1]) / (2 * _H))
    return np.array(found)


def gradient(loss: Loss, out: Array, right: int, total: int) -> Array:
    found: Array = loss(out[None], np.array([float(right)]), np.array([float(total)]))[1][0]
    return found


@given(arrays(float, 2, elements=st.floats(-3.9, 3.9)), counts)
@settings(max_examples=50, deadline=None)
def test_the_gradient_of_the_beta_loss(out: Array, seen: tuple[int, int]) -> None:
    assert gradient(BetaLoss(), out, *seen) == pytest.approx(
        slope(BetaLoss(), out, *seen), rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("log_ratio", [-6.0, 6.0])
def test_the_gradient_of_the_beta_loss_beyond_the_clip_of_its_concentration(log_ratio: float) -> None:
    out = np.array([1.0, log_ratio])
    assert gradient(BetaLoss(), out, 3, 8) == pytest.approx(slope(BetaLoss(), out, 3, 8), rel=1e-3, abs=1e-4)


@given(arrays(float, 3, elements=st.floats(-8, 8)), counts)
@settings(max_examples=50, deadline=None)
def test_the_gradient_of_the_pinball_loss(out: Array, seen: tuple[int, int]) -> None:
    right, total = seen
    assume(np.abs(right / total - PinballLoss().quantiles(out[None])).min() > 1e-4)  # kinks have none
    assert gradient(PinballLoss(), out, *seen) == pytest.approx(
        slope(PinballLoss(), out, *seen), rel=1e-4, abs=1e-7
    )


@given(arrays(float, 2, elements=st.floats(-3.9, 3.9)), counts)
@settings(max_examples=50, deadline=None)
def test_the_beta_loss_is_the_beta_binomial_likelihood(out: Array, seen: tuple[int, int]) -> None:
    right, total = seen
    loss = float(BetaLoss()(out[None], np.array([float(right)]), np.array([float(total)]))[0][0])
    mean, kappa = float(sigmoid(out[:1])[0]), _KAPPA * np.exp(out[1])
    whole = stats.betabinom.logpmf(right, total, mean * kappa, (1 - mean) * kappa)
    ways = np.log(float(stats.binom.pmf(right, total, 0.5))) + total * np.log(2)
    assert loss == pytest.approx(ways - whole, rel=1e-6, abs=1e-8)


@given(arrays(float, 3, elements=st.floats(-8, 8)), counts)
@settings(max_examples=50, deadline=None)
def test_the_pinball_loss_is_scikit_learns(out: Array, seen: tuple[int, int]) -> None:
    right, total = np.array([float(seen[0])]), np.array([float(seen[1])])
    quantiles = PinballLoss().quantiles(out[None])
    expected = [
        mean_pinball_loss(right / total, quantiles[:, i], alpha=level) for i, level in enumerate(LEVELS)
    ]
    assert float(PinballLoss()(out[None], right, total)[0][0]) == pytest.approx(np.mean(expected))


def test_rows_do_not_meddle_with_each_other() -> None:
    rng = np.random.default_rng(0)
    total = rng.integers(1, 9, 40).astype(float)
    right = rng.binomial(total.astype(int), 0.4).astype(float)
    for loss in (BetaLoss(), PinballLoss()):
        out = rng.normal(0, 1.5, (40, loss.outputs))
        together, slopes = loss(out, right, total)
        for i in range(40):
            alone, own = loss(out[i : i + 1], right[i : i + 1], total[i : i + 1])
            assert together[i] == pytest.approx(alone[0])
            assert slopes[i] == pytest.approx(own[0])


def test_beta_quantiles_of_many_rows_take_little_memory() -> None:
    alpha = np.linspace(0.5, 9.0, 5000)
    tracemalloc.start()
    found = beta_quantiles(alpha, alpha[::-1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # 30 KB a row, were they all at once
    some = np.arange(0, 5000, 499)
    assert found[some] == pytest.approx(beta_quantiles(alpha[some], alpha[::-1][some]))
    assert beta_quantiles(np.empty(0), np.empty(0)).shape == (0, 3)


def test_beta_quantiles_are_scipys() -> None:
    side = np.geomspace(0.05, 200, 40)
    alpha, beta = (axis.ravel() for axis in np.meshgrid(side, side))
    expected = np.column_stack([stats.beta.ppf(level, alpha, beta) for level in LEVELS])
    miss = np.abs(beta_quantiles(alpha, beta) - expected)
    assert miss.max() < 2.5e-3  # where all the mass is at the ends
    assert miss[(alpha >= 0.5) & (beta >= 0.5)].max() < 1e-3


anything = st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False)


@given(arrays(float, (4, 3), elements=anything))
@settings(max_examples=60, deadline=None)
def test_quantiles_are_in_order_whatever_the_outputs(out: Array) -> None:
    for found in (BetaLoss().quantiles(out[:, :2]), PinballLoss().quantiles(out)):
        assert np.all(found >= 0)
        assert np.all(found <= 1)
        assert np.all(np.diff(found, axis=1) >= 0)


@given(arrays(float, 8, elements=st.floats(-13, 13)))
def test_logit_is_the_inverse_of_sigmoid(x: Array) -> None:
    assert logit(sigmoid(x)) == pytest.approx(x, abs=1e-6)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
    assert sigmoid(np.array([-1e300, 1e300])).tolist() == [0, 1]


def test_the_median_of_the_beta_loss_is_the_mean_that_outcomes_are_compared_with() -> None:
    out = np.array([[1.0, -2.0], [-3.0, 0.0]])
    assert BetaLoss().quantiles(out)[:, 1] == pytest.approx(sigmoid(out[:, 0]))
