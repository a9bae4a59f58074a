"""From a view to the rows of its tree: what each row says, before anything is cut to a width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adascale.engine.search.events import NOT_NEEDED
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import ROOT, Estimate, NodeId

from ..terminal.code import Program
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
        mark: Kind of the row, which decides its glyph and style; None for a gap.
        label: Path of child numbers from the root, such as ``1.3.2``; empty for the root and for folds.
        text: The step as the model wrote it, or a description of what is folded.
        program: What ``text`` holds where a program is written there.
        folded: Whether ``text`` is such a description.
        estimate: Estimate of the node.
        count: For an open node the children drawn and granted (``3/8``), for a finished one its answer
            (``=27``), else ``cut``, ``ahead`` (drawn before its turn) or ``unused`` (drawn for nothing).
        tokens: Length of the step, of a thought with all its parts that have no rows of their own.
        thought: Whether the row is that of a thought.
        why: Reason for which the node was pruned.
        best: Whether the row lies on the path to the leading answer.
        node: The node; None for folds, gaps and running branches.
        branches: Running branches that the row stands for.
    """

    lasts: tuple[bool, ...]
    mark: Mark | None
    label: str = ""
    text: str = ""
    program: Program | None = None
    folded: bool = False
    estimate: Estimate | None = None
    count: str = ""
    tokens: int | None = None
    thought: bool = False
    why: str = ""
    best: bool = False
    node: NodeId | None = None
    branches: int = 0


def tree_rows(state: ViewState, room: int | None = None) -> list[Row]:
    """Rows of the tree, at most ``room`` of them; None shows everything but the parts of thoughts."""
    rows = _Walk(state, fold(state, room)).rows()
    if room is None or len(rows) <= room:
        return rows
    return _elide(rows, room)


def all_rows(state: ViewState) -> list[Row]:
    """A row for every node and running branch."""
    return _Walk(state, Folds()).rows()


