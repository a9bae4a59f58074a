"""Wilson's score interval of a share (JASA 22, 1927)."""

from __future__ import annotations

import math


def wilson(share: float, count: float, z: float) -> tuple[float, float]:
    """The interval of a share of ``count`` outcomes, which holds the share; all of [0, 1] without outcomes.

    Args:
        share: Observed, in [0, 1].
        count: Outcomes.
        z: Standard errors on both sides: 1.6449 for 90 %, 1.96 for 95 %.
    """
    if count <= 0:
        return 0.0, 1.0
    square = z**2 / count
    middle, half = share + square / 2, math.sqrt(square * (share * (1 - share) + square / 4))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return max(0.0, min(low, share)), min(1.0, max(high, share))
