"""Draws that a strategy asked for, branches that run, and the seed of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..budget import Usage
from ..types import NodeId, Until

Key = tuple[int, ...]
"""Numbers of the children on the way to a node, by which it is seeded; the first is the trajectory's turn."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One child that a strategy asked for and that waits for a free slot.

    Attributes:
        parent: Where it starts.
        until: How far it runs.
        greedy: Whether it takes the most likely token.
        key: Its own.
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
