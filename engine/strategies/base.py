"""A strategy: its parameters, and a plan without I/O that yields commands and receives scored nodes.

The shape is httpx's ``auth_flow``: the plan decides, one driver samples, scores, meters and cancels.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from ..errors import UsageError, setting
from ..search.tree import Tree
from ..types import ROOT, Mode, NodeId, SelectRule, StopReason, Until

REDRAWS = 2
"""Most steps of one solution that are drawn again for a wrong sum, if the strategy redraws at all.

Redraws need no calibration. They are worth two points to votes in prose, one beside programs
(docs/research.md).
"""


@dataclass(frozen=True, slots=True)
class Expand:
    """Draw ``n`` children below ``node``.

    Attributes:
        node: An open node.
        n: Number of children.
        until: Each runs to its next step, or to the end of its answer with one node per step.
        greedy: Take the most likely token instead of sampling.
        mode: Mode of reasoning.
        max_tokens: Tokens of each, its thoughts left out, if that is less than the sampler allows.
    """

    node: NodeId
    n: int = 1
    until: Until = "step"
    greedy: bool = False
    mode: Mode = "prose"
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Stop the branches below ``nodes`` and never continue them."""

    nodes: tuple[NodeId, ...]
    reason: str


Command = Expand | Cut

Plan = Generator[Sequence[Command], Sequence[NodeId], StopReason | None]
"""A generator: it yields commands and receives the nodes that were scored or dropped since (none if nothing
runs), in the order in which they were finished; of two at one time the one drawn first comes first. A node
that was dropped has the status ``pruned``.

What it asks for starts in that order, as many branches at once as the search is wide. It returns its stop
reason; None is ``exhausted``: all its draws have ended. Branches that still run when it returns are
stopped. A plan that draws nothing while nothing runs has ended as ``exhausted``, too.
"""


_AT_LEAST_ONE = "samples", "votes", "lead", "beams", "branching"
"""Parameters whose smallest value is 1."""


@dataclass(frozen=True, slots=True)
class Strategy(ABC):
    """A way to search one question. Its fields are its parameters, recorded with every search.

    A strategy of one's own is a frozen dataclass below this one, with a ``name`` and a ``plan``.

    Attributes:
        name: Its name for users and in records.
        select: Rule that chooses the answer among finished trajectories.
        reads_options: Options are read before any solution, and ``auto`` gives it all modes there are.
        size: The parameter that an evaluation's ``NAME:N`` sets.
        grows_steps: It grows a tree of steps and chooses among them itself: no programs, and no redraws.
        stops_early: It may end early, so the machine chooses its width; any other strategy runs all at once.
        modes: Modes of reasoning; of equals the first one is drawn first.
        redraws: Most steps of one trajectory that are drawn again for a wrong sum (``redraw_at``).
    """

    name: ClassVar[str]
    select: ClassVar[SelectRule] = "vote"
    reads_options: ClassVar[bool] = False
    size: ClassVar[str] = "samples"
    grows_steps: ClassVar[bool] = False
    stops_early: ClassVar[bool] = False

    modes: tuple[Mode, ...] = field(default=("prose",), kw_only=True)
    redraws: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse numbers that no plan could end with, and for a tree of steps other modes.

        Raises:
            UsageError: a number of trajectories, prefixes or steps is below 1, or a tree of steps has another
                mode than prose.
        """
        for name in _AT_LEAST_ONE:
            if self.has(name) and getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, it must be 1 or more")
        if self.grows_steps and self.modes != ("prose",):
            raise UsageError(
                f"{self.name} grows trees of steps, and a program is a single one",
                hint=setting("mode", "prose"),
            )

    @abstractmethod
    def plan(self, tree: Tree) -> Plan:
        """Decide on draws in ``tree``; may read estimates and the standing, never rewards."""

    @property
    def reads_question(self) -> bool:
        """True if it reads the estimate of the question before it draws anything."""
        return False

    @property
    def at_most(self) -> int | None:
        """Most trajectories that are finished: by default its ``samples``; None if nothing bounds them."""
        samples: int | None = getattr(self, "samples", None)
        return samples

    @property
    def branches(self) -> int:
        """Branches that can usefully run at the same time."""
        return self.at_most or 1

    @property
    def rule(self) -> SelectRule:
        """Rule that chooses the answer: for a code task always the tests that its programs pass."""
        return "passing" if "code" in self.modes else self.select

    @classmethod
    def has(cls, parameter: str) -> bool:
        """True if the strategy has a parameter of this name."""
        return any(field.name == parameter for field in fields(cls))

    def changed(self, **parameters: Any) -> Self:
        """The strategy with other parameters.

        Raises:
            UsageError: it has no such parameter, or could not run with the value.
        """
        if unknown := [setting(name) for name in parameters if not self.has(name)]:
            names = ", ".join(field.name for field in fields(self))
            raise UsageError(f"{self.name} has no {' and no '.join(unknown)}", hint=f"it has {names}")
        return replace(self, **parameters)

    def parameters(self) -> dict[str, Any]:
        """The parameters as JSON has them, for the log."""
        return {**asdict(self), "modes": list(self.modes)}


def whole_trajectories(samples: int, modes: Sequence[Mode], *, greedy: bool = False) -> list[Expand]:
    """Commands for trajectories from the question, by turns of the modes.

    Args:
        samples: Number of trajectories.
        modes: Modes of reasoning.
        greedy: Sets ``Expand.greedy``.
    """
    if len(modes) == 1:
        return [Expand(ROOT, samples, "answer", greedy=greedy, mode=modes[0])] if samples else []
    turns = itertools.islice(itertools.cycle(modes), samples)
    return [Expand(ROOT, 1, "answer", greedy=greedy, mode=mode) for mode in turns]


def draw_until(
    tree: Tree,
    batches: Iterable[Sequence[Expand]],
    verdict: Callable[[], StopReason | None],
) -> Plan:
    """Draw one batch after another, each when all of the one before it have ended, up to a verdict.

    Args:
        tree: Tree of the search.
        batches: Commands for whole trajectories.
        verdict: Stop reason by the tree as it is; None to go on.
    """
    for batch in batches:
        commands, running = batch, sum(command.n for command in batch)
        while commands or running:
            if (reason := verdict()) is not None:
                return reason
            scored = yield commands
            commands = ()
            running -= sum(tree[node].status != "open" for node in scored)
    while (reason := verdict()) is None:  # earlier draws may still run
        yield ()
    return reason


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
    return sorted(nodes, key=tree.draw_order)


def top_k(tree: Tree, nodes: Iterable[NodeId], k: int) -> list[NodeId]:
    """The ``k`` with the highest median estimate, best first; among equals the first drawn."""

    def rank(node: NodeId) -> tuple[float, int, int]:
        estimate = tree[node].estimate
        return (-estimate.median if estimate else 0.0, *tree.draw_order(node))

    return sorted(nodes, key=rank)[:k]


def redraw_at(tree: Tree, node: NodeId, redraws: int) -> tuple[NodeId, str] | None:
    """The node below which a step with a wrong sum is drawn again, and the sum; None if it is not.

    The first step of a solution is never drawn again, nor are more than ``redraws`` of its steps.
    """
    step, parent = tree[node].step, tree[node].parent
    if step is None or parent is None or parent == ROOT or tree[node].status != "open" or not step.wrong_sums:
        return None
    pairs = itertools.pairwise(tree.path(node))
    redrawn = sum(tree.children(above.id).index(below.id) for above, below in pairs)  # a later sibling is one
    return (parent, step.wrong_sums[0]) if redrawn < redraws else None
