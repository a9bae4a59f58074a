"""Which rows of a tree to show if not all of them fit.

A thought has one row, that of its last part. More folds come in three stages, each only as far as it is
needed: siblings that ended alike share a row; subtrees off the best path become one row each; below each
step that stays, all that is off the best path shares a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import ROOT, NodeId

from .state import ViewState

Group = tuple[NodeId, ...]
"""Siblings that share a row."""

Ending = tuple[Literal["pruned", "finished", "waiting"], str | None]
"""How a subtree ended as a whole, with the answer if it is finished."""

_KINDS = ("pruned", "finished", "waiting")
"""Groups of these kinds are made in this order."""


@dataclass(slots=True)
class Folds:
    """Nodes without a row of their own.

    Attributes:
        groups: Siblings that share a row, by parent.
        hidden: All nodes in groups; the subtrees below them are hidden too.
        skipped: Nodes that give way to the one thing below them.
        closed: Nodes whose subtree has no row but theirs.
    """

    groups: dict[NodeId, list[Group]] = field(default_factory=dict)
    hidden: set[NodeId] = field(default_factory=set)
    skipped: set[NodeId] = field(default_factory=set)
    closed: set[NodeId] = field(default_factory=set)


def fold(state: ViewState, room: int | None) -> Folds:
    """Folds that bring the tree to ``room`` rows, or as near as folding can; None folds only thoughts."""
    folder = _Folder(state)
    if room is not None:
        for stage in (folder.share_alike, folder.shorten, folder.share_rest):
            over = folder.count_rows() - room
            if over <= 0:
                break
            stage(over)
    return folder.folds


class _Folder:
    """Folds a tree; each stage takes the number of rows that are too many."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._tree = state.tree
        self._writing = state.writing()
        self.folds = Folds(skipped=inner_thoughts(state.tree, self._writing))
        self._best_path = state.best_path
        ways = (node.id for parent in self._writing for node in state.tree.path(parent))
        self._kept = {*self._best_path, *ways}
        self._rows: list[int] = []

    @cached_property
    def _best(self) -> list[float]:
        """Highest median estimate in each subtree, by node id; 0 if nothing is scored; few trees need it."""
        best = [node.estimate.median if node.estimate else 0.0 for node in self._tree]
        for node in reversed(self._tree.nodes):
            if node.parent is not None:
                best[node.parent] = max(best[node.parent], best[node.id])
        return best

    def count_rows(self) -> int:
        """Rows of the whole tree under the present folds; keeps those of every subtree."""
        folds = self.folds
        self._rows = rows = [0] * len(self._tree)
        for node in reversed(self._tree.nodes):  # ids grow with depth, so subtrees add up from the end
            if node.id in folds.hidden:
                rows[node.id] = 0
            elif node.id in folds.closed:
                rows[node.id] = 1
            else:
                rows[node.id] += self._writing.get(node.id, 0) + len(folds.groups.get(node.id, ()))
                rows[node.id] += node.id not in folds.skipped
            if node.parent is not None:
                rows[node.parent] += rows[node.id]
        return rows[ROOT]

    def share_alike(self, over: int) -> None:
        """Siblings that are pruned, have the same answer or wait share a row; large groups come first."""
        endings, covered = subtree_endings(self._state), set[NodeId]()
        alike: dict[tuple[NodeId, Ending], list[NodeId]] = {}
        for node in self._tree:
            if node.parent in covered:
                covered.add(node.id)
            elif node.parent is not None and node.id not in self._kept and (ending := endings[node.id]):
                covered.add(node.id)
                alike.setdefault((node.parent, ending), []).append(node.id)

        def order(item: tuple[tuple[NodeId, Ending], list[NodeId]]) -> tuple[int, int]:
            (_, (kind, _)), nodes = item
            return _KINDS.index(kind), -sum(self._rows[node] for node in nodes)

        for (parent, _), nodes in sorted(alike.items(), key=order):
            if over > 0 and len(nodes) > 1:
                over -= self._share(parent, nodes, over)

    def shorten(self, over: int) -> None:
        """Subtrees off the best path become one row each.

        First steps give way to the one thing below them, whose label tells where it is; then subtrees shrink
        to their first node, the least promising first.
        """
        for node in self._visible():
            if over > 0 and node.id not in self.folds.skipped and self._is_way(node):
                self.folds.skipped.add(node.id)
                over -= 1
        self.count_rows()
        loose = [child for parent in self._kept for child in self._loose_children(parent)]
        for child in self._least_first(loose):
            if over > 0 and self._rows[child] > 1:
                self.folds.closed.add(child)
                over -= self._rows[child] - 1

    def _is_way(self, node: Node) -> bool:
        """A step off the best path with one thing below it."""
        if node.id in self._best_path or node.status != "open" or node.id in self.folds.groups:
            return False
        return len(self._tree.children(node.id)) + self._writing.get(node.id, 0) == 1

    def share_rest(self, over: int) -> None:
        """All that is off the best path below one step shares a row; large families come first."""
        for parent in sorted(self._kept, key=lambda node: -self._rows[node]):
            nodes = self._loose_children(parent)
            groups = self.folds.groups.get(parent, [])
            if over > 0 and len(groups) + sum(self._rows[node] for node in nodes) > 1:
                over -= self._share(parent, nodes, over, groups)

    def _share(self, parent: NodeId, nodes: Sequence[NodeId], over: int, groups: Sequence[Group] = ()) -> int:
        """Let the least promising nodes share a row, and groups too if need be; returns the rows it frees.

        No more nodes are taken than are needed to free ``over`` rows.
        """
        freed, taken = -1, list[NodeId]()
        for node in self._least_first(nodes):
            if freed >= over:
                break
            taken.append(node)
            freed += self._rows[node]
        others = self.folds.groups.get(parent, [])
        if freed < over and groups:
            freed += len(groups)
            taken += [node for group in groups for node in group]
            others = [group for group in others if group not in groups]
        self.folds.groups[parent] = [*others, tuple(sorted(taken))]
        self.folds.hidden.update(taken)
        return freed

    def _loose_children(self, parent: NodeId) -> list[NodeId]:
        """Visible children that lead neither to the best answer nor to a running branch."""
        hidden = self.folds.hidden
        return [c for c in self._tree.children(parent) if c not in self._kept and c not in hidden]

    def _least_first(self, nodes: Iterable[NodeId]) -> list[NodeId]:
        """The least promising nodes first."""
        return sorted(nodes, key=self._best.__getitem__)

    def _visible(self) -> Iterator[Node]:
        """Nodes outside hidden subtrees, parents first."""
        gone = set(self.folds.hidden)
        for node in self._tree:
            if node.parent in gone:
                gone.add(node.id)
            elif node.id not in gone:
                yield node


