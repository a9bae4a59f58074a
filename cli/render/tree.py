"""A search as a tree: while it grows, and when it has ended."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from adascale.engine.answer import fixed_tokens
from adascale.engine.answers.latex import readable
from adascale.engine.search.events import BranchGrew
from adascale.engine.search.tree import Node
from adascale.engine.types import ROOT, Estimate, NodeId

from ..terminal.markdown import highlighted
from ..terminal.text import (
    ARROW,
    DOT,
    ELLIPSIS,
    MARKS,
    Mark,
    chance,
    last_line,
    level,
    one_line,
    percent,
    plain,
    plural,
    rounded,
)
from .solution import fact_line, standing_lines
from .state import ViewState
from .summary import tokens_text

NARROW = 60
"""Below this width the column of answers is dropped."""

WIDE = 100
"""From this width on intervals are shown, the tokens of a step, and why one was cut."""

_HEADER = 3
"""Lines of a live tree that are neither rows nor below them: the question, the columns, an empty one."""

_LEVEL_CELLS = 4
_LABEL_CHARACTERS = 15


def live_tree(state: ViewState, width: int, height: int) -> Group:
    """The running search as a tree in at most ``height`` lines."""
    footer = standing_lines(state)[-height:]
    room = height - len(footer) - _HEADER
    rows: list[RenderableType] = [_tree(state, width, room), Text()] if room > 1 else []
    return Group(*rows, *footer)


def final_tree(state: ViewState, width: int) -> Group:
    """The finished tree, all rows and all lines of programs, and below it what the search cost."""
    facts, fixed = [tokens_text(state)], fixed_tokens(state)
    if fixed is not None and fixed > state.tokens:
        facts.append(f"about {fixed:,} for all {state.samples}")
    cuts = sum(node.status == "pruned" for node in state.tree)
    facts += [plural(len(state.tree) - 1, "step"), *([f"{cuts:,} cut"] if cuts else [])]
    return Group(_tree(state, width), Text(), fact_line(facts))


def _tree(state: ViewState, width: int, room: int | None = None) -> Group:
    """The question and the rows below it; all rows and all lines of programs where ``room`` bounds none."""
    question = _line("", "").append("Q  ", "faint")
    question.append(one_line(readable(state.tree.problem.question)), "bold")
    rows = _Rows(state, width, whole=room is None)
    labels = rows.labels()
    kept = rows.kept(labels, room)
    root = Tree(rows.row("", labels.pop("")), guide_style="guide")
    path, levels = [("", root)], max(1, width // (3 * _LEVEL_CELLS))
    for label, item in labels.items():
        if label in kept:
            while len(path) > 1 and not label.startswith(f"{path[-1][0]}."):
                path.pop()
            # What is deeper stands at the last level, and its label says where.
            _, parent = path[min(len(path), levels) - 1]
            path.append((label, parent.add(rows.row(label, item))))
    if hidden := [item for label, item in labels.items() if label not in kept]:
        running = sum(isinstance(item, BranchGrew) for item in hidden)
        note = f", {running} being written" if running else ""
        root.add(_line(f"{ELLIPSIS} {plural(len(hidden), 'more row')}{note}", "faint"))
    return Group(question, rows.head(), root)


class _Rows:
    """The rows of a tree of a given width: mark, label, text, and columns where there is room for them."""

    def __init__(self, state: ViewState, width: int, *, whole: bool) -> None:
        self._state, self._tree, self._whole = state, state.tree, whole
        self._best_path = (
            {ROOT} if state.best is None else {ROOT, *(n.id for n in state.tree.path(state.best))}
        )
        self._answers = {found.node: found.answer for found in state.candidates}
        self._is_wide = width >= WIDE
        self._columns = {"correct" if state.started.calibrated else "score": 9}
        if self._is_wide and state.started.calibrated:
            self._columns["10-90 %"] = 10
        if width >= NARROW:
            self._columns["answer"] = 10
        if self._is_wide:
            self._columns["tokens"] = 8

    def labels(self) -> dict[str, Node | BranchGrew]:
        """All rows by their child numbers from the root, top down: children in order, then running branches.

        A part of a thought that only the rest of the thought follows has none.
        """
        running: dict[NodeId, list[BranchGrew]] = {}
        for branch in self._state.running.values():
            running.setdefault(branch.parent, []).append(branch)
        found = dict[str, Node | BranchGrew]()
        stack: list[tuple[str, Node | BranchGrew]] = [("", self._tree[ROOT])]
        while stack:
            label, item = stack.pop()
            if isinstance(item, BranchGrew):
                found[label] = item
                continue
            children = [self._tree[child] for child in self._tree.children(item.id)]
            below: list[Node | BranchGrew] = [*children, *running.get(item.id, [])]
            is_followed = len(below) == len(children) == 1 and children[0].is_thought
            if not (item.is_thought and is_followed):
                found[label] = item
            stack += reversed([(f"{label}.{at}".strip("."), each) for at, each in enumerate(below, 1)])
        return found

    def kept(self, labels: Mapping[str, Node | BranchGrew], room: int | None) -> set[str]:
        """Labels of the rows for which there is room: the best answer, what runs, the way to that answer."""
        if room is None or len(labels) <= room:
            return set(labels)

        def need(label: str) -> tuple[bool, bool, bool, int]:
            item = labels[label]
            node = None if isinstance(item, BranchGrew) else item.id
            is_end = node in (ROOT, self._state.best) and node is not None
            return not is_end, node is not None, node not in self._best_path, label.count(".")

        return set(sorted(labels, key=need)[: max(1, room - 1)])

    def head(self) -> Table:
        """The heads of the columns."""
        return self._grid(Text(" "), Text(" "), {name: (name, "guide") for name in self._columns})

    def row(self, label: str, item: Node | BranchGrew) -> Table:
        """One row."""
        short = label if len(label) <= _LABEL_CHARACTERS else ELLIPSIS + label[1 - _LABEL_CHARACTERS :]
        mark = "running" if isinstance(item, BranchGrew) else self._state.mark(item)
        start = Text().append(f"{MARKS[mark]} ", mark).append(f"{short} " if label else "", "guide")
        if isinstance(item, BranchGrew):
            return self._grid(
                start, _line(last_line(item.text), "italic"), {"tokens": (str(item.tokens), "faint")}
            )
        values = {"10-90 %": (_interval(item.estimate), "faint"), "answer": self._answer(item, mark)}
        values |= dict.fromkeys(("correct", "score"), self._chance(item))
        if item.step is not None:
            values["tokens"] = (str(self._tokens(item)), "faint")
        return self._grid(start, self._content(item), values)

    def _grid(self, start: Text, content: RenderableType, values: Mapping[str, tuple[str, str]]) -> Table:
        grid = Table.grid(expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        for width in self._columns.values():
            grid.add_column(width=width, justify="right", no_wrap=True, overflow="ellipsis")
        grid.add_row(start, content, *(Text(*values.get(name, ("", ""))) for name in self._columns))
        return grid

    def _content(self, node: Node) -> RenderableType:
        """The text of a row in one line, or a whole program."""
        style = "bold" if node.id in self._best_path else "faint" if node.status == "pruned" else ""
        if node.step is None:
            return _line("question", style)
        if node.is_thought:
            return _line(f"thought, {plural(self._tokens(node), 'token')}", "faint")
        program = self._state.program(node, node.step.text)
        why = one_line(self._state.reasons.get(node.id, "")) if self._is_wide else ""
        text = _line("", "").append(f"{why}{DOT}" if why else "", "low")
        if program is None:
            return text.append(one_line(plain(node.step.text)), style)
        output = Text(f"{ARROW} {program.last_line}", "error" if program.failed else "faint")
        if self._whole:
            code = highlighted(program.code)
            return Group(*([_line(why, "low")] if why else []), code, *([output] if program.output else []))
        return text.append_text(output) if program.failed else text.append(program.gist, style)

    def _tokens(self, node: Node) -> int:
        """Length of the step; of a thought with what was thought before it."""
        steps = self._tree.thoughts(node.id) if node.is_thought else self._tree.steps(node.id)[-1:]
        return sum(len(step.token_ids) for step in steps)

    def _chance(self, node: Node) -> tuple[str, str]:
        """The median estimate, in the colour of its level where it is a probability."""
        estimate = node.estimate
        if estimate is None:
            return "", ""
        return percent(estimate.median) if estimate.calibrated else chance(estimate.median), level(estimate)

    def _answer(self, node: Node, mark: Mark) -> tuple[str, str]:
        """Children of an open node and how many it may have (``3/8``), the answer at an end, or ``cut``."""
        if node.status == "pruned":
            return "cut", "low"
        if node.status == "terminal":
            answer = one_line(rounded(readable(self._answers.get(node.id) or "?")))
            return f"={answer}", "answer" if mark == "best" else "low" if mark == "failed" else "faint"
        granted = (self._state.samples if node.id == ROOT else None) or self._state.granted.get(node.id, 0)
        drawn = [self._tree[child].branch for child in self._tree.children(node.id)]
        drawn += [id_ for id_, branch in self._state.running.items() if branch.parent == node.id]
        # The next step of its own branch is no child that was asked for.
        return (f"{sum(branch != node.branch for branch in drawn)}/{granted}" if granted else ""), "faint"


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or not estimate.calibrated:
        return ""
    return f"{100 * estimate.lower:.0f}-{100 * estimate.upper:.0f} %"
