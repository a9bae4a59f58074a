"""Steps with a wrong sum are drawn again, from the prefix before them (decision 0013)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from ..search.tree import Tree
from ..types import ROOT, NodeId
from .base import Command, Expand


def redraw_at(tree: Tree, node: NodeId, redraws: int) -> tuple[NodeId, str] | None:
    """Where to draw again instead of a step with a wrong sum, and the sum; None where the trajectory goes on.

    The first step of a trajectory is never drawn again, nor are more than ``redraws`` steps of one.
    """
    step, parent = tree[node].step, tree[node].parent
    if step is None or parent is None or parent == ROOT or tree[node].status != "open":
        return None
    wrong = step.wrong_sums
    return (parent, wrong[0]) if wrong and _redraws_before(tree, node) < redraws else None


def draw_with_redraws(
    tree: Tree, commands: Iterable[Expand], redraws: int
) -> Generator[Sequence[Command], Sequence[NodeId], list[NodeId]]:
    """Run commands until the answer, and every redraw that ``adaptive`` would make.

    A trajectory with a wrong sum goes on beside its redraw: a calibration counts the fates of both.

    Returns:
        All their nodes in drawing order. A node's first child is the next step of the same draw, later ones
        were drawn in its place.
    """
    nodes: list[NodeId] = []
    scored = yield tuple(commands)
    while scored:
        nodes += scored
        wrong_steps = [
            redraw_at(tree, node, redraws) for node in scored if _adaptive_reaches(tree, node, redraws)
        ]
        scored = yield [Expand(wrong[0], 1, until="answer") for wrong in wrong_steps if wrong is not None]
    return sorted(nodes, key=tree.draw_order)


def goes_on(tree: Tree, node: NodeId, redraws: int) -> bool:
    """Whether ``adaptive`` would go on from a node: no step on the way to it is drawn again."""
    return all(redraw_at(tree, on_the_way.id, redraws) is None for on_the_way in tree.path(node))


def _adaptive_reaches(tree: Tree, node: NodeId, redraws: int) -> bool:
    parent = tree[node].parent
    return parent is None or goes_on(tree, parent, redraws)


def _redraws_before(tree: Tree, node: NodeId) -> int:
    """How many steps on the way to ``node`` are redraws: a redraw is a later sibling."""
    below = [(n.id, n.parent) for n in tree.path(node) if n.parent is not None and n.parent != ROOT]
    return sum(tree.children(parent).index(child) for child, parent in below)
