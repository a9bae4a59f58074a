"""Values of differences between solutions, where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evidence.within_question import slope


@pytest.mark.parametrize("worth", [0.3, 1.5])
def test_the_slope_is_what_differences_are_worth(worth: float) -> None:
    rng = np.random.default_rng(0)
    apart = rng.normal(0.0, 2.0, (4000, 1))
    right_is_first = rng.random((4000, 1)) < 1.0 / (1.0 + np.exp(-worth * apart))
    pairs = list(np.where(right_is_first, apart, -apart))
    assert slope(pairs) == pytest.approx(worth, abs=0.1)
