"""Which trajectory is drawn and which is judged when: they wait for a slot, run ahead, and count in turn.

Which trajectory ends first depends on the machine, on what else is searched, and on their lengths. A strategy
that may stop early (``Expand.sure``) judges them one after another all the same, in the order in which they
were drawn: short ones are not to count first (decision 0011). The others count as soon as they have ended.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ..strategies import Expand, Strategy
from ..types import ROOT, Candidate, Mode, NodeId, Until, Usage
from .scheduling import chance_needed
from .tree import Tree

_GREEDY = -1
"""Number of a greedy child."""


Key = tuple[int, ...]
"""Child indices from the root to a node; they seed its random stream.

The first is the trajectory's number among those of its mode.
"""


Trajectory = tuple[Mode, int]
"""A mode, and a number among the trajectories of this mode: 0, 1, ..."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One child that a strategy asked for and that waits for a free slot.

    Attributes:
        parent: Node below which it starts.
        until: How far it runs.
        greedy: Whether it takes the most likely token.
        key: Of its first step.
        mode: How it reasons.
    """

    parent: NodeId
    until: Until
    greedy: bool
    key: Key
    mode: Mode = "prose"

    @property
    def trajectory(self) -> Trajectory:
        """The trajectory that it belongs to."""
        return self.mode, self.key[0]


@dataclass(slots=True)
class Branch:
    """A running draw.

    Attributes:
        draw: What was asked for.
        parent: Where its next step attaches.
        key: Of that step.
        pending: What it has cost since the last step.
        unreported: Tokens since the last ``BranchGrew``.
    """

    draw: Draw
    parent: NodeId
    key: Key
    pending: Usage = Usage()
    unreported: int = 0


def branch_seed(seed: int, problem_id: str, key: Sequence[int], mode: Mode = "prose") -> int:
    """32-bit seed from the run's seed, the problem and the path, so that no draw depends on another.

    An id may hold half of a surrogate pair, as JSON can say it.
    """
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    if mode != "prose":
        text += f"\x00{mode}"
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little"
    )


class Turns:
    """The order of one search's trajectories.

    Args:
        tree: Of the search.
        strategy: Says what a further trajectory is worth, and of which mode the next one is.

    Attributes:
        cut: Trajectories of each mode that were cut and whose turn has passed.
    """

    def __init__(self, tree: Tree, strategy: Strategy) -> None:
        self.cut: Counter[Mode] = Counter()
        self._tree = tree
        self._strategy = strategy
        self._waiting: list[Draw] = []
        self._keys: dict[NodeId, Key] = {ROOT: ()}
        self._drawn: dict[tuple[NodeId, Mode], int] = {}
        self._sure = 0  # trajectories that will be judged in any case; 0: each counts as soon as it has ended
        self._judged: dict[Mode, int] = {}
        self._ahead: dict[Trajectory, Candidate | None] = {}  # ended before their turn; None: cut
        self._turn: Mode = strategy.modes[0]

    @property
    def any_waiting(self) -> bool:
        """Whether a draw waits for a slot."""
        return bool(self._waiting)

    def queue(self, command: Expand) -> None:
        """Queue draws; a greedy one takes no number from sampled ones."""
        if command.sure is not None:
            assert command.node == ROOT, "trajectories that are judged in order begin at the question"
            self._sure = command.sure
            self._turn = self._strategy.next_mode(self._tree, self._judged)
        node, n, of_mode = command.node, command.n, (command.node, command.mode)
        first = _GREEDY if command.greedy else self._drawn.get(of_mode, 0)
        if not command.greedy:
            self._drawn[of_mode] = first + n
        for index in [_GREEDY] * n if command.greedy else range(first, first + n):
            key = (*self._keys[node], index)
            self._waiting.append(Draw(node, command.until, command.greedy, key, command.mode))
        self._sort_waiting()

    def _sort_waiting(self) -> None:
        """By their turns, where trajectories are judged in order."""
        if self._sure:
            self._waiting.sort(key=lambda draw: self._distance(draw.trajectory))

    def next_draw(self) -> Draw:
        """Take the next one that waits."""
        return self._waiting.pop(0)

    def withdraw(self, unwanted: Callable[[NodeId], bool]) -> None:
        """Remove waiting draws whose parent is unwanted."""
        self._waiting = [draw for draw in self._waiting if not unwanted(draw.parent)]

    def set_key(self, node: NodeId, key: Key) -> None:
        """Note the key of a draw that has become a node."""
        self._keys[node] = key

    def _distance(self, trajectory: Trajectory) -> int:
        """Turns before a trajectory's own, if each mode gets its expected share of them from now on.

        The modes share them evenly: turn ``n`` of a mode with share ``s`` is at ``(n + .5) / s``.
        """
        mode, number = trajectory
        shares = self._strategy.expected_turns(self._tree)
        rounds = number - self._judged.get(mode, 0)
        order = [self._turn, *(other for other in self._strategy.modes if other != self._turn)]
        own = order.index(mode)
        before = rounds
        for at, other in enumerate(order):
            if other != mode:
                turns = (rounds + 0.5) / shares[mode] * shares[other] - 0.5
                # A turn at the same time is the one of the mode that is first in order.
                before += max(0, math.floor(turns + 1) if at < own else math.ceil(turns))
        return before

    def chance(self, draw: Draw) -> float:
        """P(a draw will count), in [0, 1]."""
        if not self._sure:
            return 1.0
        standing, judged = self._tree.standing, sum(self._judged.values())
        surplus = None if standing is None else self._strategy.surplus(standing)
        ahead = self._distance(draw.trajectory) - max(0, self._sure - 1 - judged)
        return chance_needed(ahead, judged, surplus)

    def waiting_chances(self) -> list[float]:
        """P(it will count) of each waiting draw, in order."""
        return [self.chance(draw) for draw in self._waiting]

    def sure_waiting(self) -> int:
        """How many waiting draws are sure to count."""
        # Chances fall along the queue: behind the first unsure draw none is sure.
        return sum(1 for _ in takewhile(lambda draw: self.chance(draw) >= 1.0, self._waiting))

    def hold_until_turn(self, candidate: Candidate) -> bool:
        """Store a trajectory that has ended before its turn; returns False where it counts at once."""
        trajectory = (candidate.mode, self._keys[candidate.node][0])
        if not self._is_awaited(trajectory):
            return False
        self._ahead[trajectory] = candidate
        return True

    def skip(self, trajectory: Trajectory) -> None:
        """Pass the turn of a running trajectory that was cut, unless another is drawn in its place."""
        if self._is_awaited(trajectory) and not any(d.trajectory == trajectory for d in self._waiting):
            self._ahead[trajectory] = None

    def _is_awaited(self, trajectory: Trajectory) -> bool:
        mode, number = trajectory
        return self._sure > 0 and number >= self._judged.get(mode, 0) and trajectory not in self._ahead

    @property
    def _next(self) -> Trajectory:
        return self._turn, self._judged.get(self._turn, 0)

    @property
    def is_due(self) -> bool:
        """Whether the trajectory whose turn it is has ended."""
        return self._next in self._ahead

    def take_due(self) -> Candidate | None:
        """The trajectory whose turn it is, which must be due; None where it was cut."""
        candidate = self._ahead.pop(self._next)
        self._judged[self._turn] = self._judged.get(self._turn, 0) + 1
        self.cut[self._turn] += candidate is None
        return candidate

    def pass_on(self) -> None:
        """The last trajectory was judged: settle of which mode the next one is."""
        self._turn = self._strategy.next_mode(self._tree, self._judged)
        self._sort_waiting()

    def ended_early(self) -> list[Candidate]:
        """Trajectories that have ended before their turn, in order."""
        in_order = (self._ahead[each] for each in sorted(self._ahead, key=self._distance))
        return [candidate for candidate in in_order if candidate is not None]

    def stop_waiting(self) -> None:
        """Remove all waiting draws."""
        self._waiting.clear()

    def stop_ordering(self) -> None:
        """Let every trajectory count as soon as it ends, from now on."""
        self._sure = 0

    def in_order(self, candidates: Iterable[Candidate]) -> Sequence[Candidate]:
        """Candidates in the order in which they were drawn; ties are broken by this order."""
        if self._sure:
            return list(candidates)  # judged in drawing order; a redraw's branch number would put it last
        return sorted(candidates, key=lambda candidate: self._tree.draw_order(candidate.node))
