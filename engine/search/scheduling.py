"""How far draws run ahead of those that are sure to be needed. Pure numbers; the driver applies them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_TOKENS = 0.25
"""What a token weighs beside time, where the time of a token of one branch alone weighs 1."""

_ODDS = 0.6
_POWER = 0.7
"""Of the odds that a search goes on after one more trajectory: fitted (docs/LOG.md, 2026-11-26)."""


def chance_needed(ahead: int, undecided: int, surplus: float | None = None) -> float:
    """P(a trajectory will be judged) that is ``ahead`` places behind the last one that is sure to be.

    Model: after k inconclusive trajectories the next is inconclusive with odds (k + 1):1, capped at
    ``0.6 * surplus ** 0.7`` (docs/LOG.md).

    Args:
        ahead: Its distance from the last one that is sure to be judged; below 0 counts as 0.
        undecided: The k, inconclusive trajectories so far.
        surplus: What each trajectory more promises to add, over what it must add for the search to go on.
    """
    odds = undecided + 1.0
    if surplus is not None:
        odds = min(odds, _ODDS * max(surplus, 0.0) ** _POWER)
    return (odds / (odds + 1.0)) ** max(ahead, 0)


def run_ahead(running: Sequence[float], waiting: Sequence[float], costs: Sequence[float]) -> int:
    """How many waiting draws to start at once, so that a needed trajectory costs least.

    A trajectory that turns out not to be needed is waste; in a fuller batch each takes less time, where a
    decode step costs little more. Time counts in full, tokens a quarter, both relative to one branch alone.

    Args:
        running: Chances that each running branch is needed, in [0, 1].
        waiting: Chances of those that wait, best first; those that are sure to be needed are always started.
        costs: Relative cost of a decode step with 1, 2, ... branches, the first of them 1; never more
            branches than that. Empty where they are unknown: then only sure draws start.
    """
    sure = sum(chance >= 1.0 for chance in waiting)
    room = len(costs) - len(running)

    def cost(n: int) -> float:
        branches, useful = len(running) + n, sum(running) + sum(waiting[:n])
        return (costs[branches - 1] + _TOKENS * branches) / useful if useful else math.inf

    return min(range(sure, min(len(waiting), room) + 1), key=cost, default=sure)
