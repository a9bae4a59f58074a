"""The posterior of options by a look and by votes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.answers.choosing import PROFILES
from adascale.engine.answers.weighing import OptionWeights, Vote
from adascale.engine.calibration.options import OptionsCalibration

WEIGHTS = OptionWeights(1.0, 0.0, {"prose": 0.4, "program": 0.8}, 1.0, 0.2)
LOOK = (math.log(0.6), math.log(0.3), math.log(0.1))

looks = st.lists(st.floats(-30, 0), min_size=2, max_size=6)


def votes(*options: int) -> list[Vote]:
    return [Vote(option, "prose") for option in options]


@given(looks, st.lists(st.integers(0, 1), max_size=5))
def test_a_posterior_is_a_distribution(look: list[float], chosen: list[int]) -> None:
    p = WEIGHTS.posterior(look, votes(*chosen))
    assert sum(p) == pytest.approx(1.0)
    assert min(p) > 0.0


def test_without_votes_the_look_decides() -> None:
    assert WEIGHTS.posterior(LOOK, []) == pytest.approx([0.6, 0.3, 0.1], abs=1e-4)


@given(looks, st.lists(st.integers(0, 1), max_size=3))
def test_a_gain_is_the_mean_over_the_next_vote(look: list[float], chosen: list[int]) -> None:
    now, options = WEIGHTS.posterior(look, votes(*chosen)), range(len(look))
    habit = WEIGHTS.prior(look)
    later = 0.0
    for option in options:
        after = WEIGHTS.posterior(look, votes(*chosen, option))
        leads = after.index(max(after))
        later += now[leads] * (0.4 * (leads == option) + 0.6 * habit[option])
    assert WEIGHTS.gain(look, votes(*chosen), "prose", 1) == pytest.approx(
        max(0.0, later - max(now)), abs=1e-9
    )


def test_letters_of_small_models_are_trusted_less_by_a_portable_calibration() -> None:
    anyones = OptionsCalibration(WEIGHTS, PROFILES)
    trusts = [anyones.of_size(size).weights.trust for size in (0.2e9, 0.8e9, 1.5e9, 7e9)]
    assert trusts == sorted(trusts)
    assert (trusts[0], trusts[-1]) == (0.0, WEIGHTS.trust)
