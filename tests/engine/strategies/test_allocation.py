"""The paper's rules against tables computed by hand (reference: arXiv 2506.09338 and its code)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.strategies.allocation import (
    chance_needed,
    majority_confidence,
    prefixes_to_keep,
    required_samples,
    run_ahead,
    samples_of_each,
)


@pytest.mark.parametrize(
    ("p", "confidence", "samples"),
    [
        (0.9, 0.99, 2), (0.8, 0.99, 3), (0.7, 0.99, 4), (0.6, 0.99, 6), (0.5, 0.99, 7), (0.4, 0.99, 10),
        (0.3, 0.99, 13), (0.2, 0.99, 21), (0.1, 0.99, 44), (0.05, 0.99, 90),
        (0.5, 0.95, 5), (0.3, 0.95, 9), (0.1, 0.95, 29), (0.5, 0.9, 4), (0.3, 0.9, 7), (0.1, 0.9, 22),
        (1.0, 0.99, 1), (0.0, 0.99, 46050),
    ],
)  # fmt: skip
def test_required_samples_as_in_the_paper(p: float, confidence: float, samples: int) -> None:
    assert required_samples(p, confidence) == samples


@pytest.mark.parametrize(
    ("lowers", "kept"),
    [
        ([0.438, 0.1, 0.1], 1),  # 1 x 8 covers the 8 that .438 needs
        ([0.437, 0.43, 0.1], 2),  # .437 needs 9; 2 x 8 covers the 9 that .43 needs
        ([0.2, 0.19, 0.17, 0.17], 4),  # 21, 22, 25, 25: only 4 x 8 covers one of them
        ([0.2, 0.19, 0.18], 3),  # 3 x 8 = 24 covers .18 exactly
        ([0.01] * 20, 8),  # never covered: as many as allowed
        ([0.01, 0.02], 2),  # there are no more
        ([0.1, 0.9], 1),  # sorted first
    ],
)
def test_ias_of_k_keeps_the_first_rank_that_is_covered(lowers: list[float], kept: int) -> None:
    assert prefixes_to_keep(lowers, branching=8, confidence=0.99, most=8) == kept


@pytest.mark.parametrize(
    ("worst", "each"),
    [(0.438, 1), (0.437, 2), (0.079, 7), (0.0694, 8), (0.02, 8), (0.25, 3), (1.0, 1)],
)
def test_ias_of_m_goes_by_the_worst_prefix(worst: float, each: int) -> None:
    # ln(.01) / ln(1 - worst) / 8, rounded up: .079 needs 55.96 / 8 = 6.995, .0694 needs 64.03 / 8 = 8.004.
    assert samples_of_each([0.9, worst, 0.95], kept=8, branching=8, confidence=0.99) == each


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.integers(1, 8),
    st.integers(1, 8),
    st.floats(0.5, 0.999),
)
def test_nothing_is_granted_beyond_the_limits(
    lowers: list[float], branching: int, most: int, confidence: float
) -> None:
    kept = prefixes_to_keep(lowers, branching, confidence, most)
    assert 1 <= kept <= min(most, len(lowers))
    each = samples_of_each(lowers, most, branching, confidence)
    assert 1 <= each <= branching
    better = [min(1.0, lower + 0.1) for lower in lowers]
    assert prefixes_to_keep(better, branching, confidence, most) <= kept
    assert samples_of_each(better, most, branching, confidence) <= each


@pytest.mark.parametrize(
    ("first", "second", "posterior"),
    [(1, 0, 3 / 4), (2, 0, 7 / 8), (3, 0, 15 / 16), (4, 0, 31 / 32), (1, 1, 1 / 2), (3, 1, 13 / 16)],
)
def test_the_majority_posterior_is_a_beta_tail(first: int, second: int, posterior: float) -> None:
    assert majority_confidence(first, second) == pytest.approx(posterior)


LINEAR = tuple(float(n) for n in range(1, 17))
FLAT = tuple(1.0 + 0.02 * n for n in range(16))
STAIRS = tuple(1.0 if n < 4 else 4.0 for n in range(16))


@pytest.mark.parametrize(
    ("ahead", "undecided", "chance"), [(-3, 0, 1), (0, 5, 1), (1, 0, 1 / 2), (2, 0, 1 / 4), (2, 2, 9 / 16)]
)
def test_what_lies_further_ahead_is_less_likely_to_be_needed(
    ahead: int, undecided: int, chance: float
) -> None:
    assert chance_needed(ahead, undecided) == pytest.approx(chance)


@pytest.mark.parametrize(
    ("surplus", "chance"), [(-2.0, 0.0), (0.0, 0.0), (1.0, (0.6 / 1.6) ** 2), (1e3, 9 / 16), (None, 9 / 16)]
)
def test_where_more_promises_little_the_search_hardly_goes_on(surplus: float | None, chance: float) -> None:
    assert chance_needed(2, 2, surplus) == pytest.approx(chance)
    assert chance_needed(0, 2, surplus) == 1.0  # the next one is sure all the same


@pytest.mark.parametrize(
    ("running", "undecided", "costs", "count"),
    [
        (0, 0, LINEAR, 1), (0, 15, LINEAR, 1),  # no time to gain: every further one may be wasted
        (0, 0, FLAT, 2),  # (1.02 + .5) / 1.5 = 1.01; one costs 1.25, three (1.04 + .75) / 1.75 = 1.02
        (0, 2, FLAT, 4),  # (1.06 + 1) / 2.73 = .753; five (1.08 + 1.25) / 3.05 = .764
        (0, 15, FLAT, 10),  # u = 16/17: (1.18 + 2.5) / 7.73
        (2, 2, FLAT, 2),  # of the four two run already
        (4, 2, FLAT, 0),
        (0, 2, STAIRS, 4),  # (1 + 1) / 2.73; five on the next stair (4 + 1.25) / 3.05
        (16, 2, FLAT, 0),  # no room
        (0, 0, (), 1), (0, 15, (), 1),  # nothing known: what is sure
    ],
)  # fmt: skip
def test_more_run_ahead_where_a_fuller_batch_costs_little_more(
    running: int, undecided: int, costs: tuple[float, ...], count: int
) -> None:
    chances = [chance_needed(ahead, undecided) for ahead in range(20)]
    assert run_ahead(chances[:running], chances[running:], costs) == count


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=16), st.integers(0, 20))
def test_never_fewer_run_ahead_as_more_is_undecided(steps: list[float], undecided: int) -> None:
    costs = [1.0 + sum(steps[:n]) for n in range(len(steps))]

    def count(k: int) -> int:
        return run_ahead([], [chance_needed(ahead, k) for ahead in range(20)], costs)

    assert 1 <= count(undecided) <= count(undecided + 1) <= len(costs)
