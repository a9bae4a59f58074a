"""Children that a strategy asked for: waiting, running, and how each is seeded."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..budget import Usage
from ..types import ROOT, NodeId, Until

_GREEDY = -1
"""Number of a greedy child."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One child that a strategy asked for and that waits for a free slot.

    Attributes:
        parent: Where it starts.
        until: How far it runs.
        greedy: Whether it takes the most likely token.
        key: Numbers of the children on the way to it, by which it is seeded.
    """

    parent: NodeId
    until: Until
    greedy: bool
    key: tuple[int, ...]


@dataclass(slots=True)
class Branch:
    """A running draw: where its next step attaches, and what it has cost since the last step."""

    draw: Draw
    parent: NodeId
    key: tuple[int, ...]
    pending: Usage = Usage()
    reported: int = 0


class Draws:
    """What waits, and how every node is numbered: a child is seeded by its path alone.

    Attributes:
        waiting: In the order in which they were asked for.
    """

    def __init__(self) -> None:
        self.waiting: deque[Draw] = deque()
        self._keys: dict[NodeId, tuple[int, ...]] = {ROOT: ()}
        self._drawn: dict[NodeId, int] = {}

    def ask(self, node: NodeId, n: int, until: Until, *, greedy: bool = False) -> None:
        """Queue ``n`` children; a greedy one takes no number from sampled ones."""
        first = _GREEDY if greedy else self._drawn.get(node, 0)
        if not greedy:
            self._drawn[node] = first + n
        for index in [_GREEDY] * n if greedy else range(first, first + n):
            self.waiting.append(Draw(node, until, greedy, (*self._keys[node], index)))

    def in_turn(self) -> None:
        """Let what waits come in the order of the root's children."""
        self.waiting = deque(sorted(self.waiting, key=lambda draw: draw.key[0]))

    def waits(self, turn: int) -> bool:
        """Whether a draw waits that belongs to one of the root's children."""
        return any(draw.key[0] == turn for draw in self.waiting)

    def made(self, node: NodeId, key: tuple[int, ...]) -> None:
        """A draw has become a node."""
        self._keys[node] = key

    def turn(self, node: NodeId) -> int:
        """Which of the root's children a node belongs to: 0, 1, ..."""
        return self._keys[node][0]


def branch_seed(seed: int, problem_id: str, key: Sequence[int]) -> int:
    """32-bit seed from the run's seed, the problem and the path, so that no draw depends on another."""
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")
