"""A step with a wrong sum is drawn again, from the prefix before it.

Any strategy of whole trajectories may have it (``Strategy.redraws``): it needs no calibration, and is worth
two points to votes in prose, one beside programs (docs/research.md). The rollouts of a calibration have every
redraw that a search would make.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ..search.tree import Tree
from ..types import ROOT, NodeId
from .base import Expand, Plan, Strategy

REDRAWS = 2
"""Most steps of one trajectory that are drawn again, where any are."""


def redraw_at(tree: Tree, node: NodeId, redraws: int) -> tuple[NodeId, str] | None:
    """Node from which to draw a step with a wrong sum again, and the sum; None if the trajectory goes on.

    The first step of a trajectory is never drawn again, nor are more than ``redraws`` steps of one.
    """
    step, parent = tree[node].step, tree[node].parent
    if step is None or parent is None or parent == ROOT or tree[node].status != "open" or not step.wrong_sums:
        return None
    path = tree.path(node)
    # A redraw is a later sibling.
    redrawn = sum(tree.children(above.id).index(below.id) for above, below in pairwise(path))
    return (parent, step.wrong_sums[0]) if redrawn < redraws else None


def draw_with_redraws(tree: Tree, commands: Iterable[Expand], redraws: int) -> Plan:
    """Run commands until the answer, and every redraw that ``adaptive`` would make.

    A trajectory with a wrong sum goes on, too: a calibration counts the outcomes of both. A node's first
    child is the next step of the same draw, later ones were drawn in its place.
    """
    scored = yield tuple(commands)
    while scored:
        again = []
        for node in scored:
            *before, wrong = [redraw_at(tree, each.id, redraws) for each in tree.path(node)]
            if wrong is not None and not any(before):  # else ``adaptive`` would not have come here
                again.append(Expand(wrong[0], 1, until="answer"))
        scored = yield again
    return None


@dataclass(frozen=True, slots=True)
class RolloutDraws(Strategy):
    """Whole trajectories with the redraws that ``adaptive`` would make.

    Attributes:
        samples: Whole trajectories in prose.
        slips: Most steps of one trajectory whose wrong sum brings another draw in their place.
        programs: Whole trajectories that are programs, which are one of its modes then.
    """

    name = "rollouts"

    samples: int = 4
    slips: int = REDRAWS
    programs: int = 0

    @property
    def at_most(self) -> int:
        """The whole trajectories; every step with a wrong sum adds one."""
        return self.samples + self.programs

    def plan(self, tree: Tree) -> Plan:
        """Draw them."""
        whole = [Expand(ROOT, self.samples, until="answer")]
        if self.programs:
            whole.append(Expand(ROOT, self.programs, until="answer", mode="program"))
        return (yield from draw_with_redraws(tree, whole, self.slips))
