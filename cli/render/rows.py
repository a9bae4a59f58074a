"""From a view to the rows of its tree, before anything is cut to a width."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adascale.engine.kinds import kind_of
from adascale.engine.search.events import BranchGrew
from adascale.engine.search.tree import Node
from adascale.engine.types import ROOT, Estimate, NodeId, Problem

from ..terminal.code import Program
from ..terminal.prose import last_line
from ..terminal.text import plural
from ..terminal.theme import Mark
from .state import ViewState


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree.

    Attributes:
        mark: Kind of the row, which decides its glyph and style; None for a gap.
        label: Child numbers from the root, such as ``1.3.2``; empty for the root and for a gap.
        text: The step as the model wrote it; of one that is being written its last line.
        program: The program in ``text``, if there is one.
        estimate: Estimate of the node.
        count: Children of an open node and how many it may have (``3/8``), answer of a finished one
            (``=27``), or ``cut``.
        tokens: Length of the step; of a thought with all its parts that have no rows of their own.
        thought: The row is that of a thought.
        why: Reason for which the node was pruned.
        best: The row lies on the way to the leading answer.
        lasts: For each level from the top down to the row itself, True if that is the last child; empty for
            the root.
    """

    mark: Mark | None
    label: str = ""
    text: str = ""
    program: Program | None = None
    estimate: Estimate | None = None
    count: str = ""
    tokens: int | None = None
    thought: bool = False
    why: str = ""
    best: bool = False
    lasts: tuple[bool, ...] = ()


def tree_rows(state: ViewState, room: int | None = None) -> list[Row]:
    """Rows of the tree, at most ``room`` of them; None shows everything but the parts of thoughts.

    What does not fit gives way to a line that counts it: the question and the leading answer are kept, then
    running branches, then the way to that answer, and of all rows first the ones that are near the root.
    """
    rows = _Walk(state).rows()
    if room is None or len(rows) <= room:
        return _with_guides(rows)

    def need(at: int) -> tuple[bool, bool, bool, int]:
        row = rows[at]
        is_end = row.mark == "best" or not row.label
        return not is_end, row.mark != "running", not row.best, row.label.count(".")

    kept = set(sorted(range(len(rows)), key=need)[: max(0, room - 1)])
    running = sum(row.mark == "running" for at, row in enumerate(rows) if at not in kept)
    note = f", {running} being written" if running else ""
    gap = Row(None, text=plural(len(rows) - len(kept), "more row") + note)
    return _with_guides([*(rows[at] for at in sorted(kept)), gap])[:room]


def _with_guides(rows: list[Row]) -> list[Row]:
    """The rows with their ``lasts``: each hangs below the last one before it whose label begins its own."""
    above, depths = list[str](), list[int]()
    for row in rows:
        while len(above) > 1 and not row.label.startswith(f"{above[-1]}."):
            above.pop()
        depths.append(len(above))
        above.append(row.label)
    below, guided = set[int](), list[Row]()
    for row, depth in zip(reversed(rows), reversed(depths), strict=True):
        guided.append(replace(row, lasts=tuple(level not in below for level in range(1, depth + 1))))
        below = {level for level in below if level < depth} | {depth}
    return guided[::-1]


class _Walk:
    """One pass over a tree: children in order, then running branches."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._tree = state.tree
        self._best = state.best_path
        self._answers = {c.node: c.answer for c in state.candidates}
        self._running: dict[NodeId, list[BranchGrew]] = {}
        for branch in state.running.values():
            self._running.setdefault(branch.parent, []).append(branch)

    def rows(self) -> list[Row]:
        """All rows, top down; a stack, since a chain may be deeper than Python recurses."""
        rows: list[Row] = []
        stack: list[tuple[Node | BranchGrew, str]] = [(self._tree[ROOT], "")]
        while stack:
            item, label = stack.pop()
            if isinstance(item, BranchGrew):
                rows.append(Row("running", label, last_line(item.text), tokens=item.tokens))
            else:
                rows.append(self._node_row(item, label))
                stack += reversed(self._children(item, label))
        return rows

    def _children(self, node: Node, label: str) -> list[tuple[Node | BranchGrew, str]]:
        """Children of a node, then its running branches, each with its label."""
        below: list[Node | BranchGrew] = [self._tree[child] for child in self._tree.children(node.id)]
        below += self._running.get(node.id, [])
        found = []
        for position, item in enumerate(below, 1):
            own = f"{label}.{position}" if label else str(position)
            while isinstance(item, Node) and self._goes_on(item):
                item, own = self._tree[self._tree.children(item.id)[0]], f"{own}.1"
            found.append((item, own))
        return found

    def _goes_on(self, node: Node) -> bool:
        """A part of a thought that is followed by the rest of the thought alone, and has no row."""
        children = self._tree.children(node.id)
        is_followed = [self._tree[child].is_thought for child in children] == [True]
        return node.is_thought and is_followed and node.id not in self._running

    def _node_row(self, node: Node, label: str) -> Row:
        text = node.step.text if node.step else "question"
        return Row(
            mark_of(self._state, node),
            label,
            text,
            None if node.is_thought else program_of(node, text, self._tree.problem),
            estimate=node.estimate,
            count=self._count(node),
            tokens=self._tokens(node),
            thought=node.is_thought,
            why=self._state.reasons.get(node.id, ""),
            best=node.id in self._best,
        )

    def _tokens(self, node: Node) -> int | None:
        """See ``Row.tokens``."""
        if node.step is None:
            return None
        tokens, above = len(node.step.token_ids), node.parent
        while above is not None and (step := self._tree[above].step) and self._goes_on(self._tree[above]):
            tokens += len(step.token_ids)
            above = self._tree[above].parent
        return tokens

    def _count(self, node: Node) -> str:
        """See ``Row.count``."""
        if node.status == "pruned":
            return "cut"
        if node.status == "terminal":
            return f"={self._answers.get(node.id) or '?'}"
        at_most = self._state.samples if node.id == ROOT else None
        granted = at_most or self._state.granted.get(node.id, 0)
        return f"{self._state.drawn_from(node)}/{granted}" if granted else ""


def mark_of(state: ViewState, node: Node) -> Mark:
    """The mark of a node; that of a branch that is being written is ``running``."""
    if node.id == state.best:
        return "best"
    if node.status == "pruned":
        return "pruned"
    if node.status == "terminal":
        failed = node.mode == "program" and node.execution is not None and node.execution.error
        fails = node.execution is not None and node.execution.verdicts and not node.execution.passes
        return "failed" if failed or fails else "finished"
    return "expanded" if state.tree.children(node.id) or node.id in state.writing else "waiting"


def program_of(node: Node, text: str, problem: Problem) -> Program | None:
    """The program in a text that ends at a node; None for prose."""
    if node.mode == "code":
        return Program.of_task(text, node.execution, kind_of(problem).tests(problem))
    return Program.of(text, node.execution) if node.mode == "program" else None


def thought_line(row: Row) -> str:
    """``thought, 843 tokens``: the row of a thought in one line."""
    return f"thought, {plural(row.tokens or 0, 'token')}"
