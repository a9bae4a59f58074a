"""The branches of a search, and their clock, which counts tokens."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..ports import Growth
from ..strategies import Expand
from ..types import ROOT, BranchId, Mode, NodeId, Step, Usage

Key = tuple[int, ...]
"""Child indices from the root to a node; they seed its random stream."""

NOT_STARTED = BranchId(-1)

GREEDY = -1
"""Index of a greedy child, which takes no number from its sampled siblings."""


@dataclass(slots=True, eq=False)
class Branch:
    """A sequence of tokens that is drawn below a node.

    Attributes:
        command: The command that asked for it.
        parent: Node to which its next step attaches.
        key: Key of that step.
        id: Number among the branches of its search, in the order in which they started.
        generator_id: Its number at the generator; None while it has no place there.
        time: Time on the clock of its search, in tokens, up to which its text is processed.
        step: The step in progress at that time; None before the first token.
        cost: Cost of that step so far.
        unreported: Tokens processed since the last ``BranchGrew``.
        lookahead: Growths that the clock has not reached, the oldest first, each with its cost.
    """

    command: Expand
    parent: NodeId
    key: Key
    id: BranchId = NOT_STARTED
    generator_id: BranchId | None = None
    time: int = 0
    step: Step | None = None
    cost: Usage = Usage()
    unreported: int = 0
    lookahead: deque[tuple[Growth, Usage]] = field(default_factory=deque)

    @property
    def mode(self) -> Mode:
        """The mode of its command."""
        return self.command.mode

    @property
    def solution(self) -> tuple[Mode, int]:
        """The solution that it belongs to: its mode, and its number in this mode."""
        return self.mode, self.key[0]

    @property
    def next_time(self) -> int:
        """Time of the first growth in its lookahead buffer."""
        return self.time + self.lookahead[0][0].new_tokens


class Branches:
    """The running and the waiting branches of one search.

    Attributes:
        running: Branches that run, by their ids.
        waiting: Branches that wait, in the order in which they will start.
        tokens: Tokens generated so far, those in lookahead buffers too.
    """

    def __init__(self) -> None:
        self.running: dict[BranchId, Branch] = {}
        self.waiting: list[Branch] = []
        self.tokens = 0
        self._now = 0
        self._started = 0
        self._keys: dict[NodeId, Key] = {ROOT: ()}
        self._drawn: Counter[tuple[NodeId, Mode]] = Counter()

    @property
    def is_idle(self) -> bool:
        """True if no branch runs or waits."""
        return not (self.running or self.waiting)

    @property
    def without_place(self) -> list[Branch]:
        """Branches that run on the clock and have no place at the generator yet."""
        return [each for each in self.running.values() if each.generator_id is None and not each.lookahead]

    @property
    def places(self) -> int:
        """Number of branches that have a place at the generator."""
        return sum(branch.generator_id is not None for branch in self.running.values())

    def queue(self, command: Expand) -> None:
        """Number the children of a command; continued solutions start before new ones."""
        node, mode = command.node, command.mode
        numbers: Sequence[int] = [GREEDY] * command.n
        if not command.greedy:
            numbers = range(self._drawn[node, mode], self._drawn[node, mode] + command.n)
            self._drawn[node, mode] += command.n
        self.waiting += [Branch(command, node, (*self._keys[node], number)) for number in numbers]
        self.waiting.sort(key=lambda branch: branch.command.node == ROOT)

    def start(self, width: int) -> list[Branch]:
        """Start waiting branches while fewer than ``width`` run; returns these."""
        started = self.waiting[: max(0, width - len(self.running))]
        del self.waiting[: len(started)]
        for branch in started:
            branch.id, branch.time = BranchId(self._started), self._now
            self.running[branch.id] = branch
            self._started += 1
        return started

    def write(self, branch: Branch, growth: Growth, usage: Usage) -> None:
        """Append the generator's text to a branch."""
        branch.lookahead.append((growth, usage))
        self.tokens += growth.new_tokens

    def tick(self) -> list[Branch]:
        """Branches with a growth at the next time of the clock; none while a branch has not come so far."""
        running = self.running.values()
        due = min((branch.next_time for branch in running if branch.lookahead), default=None)
        if due is None or any(branch.time < due for branch in running if not branch.lookahead):
            return []
        self._now = due
        return [branch for branch in running if branch.lookahead and branch.next_time == due]

    def begin_again(self, branch: Branch) -> None:
        """Send a branch back to the node of its command: its text is lost, and its cost stays."""
        branch.parent = branch.command.node
        branch.key = branch.key[: len(self._keys[branch.parent]) + 1]

    def add_step(self, branch: Branch, node: NodeId, *, ends: bool) -> None:
        """The step of a branch is complete, and has become a node."""
        self._keys[node] = branch.key
        branch.parent, branch.key = node, (*branch.key, 0)
        branch.step, branch.cost, branch.unreported = None, Usage(), 0
        if ends:
            del self.running[branch.id]


def branch_seed(seed: int, problem_id: str, key: Sequence[int], mode: Mode = "prose") -> int:
    """32-bit seed of a branch, from the run's seed, the problem and its key: no draw depends on another."""
    text = f"{seed}\x00{problem_id}\x00{','.join(map(str, key))}"
    if mode != "prose":
        text += f"\x00{mode}"
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
