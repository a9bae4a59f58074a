"""Which trajectory is judged when, and how far others run ahead of their turn.

Which trajectory ends first depends on the machine, on what else is searched, and on their lengths. A strategy
that may stop early (``Expand.sure``) judges them one after another all the same, in the order in which they
were drawn: short ones are not to count first. The others count as soon as they have ended.

While one trajectory is awaited, later ones may run: in a fuller batch each takes less time, and those that
turn out not to be needed are waste. ``run_ahead`` takes the least time for a needed one within a limit of
waste, by the chance that each will be judged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from ..answers.result import Candidate
from ..strategies import Strategy
from ..types import Mode
from .tree import Tree
from .waiting import Draw, Trajectory

FAILURES = 3
"""Programs without an answer, and none with one, that end the programs of a question."""

HURRY = 1.45
"""Most branches that run for each that is expected to be needed, where seconds count: one question alone."""

THRIFT = 1.1
"""The same where tokens count: questions that share a batch."""

_NEVER = 1e-9
"""Share of the turns of a mode whose turn will not come."""

_ODDS = 0.6
_POWER = 0.7
"""Fit of the odds that a search goes on after one more trajectory (docs/research.md)."""


class Turns:
    """The order in which one search judges its trajectories.

    Each mode's trajectories are judged in the order of their numbers; the strategy says, after each, of which
    mode the next one is. Until ``await_in_order`` is called no trajectory is awaited: each counts as soon as
    it has ended.

    Args:
        tree: Tree of the search.
        strategy: Says whose turn it is, and what a further trajectory is worth.

    Attributes:
        cut: Number of trajectories of each mode that were cut and whose turn has passed.
    """

    def __init__(self, tree: Tree, strategy: Strategy) -> None:
        self.cut: Counter[Mode] = Counter()
        self._tree = tree
        self._strategy = strategy
        self._sure = 0
        self._judged: Counter[Mode] = Counter()
        self._failed: Counter[Mode] = Counter()  # of these, without an answer
        self._places: dict[Trajectory, int] = {}  # awaited trajectories, in the order that is expected
        self._ended: dict[Trajectory, Candidate | None] = {}  # awaited, and ended or cut before their turn

    def await_in_order(self, trajectories: Iterable[Trajectory], sure: int) -> None:
        """Await more trajectories, of which ``sure`` will be judged in any case."""
        self._sure = sure
        self._places |= dict.fromkeys(trajectories, 0)
        self.pass_on()

    def pass_on(self) -> None:
        """Settle whose turn is next, and in which order the other awaited trajectories are expected.

        Number ``k`` of a mode with share ``s`` has its turn at ``(k + 1/2) / s``: the method of Sainte-Laguë.
        Programs have none once ``FAILURES`` have failed and none has given an answer.
        """
        shares = self._strategy.shares(self._tree)
        if "prose" in shares and self._judged["program"] == self._failed["program"] >= FAILURES:
            shares = {**shares, "program": _NEVER}

        def turn(trajectory: Trajectory) -> tuple[float, int]:
            mode, number = trajectory
            return (number + 0.5) / shares[mode], self._strategy.modes.index(mode)

        self._places = {trajectory: at for at, trajectory in enumerate(sorted(self._places, key=turn))}

    @property
    def is_ordered(self) -> bool:
        """True if trajectories are judged in the order of their turns."""
        return self._sure > 0

    def place(self, draw: Draw) -> int:
        """Turns before that of a draw's trajectory; -1 if nothing awaits it."""
        return self._places.get(draw.trajectory, -1)

    def chance(self, draw: Draw) -> float:
        """P(a draw will count), in [0, 1]; 0 for one behind the last that the strategy may judge."""
        standing, judged = self._tree.standing, self._judged.total()
        place, at_most = self.place(draw), self._strategy.at_most
        ahead = place - max(0, self._sure - 1 - judged)
        if ahead > 0 and at_most is not None and place >= at_most - judged:
            return 0.0
        surplus = None if standing is None else self._strategy.surplus(standing)
        return chance_needed(ahead, judged, surplus)

    def hold_until_turn(self, trajectory: Trajectory, candidate: Candidate | None) -> bool:
        """Store an awaited trajectory that has ended or was cut (None); returns False if none awaits it."""
        is_running = trajectory in self._places and trajectory not in self._ended
        if is_running:
            self._ended[trajectory] = candidate
        return is_running

    @property
    def is_due(self) -> bool:
        """True if the trajectory whose turn it is has ended or was cut."""
        return next(iter(self._places), None) in self._ended

    def take_due(self) -> Candidate | None:
        """The trajectory whose turn it is, which must be due; None if it was cut."""
        due = next(iter(self._places))
        del self._places[due]
        ended, (mode, _) = self._ended.pop(due), due
        self._judged[mode] += 1
        self._failed[mode] += ended is None or ended.answer is None
        self.cut[mode] += ended is None
        return ended

    def ended_early(self) -> list[Candidate]:
        """Trajectories that have ended before their turn, in the order of their turns."""
        return [ended for trajectory in self._places if (ended := self._ended.get(trajectory))]

    def stop_waiting(self) -> None:
        """Await no further trajectory: each counts as soon as it ends."""
        self._sure = 0
        self._places = {awaited: at for awaited, at in self._places.items() if self._ended.get(awaited)}


def chance_needed(ahead: int, undecided: int, surplus: float | None = None) -> float:
    """P(a trajectory will be judged) that is ``ahead`` places behind the last one that is sure to be.

    Model: after k inconclusive trajectories the next is inconclusive with odds o = k + 1, capped at
    ``0.6 * surplus ** 0.7``, and by Laplace's rule of succession all of the next m are with o / (o + m)
    (docs/research.md).

    Args:
        ahead: Its distance from the last one that is sure to be judged; below 0 counts as 0.
        undecided: The k, inconclusive trajectories so far.
        surplus: Gain that one more trajectory promises, over the gain that it needs for the search to go on.
    """
    odds = undecided + 1.0
    if surplus is not None:
        odds = min(odds, _ODDS * max(surplus, 0.0) ** _POWER)
    return odds / (odds + ahead) if ahead > 0 else 1.0


def run_ahead(
    running: Sequence[float], waiting: Sequence[float], costs: Sequence[float], waste: float
) -> int:
    """Number of waiting draws to start at once, so that a needed trajectory takes the least time.

    Args:
        running: Chances that each running branch is needed, in [0, 1].
        waiting: Chances of those that wait, best first; those that are sure to be needed are always started.
        costs: Relative cost of a decode step with 1, 2, ... branches, the first of them 1; never more
            branches than that. If empty (unknown costs) only sure draws start.
        waste: Most branches for each that is expected to be needed, 1 or more; with 1 only sure draws start.
    """
    sure = sum(chance >= 1.0 for chance in waiting)
    room = len(costs) - len(running)

    def needed(n: int) -> float:
        return sum(running) + sum(waiting[:n])

    def seconds(n: int) -> float:
        return costs[len(running) + n - 1] / needed(n) if needed(n) else math.inf

    counts = range(sure, min(len(waiting), room) + 1)
    allowed = [n for n in counts if n == sure or len(running) + n <= waste * needed(n)]
    return min(allowed, key=seconds, default=sure)
