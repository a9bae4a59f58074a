"""Which trajectory is drawn and which is judged when: they wait for a slot, run ahead, and count in turn.

Which trajectory ends first depends on the machine, on what else is searched, and on their lengths. A strategy
that may stop early (``Expand.sure``) judges them one after another all the same, in the order in which they
were drawn: short ones are not to count first (decision 0011). The others count as soon as they have ended.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ..strategies import Expand, Strategy
from ..types import ROOT, Candidate, NodeId, Until, Usage
from .scheduling import chance_needed
from .tree import Tree

_GREEDY = -1
"""Number of a greedy child."""


Key = tuple[int, ...]
"""Child indices from the root to a node; they seed its random stream. The first is the trajectory's turn."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One child that a strategy asked for and that waits for a free slot.

    Attributes:
        parent: Node below which it starts.
        until: How far it runs.
        greedy: Whether it takes the most likely token.
        key: Of its first step.
    """

    parent: NodeId
    until: Until
    greedy: bool
    key: Key


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


def branch_seed(seed: int, problem_id: str, key: Sequence[int]) -> int:
    """32-bit seed from the run's seed, the problem and the path, so that no draw depends on another."""
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


class Turns:
    """The order of one search's trajectories; a turn is the number of a child of the root: 0, 1, ...

    Args:
        tree: Of the search.
        strategy: Says what a further trajectory is worth.

    Attributes:
        cut: Trajectories that were cut and whose turn has passed.
    """

    def __init__(self, tree: Tree, strategy: Strategy) -> None:
        self.cut = 0
        self._tree = tree
        self._strategy = strategy
        self._waiting: deque[Draw] = deque()
        self._keys: dict[NodeId, Key] = {ROOT: ()}
        self._drawn: dict[NodeId, int] = {}
        self._sure = 0  # trajectories that will be judged in any case; 0: each counts as soon as it has ended
        self._next = 0  # the next turn
        self._ahead: dict[int, Candidate | None] = {}  # ended before their turn; None: cut

    @property
    def any_waiting(self) -> bool:
        """Whether a draw waits for a slot."""
        return bool(self._waiting)

    def queue(self, command: Expand) -> None:
        """Queue draws; a greedy one takes no number from sampled ones."""
        if command.sure is not None:
            assert command.node == ROOT, "trajectories that are judged in order begin at the question"
            assert not self._sure, "a plan judges one sequence of trajectories"
            self._sure = command.sure
        node, n = command.node, command.n
        first = _GREEDY if command.greedy else self._drawn.get(node, 0)
        if not command.greedy:
            self._drawn[node] = first + n
        for index in [_GREEDY] * n if command.greedy else range(first, first + n):
            self._waiting.append(Draw(node, command.until, command.greedy, (*self._keys[node], index)))
        if self._sure:
            self._waiting = deque(sorted(self._waiting, key=lambda draw: draw.key[0]))

    def next_draw(self) -> Draw:
        """Take the next one that waits."""
        return self._waiting.popleft()

    def withdraw(self, unwanted: Callable[[NodeId], bool]) -> None:
        """Remove waiting draws whose parent is unwanted."""
        self._waiting = deque(draw for draw in self._waiting if not unwanted(draw.parent))

    def set_key(self, node: NodeId, key: Key) -> None:
        """Note the key of a draw that has become a node."""
        self._keys[node] = key

    def chance(self, draw: Draw) -> float:
        """P(a draw will count), in [0, 1]."""
        if not self._sure:
            return 1.0
        standing = self._tree.standing
        surplus = None if standing is None else self._strategy.surplus(standing)
        return chance_needed(draw.key[0] - max(self._next, self._sure - 1), self._next, surplus)

    def waiting_chances(self) -> list[float]:
        """P(it will count) of each waiting draw, in order."""
        return [self.chance(draw) for draw in self._waiting]

    def sure_waiting(self) -> int:
        """How many waiting draws are sure to count."""
        # Chances fall along the queue: behind the first unsure draw none is sure.
        return sum(1 for _ in takewhile(lambda draw: self.chance(draw) >= 1.0, self._waiting))

    def hold_until_turn(self, candidate: Candidate) -> bool:
        """Store a trajectory that has ended before its turn; returns False where it counts at once."""
        turn = self._keys[candidate.node][0]
        if not self._is_awaited(turn):
            return False
        self._ahead[turn] = candidate
        return True

    def skip(self, key: Key) -> None:
        """Pass the turn of a running trajectory that was cut, unless another is drawn in its place."""
        turn = key[0]
        if self._is_awaited(turn) and not any(draw.key[0] == turn for draw in self._waiting):
            self._ahead[turn] = None

    def _is_awaited(self, turn: int) -> bool:
        return self._sure > 0 and turn >= self._next and turn not in self._ahead

    @property
    def is_due(self) -> bool:
        """Whether the trajectory whose turn it is has ended."""
        return self._next in self._ahead

    def take_due(self) -> Candidate | None:
        """The trajectory whose turn it is, which must be due; None where it was cut."""
        candidate = self._ahead.pop(self._next)
        self._next += 1
        self.cut += candidate is None
        return candidate

    def ended_early(self) -> list[Candidate]:
        """Trajectories that have ended before their turn, in order."""
        in_order = (self._ahead[turn] for turn in sorted(self._ahead))
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
