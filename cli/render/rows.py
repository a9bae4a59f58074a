"""From a view to the rows of its tree, before anything is cut to a width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from adascale.engine.kinds import kind_of
from adascale.engine.search.events import NOT_NEEDED
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import PROGRAMS, ROOT, Estimate, NodeId, Problem

from ..terminal.code import Program
from ..terminal.text import plural
from ..terminal.theme import Mark
from .fold import Folds, Group, fold
from .state import Running, ViewState
from .summary import estimate_text


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree.

    Attributes:
        lasts: For each level from the top down to the row itself, True if that is the last child; empty for
            the root.
        mark: Kind of the row, which decides its glyph and style; None for a gap.
        label: Child numbers from the root, such as ``1.3.2``; empty for the root and for folds.
        text: The step as the model wrote it, or a description of folded rows.
        program: The program in ``text``, if there is one.
        folded: ``text`` is such a description.
        estimate: Estimate of the node.
        count: Children drawn and granted of an open node (``3/8``), answer of a finished one (``=27``), or
            ``cut``, ``ahead`` (drawn before its turn) or ``unused`` (drawn for nothing).
        tokens: Length of the step; of a thought with all its parts that have no rows of their own.
        thought: The row is that of a thought.
        why: Reason for which the node was pruned.
        best: The row lies on the way to the leading answer.
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


def _elide(rows: list[Row], room: int) -> list[Row]:
    """Rows of a tree that folding does not bring down to ``room``, with a gap in place of the others.

    The best path is kept before running branches, these before steps, and steps before folds. Both ends are
    kept of a best path that is too long by itself.
    """
    over = len(rows) - room + 1
    others = [at for at, row in enumerate(rows) if not row.best]
    if len(others) >= over:
        others.sort(key=lambda at: (rows[at].branches == 0, rows[at].node is None))
        left_out = set(others[-over:])
        shown = [row for at, row in enumerate(rows) if at not in left_out]
        return _with_guides([*shown, _gap([rows[at] for at in left_out], (True,))])
    head = max(0, room - 1) // 2
    tail = max(0, room - 1 - head)
    gap = _gap(rows[head : len(rows) - tail], ())
    return [*rows[:head], gap, *rows[len(rows) - tail :]][: max(0, room)]


def _with_guides(rows: list[Row]) -> list[Row]:
    """The rows with ``lasts`` as they are when no other row is there."""
    below, guided = set[int](), list[Row]()
    for row in reversed(rows):
        depth = len(row.lasts)
        guided.append(replace(row, lasts=tuple(level not in below for level in range(1, depth + 1))))
        below = {level for level in below if level < depth} | {depth}
    return guided[::-1]


def _gap(left_out: Sequence[Row], lasts: tuple[bool, ...]) -> Row:
    """One row in place of those left out: how many they are, and how many branches run among them."""
    running = sum(row.branches for row in left_out)
    text = f"{running} more being written" if running == len(left_out) else plural(len(left_out), "more row")
    note = f", {running} being written" if 0 < running < len(left_out) else ""
    return Row(lasts, None, text=text + note, folded=True, branches=running)


@dataclass(frozen=True, slots=True)
class _Place:
    """Guides and label of a row."""

    lasts: tuple[bool, ...]
    label: str


_Item = Node | Group | Running
"""Source of a row: a node, a fold, or a running branch."""


class _Walk:
    """One pass over the visible part of a tree: children in order, then folds, then running branches."""

    def __init__(self, state: ViewState, folds: Folds) -> None:
        self._state = state
        self._tree = state.tree
        self._folds = folds
        self._best = state.best_path
        self._unused = state.unused
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
                case Running():
                    rows.append(_running_row(item, place))
                case _:
                    rows.append(self._group_row(item, place))
        return rows

    def _children(self, node: Node, place: _Place) -> list[tuple[_Item, _Place]]:
        """Visible children of a node, then its folds and running branches, each with its place."""
        if node.id in self._folds.closed:
            return []
        prefix = f"{place.label}." if place.label else ""
        children = self._tree.children(node.id)
        items: list[tuple[_Item, str]] = [
            self._resolve_skips(self._tree[child], f"{prefix}{position}")
            for position, child in enumerate(children, 1)
            if child not in self._folds.hidden
        ]
        items += [(group, "") for group in self._folds.groups.get(node.id, ())]
        running = enumerate(self._running.get(node.id, ()), len(children) + 1)
        items += [(branch, f"{prefix}{position}") for position, branch in running]
        last = len(items) - 1
        return [(item, _Place((*place.lasts, at == last), label)) for at, (item, label) in enumerate(items)]

    def _resolve_skips(self, node: Node, label: str) -> tuple[_Item, str]:
        """The node itself, or the one node or branch below it that takes its place."""
        while node.id in self._folds.skipped and node.id not in self._folds.closed:
            label += ".1"
            children = self._tree.children(node.id)
            if not children:
                return self._running[node.id][0], label
            node = self._tree[children[0]]
        return node, label

    def _node_row(self, node: Node, place: _Place) -> Row:
        closed = node.id in self._folds.closed
        text = node.step.text if node.step else "question"
        reason = self._state.reasons.get(node.id, "")
        return Row(
            place.lasts,
            self._mark(node),
            place.label,
            f"... {self._extent(subtree_nodes(self._tree, [node.id]))}" if closed else text,
            None if closed or node.is_thought else program_of(node, text, self._tree.problem),
            folded=closed or node.step is None,
            estimate=node.estimate,
            count=self._count(node),
            tokens=self._tokens(node),
            thought=node.is_thought and not closed,
            why="" if reason == NOT_NEEDED else reason,
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

    def _mark(self, node: Node) -> Mark:
        if node.id == self._state.best:
            return "best"
        if node.status == "pruned":
            return "pruned"
        if node.status == "terminal":
            failed = node.mode == "program" and node.execution is not None and node.execution.error
            fails = node.execution is not None and node.execution.verdicts and not node.execution.passes
            return "failed" if failed or fails else "finished"
        return "expanded" if self._tree.children(node.id) or node.id in self._running else "waiting"

    def _count(self, node: Node) -> str:
        """See ``Row.count``."""
        if node.id in self._unused:
            return "unused"
        if node.status == "pruned":
            return "cut"
        if node.status == "terminal":
            ahead = node.id not in self._answers  # of its turn
            return "ahead" if ahead else f"={self._answers[node.id] or '?'}"
        granted = self._state.granted.get(node.id, 0)
        return f"{self._state.drawn_from(node)}/{granted}" if granted else ""

    def _group_row(self, group: Group, place: _Place) -> Row:
        """The row of a fold: what its subtrees have in common, or how large they are."""
        below = subtree_nodes(self._tree, group)
        leaves = [node for node in below if not self._tree.children(node.id)]
        mark: Mark = "expanded"
        if all(self._tree[node].status == "pruned" for node in group):
            unused = len(self._unused.intersection(group))
            counts = ((len(group) - unused, "cut"), (unused, "unused"))
            mark, text = "pruned", ", ".join(f"{n} {word}" for n, word in counts if n)
        elif all(node.status == "terminal" for node in leaves):
            mark, text = "finished", self._solutions(leaves)
        elif len(leaves) == len(group) and all(node.status == "open" for node in leaves):
            mark, text = "waiting", f"{len(group)} {'left open' if self._state.end else 'waiting'}"
        else:
            text = f"{len(group)} more, {self._extent(below)}"
        return Row(place.lasts, mark, text=text, folded=True)

    @staticmethod
    def _extent(nodes: Sequence[Node]) -> str:
        """``14 steps, best 66 %``."""
        estimates = [node.estimate for node in nodes if node.estimate]
        best = max(estimates, key=lambda estimate: estimate.median, default=None)
        return plural(len(nodes), "step") + (f", best {estimate_text(best)}" if best else "")

    def _solutions(self, ends: Sequence[Node]) -> str:
        """``4 more solutions with 27``, ``2 solutions with 13``, ``9 solutions with 7 other answers``."""
        groups = [{node.id for node in ends} & set(group.nodes) for group in self._state.groups]
        answers = [group.answer for group, found in zip(self._state.groups, groups, strict=True) if found]
        leads = bool(groups and groups[0])
        count = plural(len(ends), "more solution" if leads else "solution")
        if len(answers) > 1:
            return f"{count} with {plural(len(answers), 'answer' if leads else 'other answer')}"
        return f"{count} with {answers[0]}" if answers else f"{count} without an answer"


def program_of(node: Node, text: str, problem: Problem) -> Program | None:
    """The program in a text that ends at a node; None for prose."""
    if node.mode == "code":
        return Program.of_task(text, node.execution, kind_of(problem).tests(problem))
    return Program.of(text, node.execution) if node.mode == "program" else None


def thought_line(row: Row) -> str:
    """``thought, 843 tokens``: the row of a thought in one line."""
    return f"thought, {plural(row.tokens or 0, 'token')}"


def _running_row(branch: Running, place: _Place) -> Row:
    is_program = branch.mode in PROGRAMS and not branch.thinks
    program = Program.of(branch.text, None) if is_program else None
    return Row(place.lasts, "running", place.label, branch.text, program, tokens=branch.tokens, branches=1)


def subtree_nodes(tree: Tree, roots: Iterable[NodeId]) -> list[Node]:
    """The roots and all their descendants."""
    found = [tree[root] for root in roots]
    for node in found:
        found += (tree[child] for child in tree.children(node.id))
    return found
