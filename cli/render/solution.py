"""The solution that leads, as a person reads it: prose with its Markdown rendered, a long program folded."""

from __future__ import annotations

from rich.text import Text

from adascale.engine.search.events import BranchGrew
from adascale.engine.types import PROGRAMS, NodeId

from ..terminal.code import Program, cut_line
from ..terminal.markdown import rendered
from ..terminal.text import cells, pad, percent, plural
from ..terminal.theme import ELLIPSIS, LEFT, SPENT, STYLES
from .rows import program_of
from .state import ViewState
from .summary import answer_words

_BAR_CELLS = 30
_PERCENT_CELLS = 5
_GAP = 2

_WHOLE_PROGRAM = 4
"""Lines of code of the longest program that is not folded."""


def solution_lines(state: ViewState, node: NodeId, width: int, *, whole: bool) -> list[Text]:
    """A finished solution in lines of at most ``width`` cells.

    Args:
        state: The search.
        node: Last node of the solution.
        width: Cells of a line.
        whole: Show all of a program, which else is folded: what it printed is the answer.
    """
    end, text = state.tree[node], state.tree.text(node).strip()
    program = program_of(end, text, state.tree.problem)
    if program is None:
        return rendered(text, width)
    return _program_lines(program, width, whole=whole)


def _program_lines(program: Program, width: int, *, whole: bool) -> list[Text]:
    code = [line for line in program.lines() if whole or _says_something(line.plain)]
    if not whole and len(code) > _WHOLE_PROGRAM:
        hidden = len(code) - (_WHOLE_PROGRAM - 1)
        note = Text(f"{ELLIPSIS} {plural(hidden, 'more line')} of the program", STYLES["faint"])
        code = [*code[: _WHOLE_PROGRAM - 1], note]
    outcome = program.outcome_line() if whole or program.failed else []
    return [cut_line(line, width) for line in (*code, *outcome)]


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def option_lines(state: ViewState, width: int) -> list[Text]:
    """A bar for each option that was read: ``B. bank  ━━━━━━━━──  88 %``, the most likely one in colour."""
    chances = list(state.options.items())
    labels = [answer_words(state, name, max(1, width // 2)) for name, _ in chances]
    label_cells = max(map(cells, labels), default=0)
    size = max(0, min(_BAR_CELLS, width - label_cells - 2 * _GAP - _PERCENT_CELLS))
    most = max((chance for _, chance in chances), default=0.0)
    lines = []
    for label, (_, chance) in zip(labels, chances, strict=True):
        style, filled = STYLES["answer"] if chance == most else "", round(chance * size)
        line = Text(no_wrap=True).append(pad(label, label_cells + _GAP), style)
        line.append(SPENT * filled, STYLES["spent"]).append(LEFT * (size - filled), STYLES["left"])
        lines.append(line.append(percent(chance).rjust(_GAP + _PERCENT_CELLS), style))
        lines[-1].truncate(width)
    return lines


def running_lines(state: ViewState, grown: BranchGrew, width: int, room: int) -> list[Text]:
    """The text that one branch has written so far; a program has its last lines."""
    if grown.thinks:
        return [Text(f"thinking, {plural(grown.tokens, 'token')}", STYLES["faint"])]
    text = state.tree.text(grown.parent) + grown.text
    if state.mode(grown.branch) not in PROGRAMS:
        return rendered(text, width)[-room:]
    code = [line for line in Program.of(text, None).lines() if line.plain.strip()]
    return [cut_line(line, width) for line in code[-_WHOLE_PROGRAM:]]
