"""Strategies that draw the rollouts of a calibration."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..search.tree import Tree
from ..search.waiting import branch_seed
from ..types import ROOT, NodeId
from .base import Command, Expand, Plan, Strategy, gather
from .redraws import REDRAWS, redraw_at


def draw_with_redraws(
    tree: Tree, commands: Iterable[Expand], redraws: int
) -> Generator[Sequence[Command], Sequence[NodeId], list[NodeId]]:
    """Run commands until the answer, and every redraw that ``adaptive`` would make.

    A trajectory with a wrong sum goes on, too: a calibration counts the outcomes of both.

    Returns:
        All their nodes in drawing order. A node's first child is the next step of the same draw, later ones
        were drawn in its place.
    """
    nodes: list[NodeId] = []
    scored = yield tuple(commands)
    while scored:
        nodes += scored
        reached = [node for node in scored if goes_on(tree, tree[node].parent or ROOT, redraws)]
        wrong_steps = [redraw_at(tree, node, redraws) for node in reached]
        scored = yield [Expand(wrong[0], 1, until="answer") for wrong in wrong_steps if wrong is not None]
    return sorted(nodes, key=tree.draw_order)


def goes_on(tree: Tree, node: NodeId, redraws: int) -> bool:
    """True if ``adaptive`` would go on from a node: no step on the way to it is drawn again."""
    return all(redraw_at(tree, on_the_way.id, redraws) is None for on_the_way in tree.path(node))


@dataclass(frozen=True, slots=True)
class PrefixRollouts(Strategy):
    """Whole trajectories with the redraws that ``adaptive`` would make, and more from one prefix of one.

    The second kind tells how often the same prefix succeeds, which one outcome per prefix cannot: the paper
    (arXiv 2506.09338, section 1.2 of its pipeline) draws 8 from every prefix; here more questions come first.

    Attributes:
        samples: Whole trajectories.
        rollouts: Trajectories from that prefix; 0 for none.
        slips: Most steps of one trajectory whose wrong sum brings another draw in their place.
        programs: Whole trajectories that are programs.
    """

    name: ClassVar[str] = "rollouts"

    samples: int = 4
    rollouts: int = 2
    slips: int = REDRAWS
    programs: int = 0

    def __post_init__(self) -> None:
        """Check the parameters; programs are a mode."""
        Strategy.__post_init__(self)
        object.__setattr__(self, "modes", ("prose", "program") if self.programs else ("prose",))

    @property
    def at_most(self) -> None:
        """Unknown: every step with a wrong sum adds one."""
        return None

    @property
    def branches(self) -> int:
        """The whole trajectories."""
        return self.samples + self.programs

    def plan(self, tree: Tree) -> Plan:
        """Draw the whole trajectories, then those of the prefix."""
        whole = [Expand(ROOT, self.samples, until="answer")]
        if self.programs:
            whole.append(Expand(ROOT, self.programs, until="answer", mode="program"))
        nodes = yield from draw_with_redraws(tree, whole, self.slips)
        went_on = [n for n in nodes if goes_on(tree, n, self.slips)]
        prefix = _one_prefix(tree, went_on) if self.rollouts else None
        if prefix is not None:
            yield from gather(tree, [Expand(prefix, self.rollouts, until="answer")])
        return None


def _one_prefix(tree: Tree, nodes: list[NodeId]) -> NodeId | None:
    """Pick one open node, pseudo-randomly and uniformly, from the trajectory with the shortest first step.

    The choice depends only on the samples, never on batching, so it is reproducible.
    """

    def length(node: NodeId) -> tuple[int, int]:
        step, branch = tree[node].step, tree[node].branch
        assert step is not None, "only the root has no step"
        assert branch is not None, "only the root has no branch"
        return len(step.token_ids), branch

    begun = [node for node in tree.children(ROOT) if tree[node].mode == "prose"]
    first = tree[min(begun, key=length)].branch
    inside = [n for n in nodes if tree[n].status == "open" and tree[n].branch == first]
    return inside[branch_seed(0, tree.problem.id, ()) % len(inside)] if inside else None
