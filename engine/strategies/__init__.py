"""Strategies: pure generators that decide what to draw next, and the one table that names them."""

from __future__ import annotations

from ..errors import UsageError
from .adaptive import ADAPTIVE, ADAPTIVE_CONSISTENCY
from .base import Command, Cut, Expand, Plan, SearchParams, SelectRule, Strategy, gather
from .beam import BEAM, DVTS
from .sampling import BEST_OF_N, GREEDY, VOTE

__all__ = [
    "STRATEGIES",
    "Command",
    "Cut",
    "Expand",
    "Plan",
    "SearchParams",
    "SelectRule",
    "Strategy",
    "gather",
    "strategy_named",
]

STRATEGIES: dict[str, Strategy] = {
    s.name: s for s in (GREEDY, VOTE, BEST_OF_N, BEAM, DVTS, ADAPTIVE, ADAPTIVE_CONSISTENCY)
}


def strategy_named(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in STRATEGIES:
        raise UsageError(f'no strategy called "{name}"', hint=f"use one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