def _elide(rows: list[Row], room: int) -> list[Row]:
    """Rows of a tree that no fold brings down to ``room``, with a gap in place of those that do not fit.

    The best path is kept before running branches, and these before the rest. Of a best path that is too long
    by itself both ends are kept.
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
    """One row in place of those left out: how many they are, and how many branches run among them."""
    running = sum(row.branches for row in left_out)
    note = f", {running} running" if running else ""
    return Row(lasts, None, text=plural(len(left_out), "more row") + note, folded=True, branches=running)


@dataclass(frozen=True, slots=True)
class _Place:
    """Guides and label of a row, before it is known what the row shows."""

    lasts: tuple[bool, ...]
    label: str


_Item = Node | Group | Running | int
"""Source of a row: a node, a fold, a running branch, or a number of running branches."""

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
                    rows.append(self._node_row(item, place))
                    stack += reversed(self._children(item, place))
                case Group():
                    rows.append(self._group_row(item, place))
                case Running():
                    rows.append(_running_row(item, place))
                case int():
                    bundle = Row(place.lasts, "running", text=f"{item} running", folded=True, branches=item)
                    rows.append(bundle)
        return rows

    def _children(self, node: Node, place: _Place) -> list[tuple[_Item, _Place]]:
        """Visible children of a node, then its folds and running branches, each with its place."""
        if node.id in self._folds.closed:
            return []
        prefix = f"{place.label}." if place.label else ""
        children = self._tree.children(node.id)
        items: list[_Labelled] = [
            self._resolve_skips(self._tree[child], f"{prefix}{position}")
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

    def _resolve_skips(self, node: Node, label: str) -> _Labelled:
        """The node itself, or the one node or branch below it that takes its place where it is skipped."""
        while node.id in self._folds.skipped and node.id not in self._folds.closed:
            label += ".1"
            children = self._tree.children(node.id)
            if not children:
                return self._running[node.id][0], label
            node = self._tree[children[0]]
        return node, label

    def _node_row(self, node: Node, place: _Place) -> Row:
        """The row of a node; a closed one says how much lies below it."""
        closed = node.id in self._folds.closed
        text = node.step.text if node.step else "question"
        return Row(
            place.lasts,
            self._mark(node),
            place.label,
            f"... {self._extent([node.id])}" if closed else text,
            None if closed or node.is_thought else self._program(node, text),
            folded=closed or node.step is None,
            estimate=node.estimate,
            count=self._count(node),
            tokens=self._tokens(node),
            thought=node.is_thought and not closed,
            why=self._cut_reason(node),
            best=node.id in self._best,
            node=node.id,
        )

    def _tokens(self, node: Node) -> int | None:
        """See ``Row.tokens``."""
        if node.step is None:
            return None
        tokens, above = len(node.step.token_ids), node.parent
        while above in self._folds.skipped and (step := self._tree[above].step) is not None and step.thought:
            tokens += len(step.token_ids)
            above = self._tree[above].parent
        return tokens

    def _program(self, node: Node, text: str) -> Program | None:
        """What a node wrote, where that is a program."""
        task = self._tree.problem.task
        if node.mode == "code" and task is not None:
            return Program.of_task(text, node.trial, task.given)
        return Program.of(text, node.execution) if node.mode == "program" else None

    def _mark(self, node: Node) -> Mark:
        if node.id == self._state.best:
            return "best"
        if node.status == "pruned":
            return "pruned"
        if node.status == "terminal":
            failed = node.mode == "program" and node.execution is not None and node.execution.error
            fails = node.trial is not None and node.trial.verdicts and not node.trial.passes
            return "failed" if failed or fails else "finished"
        return "expanded" if self._tree.children(node.id) or node.id in self._running else "waiting"

    def _cut_reason(self, node: Node) -> str:
        reason = self._state.reasons.get(node.id, "")
        return "" if reason == NOT_NEEDED else reason

    def _count(self, node: Node) -> str:
        """See ``Row.count``."""
        if node.status == "pruned":
            return "unused" if self._state.reasons.get(node.id) == NOT_NEEDED else "cut"
        if node.status == "terminal":
            if node.id not in self._answers:  # it ran ahead of its turn
                return "unused" if self._state.end else "ahead"
            return f"={self._answers[node.id] or '?'}"
        granted = self._state.granted.get(node.id, 0)
        return f"{self._state.drawn_from(node)}/{granted}" if granted else ""

    def _group_row(self, group: Group, place: _Place) -> Row:
        """The row of a fold."""
        number = len(group.nodes)
        mark: Mark = "expanded"
        match group.kind:
            case "pruned":
                mark, text = "pruned", f"{number} pruned"
            case "waiting":
                mark, text = "waiting", f"{number} {'left open' if self._state.end else 'waiting'}"
            case "finished" | "others":
                mark, text = "finished", self._paths(group)
            case "rest":
                text = f"{number} more, {self._extent(group.nodes)}"
        return Row(place.lasts, mark, text=text, folded=True)

    def _paths(self, group: Group) -> str:
        """``4 more paths to 27``, ``2 paths to 13``, ``9 paths to 7 other answers``."""
        below = _subtree_nodes(self._tree, group.nodes)
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
        nodes = _subtree_nodes(self._tree, roots)
        scores = [node.estimate.median for node in nodes if node.estimate]
        best = f", best {chance(max(scores))}" if scores else ""
        return f"{plural(len(nodes), 'node')}{best}"


def thought_line(row: Row) -> str:
    """``thought, 843 tokens``: what the row of a thought shows in one line."""
    return f"thought, {plural(row.tokens or 0, 'token')}"


def _running_row(branch: Running, place: _Place) -> Row:
    program = None if branch.mode == "prose" or branch.thinks else Program.of(branch.text, None)
    return Row(place.lasts, "running", place.label, branch.text, program, tokens=branch.tokens, branches=1)


def _subtree_nodes(tree: Tree, roots: Iterable[NodeId]) -> list[Node]:
    """The roots and all their descendants."""
    found = [tree[root] for root in roots]
    for node in found:
        found += (tree[child] for child in tree.children(node.id))
    return found
