"""From a view to the rows of its tree: what stands in each, not yet how wide it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adascale.engine.search.events import NOT_NEEDED
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import ROOT, Estimate, NodeId

from ..terminal.text import chance, plural
from ..terminal.theme import Mark
from .fold import Folds, Group, fold
from .state import Running, ViewState


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree.

    Attributes:
        lasts: For each level from the top, whether the row's ancestor there (at the end: the row itself) is
            the last child; empty for the root.
        mark: What it stands for; None for a gap.
        label: Position in the tree; empty for the root and for folds.
        text: Model text, or what was folded.
        folded: Whether ``text`` is ours.
        estimate: Of the node.
        count: Children made and granted, the answer, ``cut``, or ``unused`` of what ran ahead for nothing.
        tokens: Of the step.
        why: Why it was cut.
        best: Whether it lies on the best path.
        node: What it shows; None for folds, gaps and branches that are being written.
        branches: Running branches that it stands for.
    """

    lasts: tuple[bool, ...]
    mark: Mark | None
    label: str = ""
    text: str = ""
    folded: bool = False
    estimate: Estimate | None = None
    count: str = ""
    tokens: int | None = None
    why: str = ""
    best: bool = False
    node: NodeId | None = None
    branches: int = 0


def tree_rows(state: ViewState, room: int | None = None) -> list[Row]:
    """Rows of the tree, at most ``room`` of them; None shows everything."""
    rows = _Walk(state, fold(state, room)).rows()
    if room is None or len(rows) <= room:
        return rows
    return _elided(rows, room)


def _elided(rows: list[Row], room: int) -> list[Row]:
    """What fits of a tree that no fold brings down to ``room``: the best path, then what runs, then the rest.

    Of a best path that is too long by itself both ends are shown.
    """
    over = len(rows) - room + 1
    running = [at for at, row in enumerate(rows) if not row.best and row.mark == "running"]
    others = [at for at, row in enumerate(rows) if not row.best and row.mark != "running"]
    if len(running) + len(others) >= over:
        left_out = set([*running, *others][-over:])
        shown = [row for at, row in enumerate(rows) if at not in left_out]
        return [*shown, _gap([rows[at] for at in left_out], (True,))]
    head = max(0, room - 1) // 2
    tail = max(0, room - 1 - head)
    gap = _gap(rows[head : len(rows) - tail], ())
    return [*rows[:head], gap, *rows[len(rows) - tail :]][: max(0, room)]


