"""Which rows of a tree to show when not all of them fit.

A thought has one row, that of its last part. Other folds come in stages, each only as far as it is needed:
pruned subtrees, finished paths to one answer, waiting leaves, finished paths to any other answer, subtrees
off the best path; then, where even that is too much, everything off the best path, the way to running
branches, and those branches themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal

from adascale.engine.search.tree import Tree
from adascale.engine.types import ROOT, NodeId

from .state import ViewState

FoldKind = Literal["pruned", "finished", "waiting", "others", "rest"]

Key = tuple[FoldKind, str | None]
"""By what siblings share a row: their kind, and the answer of finished ones."""


@dataclass(frozen=True, slots=True)
class Group:
    """Siblings that share one row."""

    kind: FoldKind
    nodes: tuple[NodeId, ...]
    answer: str | None = None


@dataclass(slots=True)
class Folds:
    """What is not shown in full.

    Attributes:
        groups: Rows that stand for several children, per parent.
        hidden: The children in those groups.
        closed: Nodes whose subtree is left out.
        skipped: Nodes that are left out while the one thing below them is shown in their place.
        bundled: Nodes whose running branches share one row.
    """

    groups: dict[NodeId, list[Group]] = field(default_factory=dict)
    hidden: set[NodeId] = field(default_factory=set)
    closed: set[NodeId] = field(default_factory=set)
    skipped: set[NodeId] = field(default_factory=set)
    bundled: set[NodeId] = field(default_factory=set)

    def hide(self, parent: NodeId, group: Group) -> None:
        """Show one row for the nodes of ``group``."""
        self.groups.setdefault(parent, []).append(group)
        self.hidden.update(group.nodes)

    def merge(self, parent: NodeId, groups: Sequence[Group], into: Group) -> None:
        """Show the row ``into`` in place of ``groups`` and of loose children."""
        self.groups[parent] = [group for group in self.groups.get(parent, ()) if group not in groups]
        self.hide(parent, into)


def fold(state: ViewState, room: int | None) -> Folds:
    """Folds that bring the tree to ``room`` rows, or as near as folding can; None folds thoughts alone."""
    folder = _Folder(state)
    if room is None:
        return folder.folds
    stages: tuple[Callable[[], Iterable[_Saving]], ...] = (
        partial(folder.fold_alike, "pruned"),
        partial(folder.fold_alike, "finished"),
        partial(folder.fold_alike, "waiting"),
        folder.fold_losing,
        folder.fold_expanded,
        folder.fold_rest,
        folder.skip_ways,
        folder.bundle_running,
    )
    for stage in stages:
        over = folder.measure() - room
        if over <= 0:
            break
        for saving in sorted(stage(), key=lambda s: s.order):
            if over <= 0:
                break
            over -= saving.apply(over)
    return folder.folds


@dataclass(frozen=True, slots=True)
class _Saving:
    """One possible fold.

    Attributes:
        order: Folds with a lower value come first.
        apply: Does it: takes how many rows are too many, returns how many it has freed.
    """

    order: tuple[float, int]
    apply: Callable[[int], int]


def _all_or_nothing(rows: int, do: Callable[[], None]) -> Callable[[int], int]:
    """A fold that frees ``rows`` rows, however many are too many."""

    def apply(_: int) -> int:
        do()
        return rows

    return apply


class _Folder:
    """Finds the savings of each stage; ids grow with depth, so subtrees add up from the last node back."""

    def __init__(self, state: ViewState) -> None:
        self._tree = state.tree
        self._writing = state.writing()
        self.folds = Folds(skipped=inner_thoughts(state.tree, self._writing))
        best = [] if state.best is None else state.tree.path(state.best)
        self._best_path = {ROOT, *(node.id for node in best)}
        self._kept = self._nodes_to_keep()
        self._keys = subtree_keys(state)
        self._answer = state.answer
        self._rows: list[int] = []

    @cached_property
    def _best(self) -> list[float]:
        """By node id the highest estimate in its subtree; computed late, since most trees fit without."""
        return best_below(self._tree)

    def _nodes_to_keep(self) -> set[NodeId]:
        """The best path, and the way to every running branch."""
        kept = set(self._best_path)
        for parent in self._writing:
            kept.update(node.id for node in self._tree.path(parent))
        return kept

    def measure(self) -> int:
        """Rows of the whole tree under the present folds; keeps those of every subtree in ``_rows``."""
        folds = self.folds
        self._rows = rows = [0] * len(self._tree)
        for node in reversed(self._tree.nodes):
            if node.id in folds.hidden:
                rows[node.id] = 0
            elif node.id in folds.closed:
                rows[node.id] = 1
            else:
                writing = self._writing.get(node.id, 0)
                rows[node.id] += min(1, writing) if node.id in folds.bundled else writing
                rows[node.id] += len(folds.groups.get(node.id, ())) + (node.id not in folds.skipped)
            if node.parent is not None:
                rows[node.parent] += rows[node.id]
        return rows[ROOT]

    def fold_alike(self, kind: FoldKind) -> Iterator[_Saving]:
        """Siblings of one kind (and answer) become one row, as many as need be; the most rows first."""
        covered = set(self.folds.hidden)
        for parent, children in self._families(covered):
            piles: dict[Key, list[NodeId]] = {}
            for child in children:
                key = self._keys[child]
                if key is not None and key[0] == kind:
                    piles.setdefault(key, []).append(child)
            for (_, answer), pile in piles.items():
                saved = sum(self._rows[child] for child in pile) - 1
                if saved > 0 and (len(pile) > 1 or kind != "finished" or answer == self._answer):
                    covered.update(pile)
                    group = Group(kind, self._least_first(pile), answer)
                    yield _Saving((-saved, parent), partial(self._hide_some, parent, group))

    def _hide_some(self, parent: NodeId, group: Group, over: int) -> int:
        """The least promising of a group share a row, no more of them than there are rows too many."""
        taken, freed = self._take_enough(group.nodes, over, -1)
        self.folds.hide(parent, replace(group, nodes=tuple(sorted(taken))))
        return freed

    def fold_expanded(self) -> Iterator[_Saving]:
        """Subtrees off the best path become the row of their first node; the least promising first."""
        covered = set(self.folds.hidden)
        for _, children in self._families(covered):
            for child in children:
                saved = self._rows[child] - 1
                if saved > 0:
                    covered.add(child)
                    close = _all_or_nothing(saved, partial(self.folds.closed.add, child))
                    yield _Saving((self._best[child], child), close)

    def fold_losing(self) -> Iterator[_Saving]:
        """All finished paths below one node that do not lead to the best answer become one row."""
        covered = set(self.folds.hidden)
        for parent, children in self._families(covered):
            loose = [c for c in children if (key := self._keys[c]) and self._is_losing(*key)]
            covered.update(loose)
            groups = [g for g in self.folds.groups.get(parent, ()) if self._is_losing(g.kind, g.answer)]
            yield from self._merge_saving("others", parent, loose, groups)

    def _is_losing(self, kind: FoldKind, answer: str | None) -> bool:
        return kind == "finished" and answer != self._answer

    def fold_rest(self) -> Iterator[_Saving]:
        """All that is off the best path below one node becomes one row."""
        for parent in self._kept:
            loose = [c for c in self._tree.children(parent) if c not in self._kept | self.folds.hidden]
            yield from self._merge_saving("rest", parent, loose, self.folds.groups.get(parent, []))

    def _merge_saving(
        self, kind: FoldKind, parent: NodeId, loose: Sequence[NodeId], groups: Sequence[Group]
    ) -> Iterator[_Saving]:
        """One row in place of loose children and of rows that stand for several already."""
        saved = sum(self._rows[child] for child in loose) + len(groups) - 1
        if saved > 0:
            some = partial(self._merge_some, Group(kind, self._least_first(loose)), parent, groups)
            yield _Saving((-saved, parent), some)

    def _merge_some(self, loose: Group, parent: NodeId, groups: Sequence[Group], over: int) -> int:
        """Merge only as many loose children as need be, the least promising; returns the rows it frees."""
        taken, freed = self._take_enough(loose.nodes, over, len(groups) - 1)
        nodes = sorted([*taken, *(node for group in groups for node in group.nodes)])
        self.folds.merge(parent, groups, replace(loose, nodes=tuple(nodes)))
        return freed

    def _take_enough(self, nodes: Sequence[NodeId], over: int, freed: int) -> tuple[Sequence[NodeId], int]:
        """The first nodes that free ``over`` rows with those that are free already, and how many that are."""
        count = 0
        while freed < over and count < len(nodes):
            freed += self._rows[nodes[count]]
            count += 1
        return nodes[:count], freed

    def _least_first(self, nodes: Sequence[NodeId]) -> tuple[NodeId, ...]:
        return tuple(sorted(nodes, key=lambda node: self._best[node]))

    def skip_ways(self) -> Iterator[_Saving]:
        """The steps on the way to a lone running branch give way to it; its label tells where it is."""
        for node in self._kept - self._best_path - self.folds.skipped:
            children = [c for c in self._tree.children(node) if c not in self.folds.hidden]
            below = len(children) + self._writing.get(node, 0) + len(self.folds.groups.get(node, ()))
            if below == 1:
                skip = _all_or_nothing(1, partial(self.folds.skipped.add, node))
                yield _Saving((self._tree[node].depth, node), skip)

    def bundle_running(self) -> Iterator[_Saving]:
        """Branches that are written below one node share a row."""
        for parent, count in self._writing.items():
            if count > 1:
                bundle = _all_or_nothing(count - 1, partial(self.folds.bundled.add, parent))
                yield _Saving((1 - count, parent), bundle)

    def _families(self, covered: set[NodeId]) -> Iterator[tuple[NodeId, list[NodeId]]]:
        """Visible nodes, top down, with those visible children that may be folded.

        ``covered`` holds roots of subtrees to pass over; the caller may add to it on the way.
        """
        for node in self._tree:
            if node.parent in covered:
                covered.add(node.id)
            if node.id not in covered and node.id not in self.folds.skipped:
                children = self._tree.children(node.id)
                yield node.id, [c for c in children if c not in covered and c not in self._kept]


def inner_thoughts(tree: Tree, writing: Mapping[NodeId, int]) -> set[NodeId]:
    """Parts of thoughts behind which nothing but the thought goes on.

    Args:
        tree: Tree of the search.
        writing: How many branches are being written below each node that has any.
    """
    return {
        node.id
        for node in tree
        if node.is_thought
        and node.id not in writing
        and [tree[child].is_thought for child in tree.children(node.id)] == [True]
    }


def subtree_keys(state: ViewState) -> list[Key | None]:
    """What all ends of each node's subtree are; None where they differ or are still written."""
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
            keys[node.id] = _common_key(below[node.id])
        if node.parent is not None:
            below[node.parent].add(keys[node.id])
    return keys


def _common_key(below: set[Key | None]) -> Key | None:
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
