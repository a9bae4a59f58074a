"""Draws of one search: they are numbered, seeded, and wait for a slot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..strategies import Expand
from ..types import ROOT, Mode, NodeId

_GREEDY = -1
"""Number of a greedy child."""

Key = tuple[int, ...]
"""Child indices from the root to a node; they seed its random stream."""

Trajectory = tuple[Mode, int]
"""A mode, and a number among the trajectories of this mode: 0, 1, ..."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One child that a strategy asked for.

    Attributes:
        asked: The command, perhaps for other children too.
        key: Key of its first step.
    """

    asked: Expand
    key: Key

    @property
    def trajectory(self) -> Trajectory:
        """The trajectory that it belongs to."""
        return self.asked.mode, self.key[0]


class Draws:
    """Draws that wait for a slot, in the order in which they will start.

    Attributes:
        waiting: All of them.
        keys: Key of each node; the first of its numbers is that of its trajectory among those of its mode.
    """

    def __init__(self) -> None:
        self.waiting: list[Draw] = []
        self.keys: dict[NodeId, Key] = {ROOT: ()}
        self._drawn: dict[tuple[NodeId, Mode], int] = {}

    def queue(self, command: Expand) -> list[Draw]:
        """Number and queue the children of a command; a greedy one takes no number from sampled ones."""
        node, mode = command.node, command.mode
        first = self._drawn.get((node, mode), 0)
        if command.greedy:
            numbers: Sequence[int] = [_GREEDY] * command.n
        else:
            numbers = range(first, first + command.n)
            self._drawn[node, mode] = first + command.n
        draws = [Draw(command, (*self.keys[node], n)) for n in numbers]
        self.waiting += draws
        return draws


def branch_seed(seed: int, problem_id: str, key: Sequence[int], mode: Mode = "prose") -> int:
    """32-bit seed of a branch, from the run's seed, the problem and its key: no draw depends on another."""
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    if mode != "prose":
        text += f"\x00{mode}"
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