def _gap(left_out: Sequence[Row], lasts: tuple[bool, ...]) -> Row:
    """What stands in the place of rows; what runs among them is told."""
    running = sum(row.branches for row in left_out)
    told = f", {running} running" if running else ""
    return Row(lasts, None, text=plural(len(left_out), "more row") + told, folded=True, branches=running)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row hangs."""

    lasts: tuple[bool, ...]
    label: str


_Item = Node | Group | Running | int
"""What a row is made from: a node, a fold, a running branch, or a number of running branches."""

_Labelled = tuple[_Item, str]


class _Walk:
    """One pass over the visible part of a tree, children in order, folds and running branches last."""

    def __init__(self, state: ViewState, folds: Folds) -> None:
        self._state = state
        self._tree = state.tree
        self._folds = folds
        self._best = {ROOT}
        if state.best is not None:
            self._best.update(node.id for node in state.tree.path(state.best))
        self._answers = {c.node: c.answer for c in state.candidates}
        self._running: dict[NodeId, list[Running]] = {}
        for branch in state.running.values():
            self._running.setdefault(branch.parent, []).append(branch)

    def rows(self) -> list[Row]:
        """All visible rows, top down; a stack, since a chain may be deeper than Python recurses."""
        rows: list[Row] = []
        stack: list[tuple[_Item, _Place]] = [(self._tree[ROOT], _Place((), ""))]
        while stack:
            item, place = stack.pop()
            match item:
                case Node():
                    rows.append(self._node(item, place))
                    stack += reversed(self._below(item, place))
                case Group():
                    rows.append(self._group(item, place))
                case Running():
                    written = Row(
                        place.lasts, "running", place.label, item.text, tokens=item.tokens, branches=1
                    )
                    rows.append(written)
                case int():
                    bundle = Row(place.lasts, "running", text=f"{item} running", folded=True, branches=item)
                    rows.append(bundle)
        return rows

    def _below(self, node: Node, place: _Place) -> list[tuple[_Item, _Place]]:
        """What hangs below a node, with its place."""
        if node.id in self._folds.closed:
            return []
        prefix = f"{place.label}." if place.label else ""
        children = self._tree.children(node.id)
        items: list[_Labelled] = [
            self._beyond(self._tree[child], f"{prefix}{position}")
            for position, child in enumerate(children, 1)
            if child not in self._folds.hidden
        ]
        items += [(group, "") for group in self._folds.groups.get(node.id, ())]
        running = self._running.get(node.id, [])
        if node.id in self._folds.bundled:
            items.append((len(running), ""))
        else:
            first = len(children) + 1
            items += [(branch, f"{prefix}{position}") for position, branch in enumerate(running, first)]
        last = len(items) - 1
        return [(item, _Place((*place.lasts, at == last), label)) for at, (item, label) in enumerate(items)]

    def _beyond(self, node: Node, label: str) -> _Labelled:
        """What is shown in the place of a node: itself, or the one thing below it if it is skipped."""
        while node.id in self._folds.skipped:
            label += ".1"
            children = self._tree.children(node.id)
            if not children:
                return self._running[node.id][0], label
            node = self._tree[children[0]]
        return node, label

    def _node(self, node: Node, place: _Place) -> Row:
        closed = node.id in self._folds.closed
        text = node.step.text if node.step else "question"
        return Row(
            place.lasts,
            self._mark(node),
            place.label,
            f"... {self._extent([node.id])}" if closed else text,
            folded=closed or node.step is None,
            estimate=node.estimate,
            count=self._count(node),
            tokens=len(node.step.token_ids) if node.step else None,
            why=self._why(node),
            best=node.id in self._best,
            node=node.id,
        )

    def _mark(self, node: Node) -> Mark:
        if node.id == self._state.best:
            return "best"
        if node.status == "pruned":
            return "pruned"
        if node.status == "terminal":
            return "finished"
        return "expanded" if self._tree.children(node.id) or node.id in self._running else "waiting"

    def _why(self, node: Node) -> str:
        reason = self._state.cut.get(node.id, "")
        return "" if reason == NOT_NEEDED else reason

    def _count(self, node: Node) -> str:
        if node.status == "pruned":
            return "unused" if self._state.cut.get(node.id) == NOT_NEEDED else "cut"
        if node.status == "terminal":
            if node.id not in self._answers:  # it ran ahead of its turn
                return "unused" if self._state.ended else "ahead"
            return f"={self._answers[node.id] or '?'}"
        granted = self._state.granted.get(node.id, 0)
        return f"{self._state.made(node)}/{granted}" if granted else ""

    def _group(self, group: Group, place: _Place) -> Row:
        number = len(group.nodes)
        mark: Mark = "expanded"
        match group.kind:
            case "pruned":
                mark, text = "pruned", f"{number} pruned"
            case "waiting":
                mark, text = "waiting", f"{number} {'left open' if self._state.ended else 'waiting'}"
            case "finished" | "others":
                mark, text = "finished", self._paths(group)
            case "rest":
                text = f"{number} more, {self._extent(group.nodes)}"
        return Row(place.lasts, mark, text=text, folded=True)

    def _paths(self, group: Group) -> str:
        """``4 more paths to 27``, ``2 paths to 13``, ``9 paths to 7 other answers``."""
        below = _subtrees(self._tree, group.nodes)
        ends = [node.id for node in below if node.status == "terminal"]
        answers = {answer for end in ends if (answer := self._answers.get(end)) is not None}
        if not answers:
            return f"{plural(len(ends), 'path')} without an answer"
        if group.kind == "others" and len(answers) > 1:
            return f"{plural(len(ends), 'path')} to {plural(len(answers), 'other answer')}"
        more = "more " if group.answer == self._state.answer else ""
        return f"{plural(len(ends), f'{more}path')} to {group.answer or min(answers)}"

    def _extent(self, roots: Iterable[NodeId]) -> str:
        """``14 nodes, best .66``."""
        nodes = _subtrees(self._tree, roots)
        scores = [node.estimate.median for node in nodes if node.estimate]
        best = f", best {chance(max(scores))}" if scores else ""
        return f"{plural(len(nodes), 'node')}{best}"


def _subtrees(tree: Tree, roots: Iterable[NodeId]) -> list[Node]:
    """Roots and everything below them."""
    found = [tree[root] for root in roots]
    for node in found:
        found += (tree[child] for child in tree.children(node.id))
    return found
