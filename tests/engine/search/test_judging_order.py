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
    ("ahead", "undecided", "chance"), [(-3, 0, 1), (0, 5, 1), (1, 0, 1 / 2), (2, 0, 1 / 3), (2, 2, 3 / 5)]
)
def test_what_lies_further_ahead_is_less_likely_to_be_needed(
    ahead: int, undecided: int, chance: float
) -> None:
    assert chance_needed(ahead, undecided) == pytest.approx(chance)


@pytest.mark.parametrize(
    ("surplus", "chance"), [(-2.0, 0.0), (0.0, 0.0), (1.0, 0.6 / 2.6), (1e3, 3 / 5), (None, 3 / 5)]
)
def test_where_more_promises_little_the_search_hardly_goes_on(surplus: float | None, chance: float) -> None:
    assert chance_needed(2, 2, surplus) == pytest.approx(chance)
    assert chance_needed(0, 2, surplus) == 1.0  # the next one is sure all the same


@pytest.mark.parametrize(
    ("running", "undecided", "costs", "waste", "count"),
    [
        (0, 0, LINEAR, 1.5, 1), (0, 15, LINEAR, 1.5, 1),  # no time to gain
        (0, 0, FLAT, 1.5, 2),  # 2 for 1.5 that are needed; 3 for 1.83 are too many
        (0, 2, FLAT, 1.5, 4),  # 4 for 2.85; 5 for 3.28
        (0, 15, FLAT, 1.5, 16),  # 16 for 11.3
        (0, 15, FLAT, 1.1, 4),  # 4 for 3.67; 5 for 4.47
        (0, 15, FLAT, 1.0, 1),  # nothing may be wasted
        (2, 2, FLAT, 1.5, 2),  # of the four two run already
        (4, 2, FLAT, 1.5, 0),
        (0, 15, STAIRS, 1.5, 4),  # 1 / 3.67; the next stair is the best with all 16: 4 / 11.3
        (16, 2, FLAT, 1.5, 0),  # no room
        (0, 0, (), 1.5, 1), (0, 15, (), 1.5, 1),  # nothing known: what is sure
    ],
)  # fmt: skip
def test_more_run_ahead_where_a_fuller_batch_costs_little_more(
    running: int, undecided: int, costs: tuple[float, ...], waste: float, count: int
) -> None:
    chances = [chance_needed(ahead, undecided) for ahead in range(20)]
    assert run_ahead(chances[:running], chances[running:], costs, waste) == count


COSTS = st.lists(st.floats(0.0, 2.0), min_size=1, max_size=16).map(
    lambda steps: [1.0 + sum(steps[:n]) for n in range(len(steps))]
)


@given(COSTS, st.integers(0, 20), st.floats(1.0, 2.0))
def test_never_fewer_run_ahead_as_more_is_undecided(costs: list[float], undecided: int, waste: float) -> None:
    def count(k: int) -> int:
        return run_ahead([], [chance_needed(ahead, k) for ahead in range(20)], costs, waste)

    assert 1 <= count(undecided) <= count(undecided + 1) <= len(costs)


@given(COSTS, st.lists(st.floats(0.0, 1.0), max_size=20), st.floats(1.0, 2.0))
def test_no_more_is_wasted_than_is_allowed(costs: list[float], chances: list[float], waste: float) -> None:
    chances = [1.0, *sorted(chances, reverse=True)]
    sure = sum(chance >= 1.0 for chance in chances)
    count = run_ahead([], chances, costs, waste)
    assert count == sure or count <= waste * sum(chances[:count])
