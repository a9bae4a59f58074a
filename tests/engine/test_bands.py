"""Words for probabilities: each kind has those that its recorded answers carry."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.bands import LEAST, MEASURED, Band, band_of, certainty

p = st.floats(0.0, 1.0)


@given(p, p)
def test_a_larger_probability_has_no_lower_band(a: float, b: float) -> None:
    order = [*LEAST]
    low, high = (order.index(band_of(each, {})) for each in sorted((a, b)))
    assert high <= low


def test_a_band_begins_at_its_least_probability() -> None:
    for (upper, least), (lower, _) in pairwise(LEAST.items()):
        assert (band_of(least, {}), band_of(least - 1e-9, {})) == (upper, lower)


@pytest.mark.parametrize(
    ("sure", "very", "band"),
    [
        ((40, 39), (40, 36), "almost surely"),
        ((40, 37), (40, 36), "very likely"),  # right less often than the word says
        ((9, 9), (40, 36), "very likely"),  # too few to tell
        ((40, 34), (40, 20), "likely"),
    ],
)
def test_a_kind_has_the_words_that_its_answers_carry(
    sure: tuple[int, int], very: tuple[int, int], band: Band
) -> None:
    counts: dict[Band, tuple[int, int]] = {"almost surely": sure, "very likely": very, "likely": (40, 25)}
    assert band_of(0.97, counts) == band
    assert ("%" in certainty(0.97, band)) == (band == "almost surely")


def test_one_of_two_options_is_not_likely_by_chance_and_has_no_number() -> None:
    assert (band_of(0.6, {}, 2), band_of(0.6, {}, 4), band_of(0.7, {}, 2)) == ("not sure", "likely", "likely")
    assert certainty(0.5, "not sure", options=2) == "not sure"


def test_what_ships_was_correct_as_often_as_its_words_say() -> None:
    for kinds in MEASURED.values():
        for counts in kinds.values():
            for p in (0.96, 0.85):
                band = band_of(p, counts)
                answers, correct = counts.get(band, (0, 0))
                assert LEAST[band] < 0.5 or correct >= LEAST[band] * answers
