from __future__ import annotations

import pytest

from adascale.engine.calibration.wilson import wilson


def test_an_interval_by_hand() -> None:
    low, high = wilson(0.5, 100, 1.6449)  # 0.5 +- 1.6449 sqrt(.25 / 102.7)
    assert (round(low, 3), round(high, 3)) == (0.419, 0.581)


def test_the_interval_of_the_textbook() -> None:
    assert wilson(8 / 10, 10, 1.96) == pytest.approx((0.490, 0.943), abs=5e-4)


def test_nothing_is_known_without_outcomes() -> None:
    assert wilson(0.5, 0, 1.6449) == (0.0, 1.0)


def test_it_holds_a_share_at_either_end() -> None:
    assert wilson(1.0, 20, 1.6449)[1] == 1.0
    assert wilson(0.0, 20, 1.6449)[0] == 0.0
