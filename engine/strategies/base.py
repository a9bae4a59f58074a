"""What a strategy is: a generator without I/O that yields commands and receives scored nodes.

The shape is httpx's ``auth_flow``: the strategy decides, one driver samples, scores, meters and cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import UsageError
from ..search.tree import Tree
from ..types import NodeId, StopReason, Until

SelectRule = Literal["vote", "best", "weighted"]
"""How the answer is chosen: the largest group of equal answers, the highest median estimate, or the group
with the largest sum of medians."""

Adapt = Literal["none", "n", "k", "m", "km"]
"""Which number an allocation rule of the paper sets from lower estimates: the samples of a question, the
prefixes that a beam keeps, the children of each, or both."""


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
        sure: Where the strategy may stop before it has seen all ``n`` trajectories: how many it will see in
            any case. They are then judged one after another in the order of their numbers, however long each
            takes, and those beyond the next one run ahead only where it pays (``allocate.run_ahead``). So
            what is answered depends neither on the machine nor on other questions, unless a budget ends it.
    """

    node: NodeId
    n: int = 1
    until: Until = "step"
    greedy: bool = False
    lower: float | None = None
    required: int | None = None
    sure: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Stop the branches below ``nodes`` and never continue them."""

    nodes: tuple[NodeId, ...]
    reason: str


Command = Expand | Cut

Plan = Generator[Sequence[Command], Sequence[NodeId], StopReason | None]
"""Yields commands, is sent the nodes scored since: at least one while anything runs, else none.

What it returns is why it stopped; None is ``exhausted``: everything it wanted was drawn. Branches that still
run when it returns are stopped.
"""


@dataclass(frozen=True, slots=True)
class SearchParams:
    """Every number a built-in strategy reads.

    Attributes:
        samples: Trajectories of vote and best-of-n, and the most that an adaptive strategy draws; at least 1.
        beam_width: Prefixes that beam search keeps, at least 1.
        branching: Children of each kept prefix, at least 1.
        rollouts: More trajectories from one prefix, when rollouts are drawn for a calibration.
        adapt: What the paper's rules set.
        confidence: The C of those rules, in (0, 1).
        prune_every: Steps between two prunings of a beam; in between each kept prefix goes on alone.
        least: Finished trajectories before an adaptive strategy may stop early.
        stop_at: Probability of the answer at which ``adaptive`` stops, in [0, 1].
        min_gain: It stops where each further trajectory adds less than this to that probability.
        hopeless: It gives up where no number of trajectories would raise that probability to this.
        cut: A running trajectory is cut below this share of the question's estimate; 0 for never.
        redraws: Steps of one trajectory that are drawn again at most, where they slip in arithmetic.
    """

    samples: int = 16
    beam_width: int = 4
    branching: int = 4
    rollouts: int = 0
    adapt: Adapt = "none"
    confidence: float = 0.99
    prune_every: int = 1
    least: int = 2
    stop_at: float = 0.95
    min_gain: float = 0.002
    hopeless: float = 0.1
    cut: float = 0.25
    redraws: int = 2

    def __post_init__(self) -> None:
        """Refuse what no plan could end with.

        Raises:
            UsageError: a number of trajectories, prefixes or steps below 1.
        """
        for name in ("samples", "beam_width", "branching", "prune_every", "least"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, it must be 1 or more")


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named plan, how its answer is chosen, and how many branches it runs at once."""

    name: str
    plan: Callable[[Tree, SearchParams], Plan]
    select: SelectRule
    width: Callable[[SearchParams], int]
    used: tuple[str, ...] = ()
    adapts: tuple[Adapt, ...] = ()

    def __reduce__(self) -> tuple[Callable[[str], Strategy], tuple[str]]:
        """Built-in strategies are pickled by their names."""
        from . import strategy_named

        return strategy_named, (self.name,)

    def recorded(self, params: SearchParams) -> dict[str, Any]:
        """The parameters that this strategy reads, for the event log: as JSON has them."""
        adapting = ("adapt", "confidence") if params.adapt != "none" and self.adapts else ()
        return {name: getattr(params, name) for name in (*self.used, *adapting)}


def gather(
    tree: Tree, commands: Iterable[Command]
) -> Generator[Sequence[Command], Sequence[NodeId], list[NodeId]]:
    """Issue commands, wait until every drawn child has ended, return all their nodes in drawing order."""
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
    return sorted(nodes, key=tree.drawn)


def open_nodes(tree: Tree, nodes: Iterable[NodeId]) -> list[NodeId]:
    """Those that can be expanded."""
    return [node for node in nodes if tree[node].status == "open"]


def top_k(tree: Tree, nodes: Iterable[NodeId], k: int) -> list[NodeId]:
    """The ``k`` with the highest median estimate, best first; of equals the one that was drawn first."""

    def rank(node: NodeId) -> tuple[float, int, int]:
        estimate = tree[node].estimate
        return (-estimate.median if estimate else 0.0, *tree.drawn(node))

    return sorted(nodes, key=rank)[:k]


def lowers(tree: Tree, nodes: Iterable[NodeId]) -> list[float]:
    """Lower estimates of scored nodes, in order."""
    estimates = (tree[node].estimate for node in nodes)
    return [estimate.lower for estimate in estimates if estimate is not None]
