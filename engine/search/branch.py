"""A branch: one sequence of tokens that a search draws, and where it stands on the clock of its search."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..ports import Growth
from ..strategies import Expand
from ..types import BranchId, Mode, NodeId, Step, Usage

Key = tuple[int, ...]
"""Child indices from the root to a node; they seed its random stream."""

NOT_STARTED = BranchId(-1)

GREEDY = -1
"""Index of a greedy child, which takes no number from its sampled siblings."""


@dataclass(slots=True, eq=False)
class Branch:
    """A sequence of tokens that is drawn below a node.

    Attributes:
        asked: The command that asked for it.
        parent: Node to which its next step attaches.
        key: Key of that step.
        id: Number among the branches of its search, in the order in which they started.
        sequence: Its number at the generator; None while it has no place there.
        at: Time on the clock of its search, in tokens, up to which its text has been taken.
        step: What has been taken of the step that it is writing; None before the first token.
        cost: Cost of that step so far.
        unreported: Tokens taken since the last ``BranchGrew``.
        written: What the generator wrote since, the oldest first, and what that cost.
    """

    asked: Expand
    parent: NodeId
    key: Key
    id: BranchId = NOT_STARTED
    sequence: BranchId | None = None
    at: int = 0
    step: Step | None = None
    cost: Usage = Usage()
    unreported: int = 0
    written: deque[tuple[Growth, Usage]] = field(default_factory=deque)

    @property
    def mode(self) -> Mode:
        """How it reasons."""
        return self.asked.mode

    @property
    def trajectory(self) -> tuple[Mode, int]:
        """Its mode, and the number among this mode's of the trajectory that it belongs to."""
        return self.mode, self.key[0]

    @property
    def next_at(self) -> int:
        """Time at which the next that it has written counts; there must be some."""
        return self.at + self.written[0][0].new_tokens


def branch_seed(seed: int, problem_id: str, key: Sequence[int], mode: Mode = "prose") -> int:
    """32-bit seed of a branch, from the run's seed, the problem and its key: no draw depends on another."""
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    if mode != "prose":
        text += f"\x00{mode}"
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
