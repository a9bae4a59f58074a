"""Children that a strategy asked for: waiting, running, and how each is seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from .budget import Usage
from .types import NodeId, Until


@dataclass(frozen=True, slots=True)
class Draw:
    """One child that a strategy asked for and that waits for a free slot.

    Attributes:
        parent: Where it starts.
        until: How far it runs.
        greedy: Whether it takes the most likely token.
        key: Numbers of the children on the way to it, by which it is seeded.
        turn: 0, 1, ... where trajectories are judged one after another (``Expand.sure``), else None.
    """

    parent: NodeId
    until: Until
    greedy: bool
    key: tuple[int, ...]
    turn: int | None = None


@dataclass(slots=True)
class Branch:
    """A running draw: where its next step attaches, and what it has cost since the last step."""

    draw: Draw
    parent: NodeId
    key: tuple[int, ...]
    pending: Usage = Usage()
    reported: int = 0


def branch_seed(seed: int, problem_id: str, key: Sequence[int]) -> int:
    """32-bit seed from the run's seed, the problem and the path, so that no draw depends on another."""
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")
