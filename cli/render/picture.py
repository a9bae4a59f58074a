"""Pictures of a search: its tree, the options it has read, its solution, and the two lines below them."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.segment import SegmentLines
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from adascale.engine.answers.latex import readable
from adascale.engine.errors import decimal
from adascale.engine.search.events import BranchGrew
from adascale.engine.search.tree import Node
from adascale.engine.types import ROOT, NodeId, percent, probability_of

from ..terminal.console import is_one_screen
from ..terminal.markdown import highlighted, last_line, plain, rendered
from ..terminal.text import ARROW, DOT, ELLIPSIS, one_line, plural, spin
from .state import Mark, ViewState
from .summary import answer_words, is_unsure, leader_facts, outcome_text, status_facts, tokens_text

MARKS: Final[dict[Mark, str]] = {
    "expanded": "●",
    "running": "◐",
    "waiting": "○",
    "finished": "✓",
    "failed": "✗",
    "best": "★",
    "pruned": "✗",
}

_BAR_CELLS = 30

_LINES_BESIDE_ROWS = 5
"""Lines of a frame beside the rows of its tree: question, columns, an empty one, and the two at the end."""

_LEVEL_CELLS = 4

Row = Node | BranchGrew


def search_frame(state: ViewState, console: Console, height: int, *, show_tree: bool = False) -> SegmentLines:
    """The running search in at most ``height`` lines: options, solutions, and how far it is.

    Several solutions are drawn as a tree, a row for each in half of the screen; a single one, or the
    reply of a chat, as its text.

    Args:
        state: The search.
        console: Where it is drawn.
        height: Lines of the screen.
        show_tree: Draw all steps, in the whole screen.
    """
    blocks: list[RenderableType] = [option_bars(state)] if len(state.options) > 2 else []
    if not state.kind.is_reply and (_has_several(state) or (show_tree and state.branches)):
        room = min(height - _LINES_BESIDE_ROWS, height if show_tree else height // 2)
        blocks += [search_tree(state, console.width, room, leaves=not show_tree)] if room > 1 else []
    # The reply to a message stands on stdout if that is another screen.
    elif is_one_screen() or not state.kind.is_reply:
        blocks += _solution_so_far(state)
    apart = [part for block in blocks for part in (block, Text())]
    lines = console.render_lines(Group(*apart, *standing_lines(state)), pad=False)
    return SegmentLines(lines[-height:], new_lines=True)


def _has_several(state: ViewState) -> bool:
    return len(state.branches) > 1 or bool(state.branches and (state.samples or 1) > 1)


def _solution_so_far(state: ViewState) -> list[RenderableType]:
    for branch in state.running.values():
        if branch.thinks:
            return [Text(f"thinking, {plural(branch.tokens, 'token')}", "faint")]
        return [rendered(state.tree.text(branch.parent) + branch.text)]
    return [] if state.best is None else [solution(state, state.best)]


def solution(state: ViewState, node: NodeId) -> RenderableType:
    """The solution that ends at a node; of a program also its output."""
    text = state.tree.text(node).strip()
    program = state.program(state.tree[node], text)
    if program is None:
        return rendered(text)
    last = one_line(program.output.rpartition("\n")[2])
    output = [Text(f"{ARROW} {last}", "error" if program.failed else "faint")] if last else []
    return Group(highlighted(program.code), *output)


def option_bars(state: ViewState) -> Table:
    """A bar for each option that was read: ``B. bank  ━━━━━━━━──  88 %``, the most likely one in colour."""
    most = max(state.options.values(), default=0.0)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column()
    grid.add_column(no_wrap=True, justify="right")
    for name, p in state.options.items():
        style = "answer" if p == most else ""
        bar = ProgressBar(total=1.0, completed=p, width=_BAR_CELLS)
        grid.add_row(Text(answer_words(state, name), style), bar, Text(percent(p), style))
    return grid


def standing_lines(state: ViewState) -> list[Text]:
    """The answer so far, if there may be several solutions, and how far the search is.

    ``24 · very likely (84 %) · Enter takes it · 5 of 7 solutions agree``
    ``◐ 7 of up to 16 solutions · 12 s, about 20 s left · 9 of 10 such answers stay``
    """
    leader, facts = leader_facts(state), status_facts(state)
    keys = [] if state.answer is None else ["Enter takes it" if state.takes else "Ctrl-C keeps it"]
    status = _line(f"{spin()} ", "running").append(
        DOT.join(facts if keys else [*facts, "Ctrl-C stops"]), "faint"
    )
    if state.kind.is_reply or not (leader or _has_several(state)):
        return [status]
    line = _line(DOT.join([*leader[:2], *keys, *leader[2:]] or ["no answer yet"]))
    if not is_unsure(state):
        line.stylize("answer", 0, len(DOT.join(leader[:2])))
    return [line, status]


def final_tree(state: ViewState, width: int) -> Group:
    """The finished tree with all its rows, whole texts and programs, and below it the cost of the search."""
    cuts = sum(node.status == "pruned" for node in state.tree)
    facts = [tokens_text(state), plural(len(state.tree) - 1, "step"), *([f"{cuts:,} cut"] if cuts else [])]
    return Group(search_tree(state, width), Text(), _line(DOT.join(facts), "faint"))


def search_tree(state: ViewState, width: int, room: int | None = None, *, leaves: bool = False) -> Group:
    """The question and the rows below it.

    Args:
        state: The search.
        width: Cells of a line.
        room: Most rows, each one line; without it all rows are drawn, and their texts are whole.
        leaves: Draw only the rows without rows below them, one for each solution.
    """
    question = Text("Q  ", "faint", no_wrap=room is not None, overflow="ellipsis")
    question.append(one_line(readable(state.tree.problem.question)), "not dim bold")
    rows: list[Row] = [*state.tree, *state.running.values()]
    best = {ROOT} if state.best is None else {ROOT, *(node.id for node in state.tree.path(state.best))}
    below = Counter(row.parent for row in rows)

    def is_drawn(row: Row) -> bool:
        """Of a thought that only its own rest follows, the rest alone has a row."""
        if isinstance(row, BranchGrew) or row.id == ROOT:
            return True
        children = state.tree.children(row.id)
        is_followed = below[row.id] == len(children) == 1 and state.tree[children[0]].is_thought
        return not (below[row.id] if leaves else row.is_thought and is_followed)

    def rank(at: int) -> tuple[bool, bool, bool, int]:
        """The best answer comes first, then running branches, then the way to that answer."""
        row = rows[at]
        if isinstance(row, BranchGrew):
            return True, False, True, 0
        return row.id not in (ROOT, state.best), True, row.id not in best, row.depth

    visible = [at for at, row in enumerate(rows) if is_drawn(row)]
    fits = room is None or len(visible) <= room
    shown = set(visible if fits else sorted(visible, key=rank)[: max(1, (room or 0) - 1)])
    root = Tree(_row(state, state.tree[ROOT], best, whole=room is None), guide_style="guide")
    # Rows below one that is not shown, or too deep, stand beside it. Parents come before their children.
    places, deepest = {ROOT: (root, 1)}, max(1, width // (3 * _LEVEL_CELLS))
    for at, row in enumerate(rows[1:], 1):
        assert row.parent is not None, "only the question has none"
        above, depth = places[row.parent]
        branch = above.add(_row(state, row, best, whole=room is None)) if at in shown else above
        if isinstance(row, Node):
            places[row.id] = (branch, depth + 1) if at in shown and depth < deepest else (above, depth)
    if hidden := len(visible) - len(shown):
        root.add(_line(f"{ELLIPSIS} {plural(hidden, 'more row')}", "faint"))
    estimates = "correct" if state.started.calibrated else "score"
    return Group(question, _cells(None, Text(), Text(estimates, "guide"), Text("tokens", "guide")), root)


def _row(state: ViewState, row: Row, best: set[NodeId], *, whole: bool) -> Table:
    """A row of the tree: its mark, its text, its estimate and its tokens."""
    if isinstance(row, BranchGrew):
        return _cells("running", _line(last_line(row.text), "italic"), Text(), Text(str(row.tokens), "faint"))
    steps = state.tree.thoughts(row.id) if row.is_thought else state.tree.steps(row.id)[-1:]
    tokens = sum(len(step.token_ids) for step in steps)
    p, number, style = probability_of(row.estimate), "", ""
    if p is not None:
        number, style = percent(p), "high" if p >= 0.8 else "middle" if p >= 0.5 else "low"
    elif row.estimate is not None:  # a score must not look like a probability
        number = decimal(row.estimate.median, ".2f")
    content: RenderableType = _line("question", "bold")
    if row.is_thought:
        content = _line(f"thought, {plural(tokens, 'token')}", "faint")
    elif row.step is not None:
        content = _step(state, row, "bold" if row.id in best else "", whole=whole)
    return _cells(state.mark(row), content, Text(number, style), Text(str(tokens or ""), "faint"))


def _step(state: ViewState, node: Node, style: str, *, whole: bool) -> RenderableType:
    """The reason of its cut or its outcome, then its text: one line, or the whole text."""
    assert node.step is not None
    mark, line = state.mark(node), Text(no_wrap=not whole, overflow="ellipsis")
    if mark == "pruned":
        outcome, style, look = one_line(state.reasons.get(node.id, "")) or "cut", "faint", "low"
    else:
        outcome = outcome_text(state, node) if node.status == "terminal" else ""
        look = "answer" if mark == "best" else "low" if mark == "failed" else "faint"
    program = state.program(node, node.step.text)
    line.append(outcome, look)
    if program is not None and whole:
        return Group(*([line] if outcome else []), highlighted(program.code))
    text = one_line(plain(node.step.text)) if program is None else program.gist
    return line.append(DOT if outcome else "").append(text, style)


def _cells(mark: Mark | None, content: RenderableType, *values: Text) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column(width=2, no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(width=8, justify="right", no_wrap=True)
    grid.add_column(width=7, justify="right", no_wrap=True)
    grid.add_row(Text(MARKS[mark], mark) if mark else Text(), content, *values)
    return grid


def _line(text: str, style: str = "") -> Text:
    """One line, cut at the end of its cell."""
    return Text(no_wrap=True, overflow="ellipsis").append(text, style)
