"""A step with a wrong sum is drawn again, from the prefix before it.

Any strategy of whole trajectories may have it (``Strategy.redraws``): it needs no calibration, and is worth
two points to votes in prose, one beside programs (docs/research.md). The rollouts of a calibration have them
as any search.
"""

from __future__ import annotations

from itertools import pairwise

from ..search.tree import Tree
from ..types import ROOT, NodeId

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
