"""The paper's rules against tables computed by hand (reference: arXiv 2506.09338 and its code)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.strategies.beam import prefixes_to_keep, required_samples, samples_of_each


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
