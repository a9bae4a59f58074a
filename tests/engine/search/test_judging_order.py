"""How far draws run ahead, against costs and chances computed by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.search.judging_order import chance_needed, run_ahead

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