def inner_thoughts(tree: Tree, writing: Mapping[NodeId, int]) -> set[NodeId]:
    """Parts of thoughts that are followed by the rest of the thought alone.

    Args:
        tree: Tree of the search.
        writing: Number of branches that are being written below each node.
    """
    return {
        node.id
        for node in tree
        if node.is_thought
        and node.id not in writing
        and [tree[child].is_thought for child in tree.children(node.id)] == [True]
    }


def subtree_endings(state: ViewState) -> list[Ending | None]:
    """How each subtree ended, by node id; None if its ends differ or it is still written."""
    writing = state.writing()
    answers = {node: group.answer for group in state.groups for node in group.nodes}
    below: list[set[Ending | None]] = [set() for _ in state.tree]
    endings: list[Ending | None] = [None] * len(below)
    for node in reversed(state.tree.nodes):
        found = below[node.id]
        if node.status == "pruned":
            endings[node.id] = ("pruned", None)
        elif node.status == "terminal":
            endings[node.id] = ("finished", answers.get(node.id))
        elif node.id not in writing and not found:
            endings[node.id] = ("waiting", None)
        elif node.id not in writing and len(found) == 1 and ("waiting", None) not in found:
            [endings[node.id]] = found
        if node.parent is not None:
            below[node.parent].add(endings[node.id])
    return endings
