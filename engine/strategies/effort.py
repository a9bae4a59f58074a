"""How hard to try, as presets of an adaptive search, and the numbers of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from .adaptive import Adaptive

Effort = Literal["low", "medium", "high", "max"]

EFFORTS: Mapping[Effort, Adaptive] = {
    "low": Adaptive(samples=8, min_gain=0.004, hopeless=0.2),
    "medium": Adaptive(),
    "high": Adaptive(samples=32, stop_at=0.98, min_gain=0.0003, hopeless=0.05),
    "max": Adaptive(samples=64, stop_at=1.0, min_gain=0.0001, hopeless=0.03),
}
assert set(EFFORTS) == set(get_args(Effort))

PAPER: Mapping[str, float] = {
    "samples": 64,
    "width": 8,
    "branching": 8,
    "confidence": 0.99,
    "prune_every": 5,
}
"""Of arXiv 2506.09338: N = 64, K = 8, M = 8, C = .99, pruning every 5 steps; with it temperature .7."""

PAPER_TEMPERATURE = 0.7
