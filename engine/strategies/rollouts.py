"""Rollouts for a calibration: what becomes of a question, and of one prefix of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..search.tree import Tree
from ..search.turns import branch_seed
from ..types import ROOT, NodeId
from .base import Expand, Plan, Strategy, gather, require_positive
from .redraw import draw_with_redraws, goes_on


@dataclass(frozen=True, slots=True)
class PrefixRollouts(Strategy):
    """Whole trajectories with what ``adaptive`` draws again in them, and more from one prefix of one.

    The second kind tells how often the same prefix succeeds, which one outcome per prefix cannot: the paper
    (arXiv 2506.09338, section 1.2 of its pipeline) draws 8 from every prefix; here more questions come first.

    Attributes:
        samples: Whole trajectories.
        rollouts: Those from the prefix; 0 for none.
        redraws: As ``Adaptive`` has it.
    """

    name: ClassVar[str] = "rollouts"

    samples: int = 4
    rollouts: int = 2
    redraws: int = 2

    def __post_init__(self) -> None:
        """Check the parameters."""
        require_positive(self, "samples")

    @property
    def at_most(self) -> None:
        """Unknown: every step with a wrong sum adds one."""
        return None

    @property
    def branches(self) -> int:
        """The whole trajectories."""
        return self.samples

    def plan(self, tree: Tree) -> Plan:
        """Draw the whole ones, then those of the prefix."""
        whole = Expand(ROOT, self.samples, until="answer")
        nodes = yield from draw_with_redraws(tree, [whole], self.redraws)
        went_on = [n for n in nodes if goes_on(tree, n, self.redraws)]
        prefix = _any_prefix(tree, went_on) if self.rollouts else None
        if prefix is not None:
            yield from gather(tree, [Expand(prefix, self.rollouts, until="answer")])
        return None


def _any_prefix(tree: Tree, nodes: list[NodeId]) -> NodeId | None:
    """One unfinished of the nodes, in the draw whose first step is shortest, each as likely.

    Any draw will do that the draws alone decide, and not who else was running when they were drawn.
    """

    def length(node: NodeId) -> tuple[int, int]:
        step, branch = tree[node].step, tree[node].branch
        assert step is not None, "only the root has no step"
        assert branch is not None, "only the root has no branch"
        return len(step.token_ids), branch

    first = tree[min(tree.children(ROOT), key=length)].branch
    inside = [n for n in nodes if tree[n].status == "open" and tree[n].branch == first]
    return inside[branch_seed(0, tree.problem.id, ()) % len(inside)] if inside else None
