"""A search as a tree: while it grows, and when it has ended."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from adascale.engine.answers.latex import readable
from adascale.engine.errors import decimal
from adascale.engine.search.events import BranchGrew
from adascale.engine.search.tree import Node
from adascale.engine.types import ROOT, NodeId, percent, probability_of

from ..terminal.markdown import highlighted
from ..terminal.text import (
    ARROW,
    DOT,
    ELLIPSIS,
    MARKS,
    Mark,
    last_line,
    level,
    one_line,
    plain,
    plural,
    rounded,
)
from .solution import fact_line, standing_lines
from .state import ViewState
from .summary import tokens_text

NARROW = 100
"""Cells of the narrowest tree with columns of answers and tokens; below it answers stand before the text."""

_HEADER = 3
"""Lines of a live tree that are neither rows nor below them: the question, the columns, an empty one."""

_LEVEL_CELLS = 4

Row = Node | BranchGrew


def live_tree(state: ViewState, width: int, height: int) -> Group:
    """The running search as a tree in at most ``height`` lines."""
    footer = standing_lines(state)[-height:]
    room = height - len(footer) - _HEADER
    rows: list[RenderableType] = [_tree(state, width, room), Text()] if room > 1 else []
    return Group(*rows, *footer)


def final_tree(state: ViewState, width: int) -> Group:
    """The finished tree, all rows and all lines of programs, and below it what the search cost."""
    cuts = sum(node.status == "pruned" for node in state.tree)
    facts = [tokens_text(state), plural(len(state.tree) - 1, "step"), *([f"{cuts:,} cut"] if cuts else [])]
    return Group(_tree(state, width), Text(), fact_line(facts))


def _tree(state: ViewState, width: int, room: int | None = None) -> Group:
    """The question and the rows below it; all rows and all lines of programs where ``room`` bounds none."""
    question = _line("Q  ", "faint").append(one_line(readable(state.tree.problem.question)), "bold")
    best = {ROOT} if state.best is None else {ROOT, *(node.id for node in state.tree.path(state.best))}
    rows: list[Row] = [*state.tree, *state.running.values()]
    shown = [at for at, row in enumerate(rows) if not _is_followed(state, row)]

    def need(at: int) -> tuple[bool, bool, bool, int]:
        """The best answer is needed most, then what is written, then the way to that answer."""
        row = rows[at]
        if isinstance(row, BranchGrew):
            return True, False, True, 0
        return row.id not in (ROOT, state.best), True, row.id not in best, row.depth

    fits = room is None or len(shown) <= room
    kept = set(shown if fits else sorted(shown, key=need)[: max(1, (room or 0) - 1)])
    table = _Table(state, width, best, whole=room is None)
    root = Tree(table.row(state.tree[ROOT]), guide_style="guide")
    # What is below a row that is left out, or too deep, stands beside it. Parents come before their children.
    places, deepest = {ROOT: (root, 1)}, max(1, width // (3 * _LEVEL_CELLS))
    for at, row in enumerate(rows[1:], 1):
        assert row.parent is not None, "the question alone has none"
        above, depth = places[row.parent]
        below = above.add(table.row(row)) if at in kept else above
        if isinstance(row, Node):
            places[row.id] = (below, depth + 1) if at in kept and depth < deepest else (above, depth)
    if len(kept) < len(shown):
        root.add(_line(f"{ELLIPSIS} {plural(len(shown) - len(kept), 'more row')}", "faint"))
    return Group(question, table.head(), root)


def _is_followed(state: ViewState, row: Row) -> bool:
    """True for a part of a thought that only the rest of the thought follows: it has no row."""
    if isinstance(row, BranchGrew) or not row.is_thought:
        return False
    children = state.tree.children(row.id)
    running = any(branch.parent == row.id for branch in state.running.values())
    return len(children) == 1 and not running and state.tree[children[0]].is_thought


class _Table:
    """The rows of a tree of a given width: mark, text, and columns where there is room for them."""

    def __init__(self, state: ViewState, width: int, best: Collection[NodeId], *, whole: bool) -> None:
        self._state, self._best, self._whole = state, best, whole
        self._answers = {found.node: found.answer for found in state.candidates}
        self._columns = {"correct" if state.started.calibrated else "score": 9}
        self._is_narrow = width < NARROW
        if not self._is_narrow:
            self._columns |= {"answer": 10, "tokens": 8}

    def head(self) -> Table:
        """The heads of the columns."""
        return self._grid(Text(" "), Text(" "), *((name, "guide") for name in self._columns))

    def row(self, row: Row) -> Table:
        """One row."""
        if isinstance(row, BranchGrew):
            text = _line(last_line(row.text), "italic")
            return self._grid(_sign("running"), text, ("", ""), ("", ""), (str(row.tokens), "faint"))
        mark, estimate = self._state.mark(row), row.estimate
        p, shown = probability_of(estimate), ""
        if estimate is not None:  # a score must not look like a probability
            shown = decimal(estimate.median, ".2f") if p is None else percent(p)
        tokens = str(self._tokens(row)) if row.step is not None else ""
        values = (shown, level(estimate)), self._answer(row, mark), (tokens, "faint")
        return self._grid(_sign(mark), self._content(row, mark), *values)

    def _grid(self, sign: Text, content: RenderableType, *values: tuple[str, str]) -> Table:
        grid = Table.grid(expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        for width in self._columns.values():
            grid.add_column(width=width, justify="right", no_wrap=True, overflow="ellipsis")
        grid.add_row(sign, content, *(Text(*value) for value in values[: len(self._columns)]))
        return grid

    def _content(self, node: Node, mark: Mark) -> RenderableType:
        """The text of a row in one line, or a whole program; a narrow tree folds texts at the end."""
        style = "bold" if node.id in self._best else "faint" if node.status == "pruned" else ""
        if node.step is None:
            return _line("question", style)
        if node.is_thought:
            return _line(f"thought, {plural(self._tokens(node), 'token')}", "faint")
        program = self._state.program(node, node.step.text)
        why = one_line(self._state.reasons.get(node.id, ""))
        text = Text(no_wrap=not (self._whole and self._is_narrow), overflow="ellipsis")
        text.append(f"{why}{DOT}" if why else "", "low")
        if self._is_narrow and node.status == "terminal":
            answer, look = self._answer(node, mark)
            text.append(f"{answer}{DOT}", look)
        if program is None:
            return text.append(one_line(plain(node.step.text)), style)
        output = Text(f"{ARROW} {program.last_line}", "error" if program.failed else "faint")
        if self._whole:
            code = highlighted(program.code)
            return Group(*([_line(why, "low")] if why else []), code, *([output] if program.output else []))
        return text.append_text(output) if program.failed else text.append(program.gist, style)

    def _tokens(self, node: Node) -> int:
        """Length of the step; of a thought with what was thought before it."""
        tree = self._state.tree
        steps = tree.thoughts(node.id) if node.is_thought else tree.steps(node.id)[-1:]
        return sum(len(step.token_ids) for step in steps)

    def _answer(self, node: Node, mark: Mark) -> tuple[str, str]:
        """The answer at an end, or ``cut``."""
        if node.status == "pruned":
            return "cut", "low"
        if node.status == "open":
            return "", ""
        answer = one_line(rounded(readable(self._answers.get(node.id) or "?")))
        return f"={answer}", "answer" if mark == "best" else "low" if mark == "failed" else "faint"


def _sign(mark: Mark) -> Text:
    return Text(f"{MARKS[mark]} ", mark)


def _line(text: str, style: str) -> Text:
    """One line, cut where its cell ends."""
    return Text(no_wrap=True, overflow="ellipsis").append(text, style)
