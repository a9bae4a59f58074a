"""From a view to the rows of its tree, before anything is cut to a width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from adascale.engine.answer import Answer, fixed_tokens
from adascale.engine.answers.latex import readable
from adascale.engine.search.events import BranchGrew
from adascale.engine.search.tree import Node
from adascale.engine.types import ROOT, Estimate, NodeId

from ..terminal.console import STYLES
from ..terminal.markdown import Program, cut_line, highlighted, wrap_line
from ..terminal.text import (
    ELBOW,
    ELLIPSIS,
    MARK_STYLES,
    MARKS,
    PIPE,
    TEE,
    Mark,
    cells,
    chance,
    cut,
    fitting,
    harmless,
    last_line,
    level,
    one_line,
    pad,
    percent,
    plain,
    plural,
    rounded,
)
from .solution import standing_lines
from .state import ViewState, mark_of, program_of
from .summary import closing_lines, rate_text, steps_text, tokens_text


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


def thought_line(row: Row) -> str:
    """``thought, 843 tokens``: the row of a thought in one line."""
    return f"thought, {plural(row.tokens or 0, 'token')}"


NARROW = 60
"""Below this width the column of answers is dropped."""

WIDE = 100
"""From this width on intervals are shown, the tokens of a step, and why one was cut."""

_GAP = 2
_LEAST_TEXT = 8
_CORRECT_CELLS = 7
_RANGE_CELLS = 8
_COUNT_CELLS = 8
_TOKENS_CELLS = 6
_LABEL_CHARACTERS = 15

_LEAST_WRAPPED = 16
"""Cells below which long lines of code are cut, not wrapped."""


@dataclass(frozen=True, slots=True)
class Column:
    """A right-aligned column: its head, its cells, which stay while a tree grows, and what each row has."""

    head: str
    width: int
    values: tuple[tuple[str, str], ...]


def draw_rows(rows: Sequence[Row], width: int, *, calibrated: bool, whole: bool) -> list[Text]:
    """The head of the columns and the lines of each row.

    Args:
        rows: Rows of a tree.
        width: Cells that no line is wider than.
        calibrated: Estimates are probabilities.
        whole: Show all lines of a program, not one.
    """
    columns = _columns(rows, width, calibrated)
    left = max(0, width - sum(_GAP + column.width for column in columns))
    head = Text(" " * left)
    for column in columns:
        head.append(" " * _GAP + column.head.rjust(column.width), STYLES["header"])
    lines = [head]
    deepest = max((len(row.lasts) for row in rows), default=0)
    step = 4 if deepest * 4 <= left // 3 else 2
    for at, row in enumerate(rows):
        line, *below = _row_lines(row, left, step, says_why=width >= WIDE, whole=whole)
        for column in columns:
            value, style = column.values[at]
            line.append(" " * (_GAP + column.width - cells(value)))
            line.append(value, style)
        lines += [line, *below]
    for line in lines:
        line.rstrip()
        line.truncate(width)
    return lines


def _columns(rows: Sequence[Row], width: int, calibrated: bool) -> list[Column]:
    """The columns for this width: estimates always; counts, intervals and tokens where there is room."""
    head = "correct" if calibrated else "score"
    columns = [Column(head, _CORRECT_CELLS, tuple(_score(row) for row in rows))]
    if width >= WIDE and calibrated:
        known = (row.estimate if row.estimate and row.estimate.calibrated else None for row in rows)
        ranges = (f"{100 * p.lower:.0f}-{100 * p.upper:.0f} %" if p else "" for p in known)
        columns.append(Column("10-90 %", _RANGE_CELLS, tuple((text, STYLES["faint"]) for text in ranges)))
    if width >= NARROW:
        columns.append(Column("answer", _COUNT_CELLS, tuple(_count(row) for row in rows)))
    if width >= WIDE:
        lengths = ("" if row.tokens is None else str(row.tokens) for row in rows)
        columns.append(Column("tokens", _TOKENS_CELLS, tuple((text, STYLES["faint"]) for text in lengths)))
    return columns


def _score(row: Row) -> tuple[str, str]:
    """The median estimate, in the colour of its level where it is a probability."""
    if row.estimate is None:
        return "", ""
    style = STYLES["best_path"] if row.best else ""
    if found := level(row.estimate):
        style += " " + STYLES[found]
    estimate = row.estimate
    return percent(estimate.median) if estimate.calibrated else chance(estimate.median), style


def _count(row: Row) -> tuple[str, str]:
    """The count of a row, in at most ``_COUNT_CELLS`` cells."""
    text = cut(one_line(rounded(readable(row.count))), _COUNT_CELLS)
    if row.mark == "best":
        return text, STYLES["answer"]
    return text, STYLES["low"] if row.mark in ("pruned", "failed") else STYLES["faint"]


def _row_lines(row: Row, width: int, step: int, *, says_why: bool, whole: bool) -> list[Text]:
    """Guides, mark, label and text in exactly ``width`` cells, then the other lines of a program.

    Args:
        row: Row to draw.
        width: Cells.
        step: Cells of a guide.
        says_why: Show why a row was cut.
        whole: Show all lines of a program.
    """
    guides, passing = _guides(row, step, width // 3)
    line = Text().append(guides, STYLES["guide"]).append_text(_row_start(row))
    indent = Text().append(pad(passing, line.cell_len), STYLES["guide"])
    room = width - line.cell_len
    why = f"  {one_line(row.why)}" if row.why and says_why else ""
    if cells(why) > room - _LEAST_TEXT:
        why = ""
    room -= cells(why)
    text, *below = _contents(row, room, whole)
    text.append(" " * (room - text.cell_len))
    for content in (text, *below):
        content.stylize_before(_text_style(row))
    line.append_text(text).append(why, STYLES["low"])
    line.truncate(width)
    return [line, *(indent + content for content in below)]


def _contents(row: Row, room: int, whole: bool) -> list[Text]:
    """The text of a row in one line, or a ``whole`` program."""
    if row.program is None:
        text = thought_line(row) if row.thought else plain(row.text)
        return [Text(cut(one_line(text), room))]
    outcome = row.program.outcome_line()
    if whole and room >= _LEAST_WRAPPED:
        return [part for line in (*row.program.lines(), *outcome) for part in wrap_line(line, room)]
    return [_single_line(row.program, outcome, room)]


def _row_start(row: Row) -> Text:
    """Mark and label."""
    mark, style = (MARKS[row.mark], MARK_STYLES[row.mark]) if row.mark else (ELLIPSIS, STYLES["faint"])
    line = Text().append(f"{mark} ", style)
    return line.append(f"{_shorten_label(row.label)} ", STYLES["label"]) if row.label else line


def _text_style(row: Row) -> str:
    if row.best:
        return STYLES["best_path"]
    if row.thought or row.mark in (None, "pruned"):
        return STYLES["faint"]
    return STYLES["running_text"] if row.mark == "running" else ""


def _guides(row: Row, step: int, most: int) -> tuple[str, str]:
    """Guides of a row, and those that pass by its further lines, both in at most ``most`` cells.

    What is deeper stands at the last level, and its label says where.
    """
    levels, lasts = max(1, most // step), row.lasts
    if not lasts:
        return "", ""
    if len(lasts) > levels:
        lasts = (*lasts[: levels - 1], lasts[-1])
    passing = ["    " if last else PIPE for last in lasts]
    own = [*passing[:-1], ELBOW if lasts[-1] else TEE]
    if step < len(own[-1]):
        passing, own = ([guide[0] + " " for guide in guides] for guides in (passing, own))
    return "".join(own), "".join(passing)


def _shorten_label(label: str) -> str:
    if len(label) <= _LABEL_CHARACTERS:
        return label
    return ELLIPSIS + label[len(ELLIPSIS) - _LABEL_CHARACTERS :]


def _single_line(program: Program, outcome: Sequence[Text], width: int) -> Text:
    """``price = 2 / 3; print(18 / price)  → 27``; what it gave takes at most half of the width."""
    room = max(0, width // 2 - _GAP)
    end = Text(" " * _GAP if room else "").join([Text(), *(cut_line(line, room) for line in outcome)])
    code = highlighted(one_line(program.single_line)).copy()
    return cut_line(code, max(0, width - end.cell_len)).append_text(end)


FULL_TREE = 60
"""Nodes of the largest tree that is left on the screen as a whole."""

FOLDED_ROWS = 30
"""Rows that are left of a larger one."""

_HEADER = 3
"""Lines of a live frame that are neither rows nor below them: the question, the columns, an empty one."""


def live_frame(state: ViewState, width: int, height: int, tick: int = 0) -> list[Text]:
    """The running search as a tree in at most ``height`` lines; where it does not fit, the newest stay."""
    footer = standing_lines(state, width, tick)
    rows = tree_rows(state, max(1, height - len(footer) - _HEADER))
    lines = _tree_lines(state, rows, width, whole=False)
    return [*lines, Text(), *footer][-height:]


def final_frame(state: ViewState, width: int, *, whole: bool = False) -> list[Text]:
    """The finished tree; of a large one its best path and some other rows, unless it is wanted ``whole``."""
    large = len(state.tree) > FULL_TREE and not whole
    rows = tree_rows(state, FOLDED_ROWS if large else None)
    lines = _tree_lines(state, rows, width, whole=True)
    lines += [Text(), Text(fitting(_account(state), width))]
    if large:
        note = f"{len(rows)} rows for {steps_text(state)}; adascale tree has all."
        lines.append(Text(cut(note, width), STYLES["faint"]))
    return lines


def _tree_lines(state: ViewState, rows: Sequence[Row], width: int, *, whole: bool) -> list[Text]:
    """The question, and the rows below it."""
    line = Text().append("Q  ", STYLES["faint"])
    question = one_line(readable(state.tree.problem.question))
    line.append(cut(question, max(0, width - 3)), STYLES["question"])
    line.truncate(width)
    return [line, *draw_rows(rows, width, calibrated=state.started.calibrated, whole=whole)]


def _account(state: ViewState) -> list[str]:
    """The cost and the size of the search: ``464 tokens``, ``about 2,171 for all 16``, ``8 steps``."""
    facts, fixed = [tokens_text(state)], fixed_tokens(state)
    if fixed is not None and fixed > state.tokens:
        facts.append(f"about {fixed:,} for all {state.samples}")
    cuts = sum(node.status == "pruned" for node in state.tree)
    return [*facts, *rate_text(state), steps_text(state), *([f"{cuts:,} cut"] if cuts else [])]


def whole_frame(state: ViewState, width: int) -> list[Text]:
    """The tree without folds, the lines below it and the settings; of a message its reply instead."""
    if state.tree.problem.is_chat:
        question = f"Q  {one_line(state.tree.problem.question)}"
        reply = [harmless(line) for line in Answer.of(state).solution.split("\n")] if state.result else []
        lines = [Text(line) for line in (question, "", *reply, "")]
    else:
        lines = final_frame(state, width, whole=True)
    return [*lines, *closing_lines(state, verbose=1), Text(_settings(state))]


def _settings(state: ViewState) -> str:
    """Names and values of the settings of a search; unknown ones are left out."""
    generator, budget = state.started.models.generator, state.started.budget
    limits = [f"{budget.max_tokens:,} tokens"] if budget.max_tokens is not None else []
    limits += [f"{budget.max_seconds:g} s"] if budget.max_seconds is not None else []
    found = {
        "model": generator.name if generator else "",
        "sha256": generator.sha256 if generator else "",
        "strategy": state.started.strategy,
        "budget": ", ".join(limits) or "none",
        "seed": str(state.started.seed),
    }
    return ", ".join(f"{name} {one_line(value)}" for name, value in found.items() if value)
