"""What a strategy is: a generator without I/O that yields commands and receives scored nodes.

The shape is httpx's ``auth_flow``: the strategy decides, one driver samples, scores, meters and cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..tree import Tree
from ..types import NodeId, Until

SelectRule = Literal["vote", "best"]
"""How the answer is chosen: the largest group of equal answers, or the highest median estimate."""


@dataclass(frozen=True, slots=True)
class Expand:
    """Draw ``n`` children below ``node``.

    Attributes:
        node: An open node.
        n: How many children.
        until: Whether each runs to its next step or to the end of its answer, one node per step.
        greedy: Take the most likely token instead of sampling.
        lower: Lower estimate that an allocation rule used, for the record.
        required: What that rule asked for before it was clipped to ``n``.
    """

    node: NodeId
    n: int = 1
    until: Until = "step"
    greedy: bool = False
    lower: float | None = None
    required: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Stop the branches below ``nodes`` and never continue them."""

    nodes: tuple[NodeId, ...]
    reason: str


Command = Expand | Cut

Plan = Generator[Sequence[Command], Sequence[NodeId], None]
"""Yields commands, is sent the nodes scored since: at least one while anything runs, else none."""


@dataclass(frozen=True, slots=True)
class SearchParams:
    """Every number a built-in strategy reads.

    Attributes:
        samples: Trajectories of vote and best-of-n, at least 1.
        beam_width: Prefixes that beam search keeps, at least 1.
        branching: Children of each kept prefix, at least 1.
        rollouts: More trajectories from one prefix, when rollouts are drawn for a calibration.
    """

    samples: int = 16
    beam_width: int = 4
    branching: int = 4
    rollouts: int = 0


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named plan, how its answer is chosen, and how many branches it runs at once."""

    name: str
    plan: Callable[[Tree, SearchParams], Plan]
    select: SelectRule
    width: Callable[[SearchParams], int]
    used: tuple[str, ...] = ()

    def recorded(self, params: SearchParams) -> dict[str, int]:
        """The parameters that this strategy reads, for the event log."""
        return {name: getattr(params, name) for name in self.used}


def gather(
    tree: Tree, commands: Iterable[Command]
) -> Generator[Sequence[Command], Sequence[NodeId], list[NodeId]]:
    """Issue commands, wait until every drawn child has ended, return all their nodes."""
    batch: Sequence[Command] = tuple(commands)
    expands = [command for command in batch if isinstance(command, Expand)]
    running = sum(command.n for command in expands)
    one_step = all(command.until == "step" for command in expands)
    nodes: list[NodeId] = []
    while running or batch:
        scored = yield batch
        batch = ()
        nodes += scored
        running -= sum(one_step or tree[node].status != "open" for node in scored)
    return nodes


def open_nodes(tree: Tree, nodes: Iterable[NodeId]) -> list[NodeId]:
    """Those that can be expanded."""
    return [node for node in nodes if tree[node].status == "open"]


def top_k(tree: Tree, nodes: Iterable[NodeId], k: int) -> list[NodeId]:
    """The ``k`` with the highest median estimate, best first; ties keep the older node."""

    def rank(node: NodeId) -> tuple[float, int]:
        estimate = tree[node].estimate
        return (-estimate.median if estimate else 0.0, node)

    return sorted(nodes, key=rank)[:k]
