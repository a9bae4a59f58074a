"""Facts about the subtrees of a view, taken bottom up: a child's id is always greater than its parent's."""

from __future__ import annotations

from typing import Literal

from adascale.engine.search.tree import Tree

from .state import ViewState

FoldKind = Literal["pruned", "finished", "waiting", "others", "rest"]

Key = tuple[FoldKind, str | None]
"""What makes siblings alike: their kind, and the answer of finished ones."""


def subtree_keys(state: ViewState) -> list[Key | None]:
    """For every node what all ends of its subtree are; None where they differ or are still written."""
    writing = state.writing()
    answers = {node: group.answer for group in state.groups for node in group.nodes}
    below: list[set[Key | None]] = [set() for _ in state.tree]
    keys: list[Key | None] = [None] * len(below)
    for node in reversed(state.tree.nodes):
        if node.status == "pruned":
            keys[node.id] = ("pruned", None)
        elif node.status == "terminal":
            keys[node.id] = ("finished", answers.get(node.id))
        elif node.id not in writing:
            keys[node.id] = _shared(below[node.id])
        if node.parent is not None:
            below[node.parent].add(keys[node.id])
    return keys


def _shared(below: set[Key | None]) -> Key | None:
    """The key of a node that is not written below; waiting children fold among themselves only."""
    if not below:
        return ("waiting", None)
    key = next(iter(below)) if len(below) == 1 else None
    return None if key is None or key[0] == "waiting" else key


def best_below(tree: Tree) -> list[float]:
    """The highest median estimate in the subtree of every node, by node id; 0 where nothing is scored."""
    best = [node.estimate.median if node.estimate else 0.0 for node in tree]
    for node in reversed(tree.nodes):
        if node.parent is not None:
            best[node.parent] = max(best[node.parent], best[node.id])
    return best
