"""Solutions on a screen: as they are written, side by side, and the one that is shown at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from adascale.engine.answer import Answer, FallbackAnswer
from adascale.engine.search.events import BranchGrew
from adascale.engine.types import PROGRAMS, BranchId, NodeId, percent

from ..report import answer_payload
from ..terminal.console import is_one_screen, stderr_console, write_screen
from ..terminal.markdown import Program, highlighted, rendered
from ..terminal.streams import write_payload
from ..terminal.text import (
    ARROW,
    DOT,
    ELLIPSIS,
    MARKS,
    Mark,
    last_line,
    one_line,
    plural,
    spin,
)
from .doubt import doubt_lines
from .state import ViewState
from .summary import (
    answer_words,
    closing_lines,
    is_unsure,
    leader_facts,
    outcome_text,
    status_facts,
)

_FOOTER = 3
"""Lines below the solutions, the empty one among them."""

_BAR_CELLS = 30

_WHOLE_PROGRAM = 10
"""Lines of code of the longest program that is not folded."""


def search_frame(state: ViewState, height: int) -> RenderableType:
    """A bar for each of several options, the solutions, and who leads: the last ``height`` lines of them.

    Of several solutions each has a row, in half of the screen at most; of a single one its text is shown.
    """
    blocks: list[RenderableType] = [option_bars(state)] if _has_bars(state) else []
    # The reply to a message stands on stdout where that is another screen.
    if state.places and (is_one_screen() or not state.kind.is_reply):
        if _is_wide(state):
            blocks.append(solution_rows(state, max(1, height // 2 - _FOOTER)))
        elif state.best is not None:
            blocks.append(solution(state, state.best, whole=False))
        else:
            blocks += [_running(state, each) for each in state.running.values()]
    apart = [part for block in blocks for part in (block, Text())]
    return _Tail(Group(*apart, *standing_lines(state)), height)


class _Tail:
    """The last lines of something."""

    def __init__(self, drawn: RenderableType, room: int) -> None:
        self._drawn, self._room = drawn, room

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw them."""
        for line in console.render_lines(self._drawn, options, pad=False)[-self._room :]:
            yield from line
            yield Segment.line()


def solution_rows(state: ViewState, room: int) -> Group:
    """A row for each place, in at most ``room`` lines: what is written there, or what ended there last.

    ``◐ prose    So she has 16 rolls left.``, or ``✓ program  = 24``
    """
    shown = state.places if len(state.places) <= room else state.places[: room - 1]
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=9, no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")  # the words alone give way
    for branch in shown:
        tip, mode = state.tip(branch), state.mode(branch)
        mark: Mark = "running" if branch in state.running else state.mark(tip)
        name = "program" if mode in PROGRAMS else mode
        style = "answer" if tip.id in state.leading and not is_unsure(state) else "faint"
        grid.add_row(
            Text.assemble((f"{MARKS[mark]} ", mark), (f"{name:7}", "faint")),
            Text(_content(state, branch), style),
        )
    hidden = len(state.places) - len(shown)
    return Group(*([grid] if shown else []), *([fact_line([f"  and {hidden} more"])] if hidden else []))


def _content(state: ViewState, branch: BranchId) -> str:
    """The line that a solution is at, or what it found."""
    tip, running = state.tip(branch), state.running.get(branch)
    if running is None and tip.status != "open":
        return "cut" if tip.status == "pruned" else outcome_text(state, tip)
    if running is not None and running.thinks:
        return "thinking"
    written = running.text.strip() if running is not None else ""
    return last_line(written or (tip.step.text if tip.step is not None else ""))


def _running(state: ViewState, grown: BranchGrew) -> RenderableType:
    """The text that one branch has written so far; of a program its last lines."""
    if grown.thinks:
        return Text(f"thinking, {plural(grown.tokens, 'token')}", "faint")
    text = state.tree.text(grown.parent) + grown.text
    if state.mode(grown.branch) not in PROGRAMS:
        return rendered(text)
    code = [line for line in Program.of(text, None).code.splitlines() if line.strip()]
    return highlighted("\n".join(code[-_WHOLE_PROGRAM:]))


def solution(state: ViewState, node: NodeId, *, whole: bool) -> RenderableType:
    """A finished solution.

    Args:
        state: The search.
        node: Last node of the solution.
        whole: Show all of a program, which else is folded: what it printed is the answer.
    """
    text = state.tree.text(node).strip()
    program = state.program(state.tree[node], text)
    if program is None:
        return rendered(text)
    code = program.code.splitlines()
    if not whole:
        code = [line for line in code if line.strip() and not line.lstrip().startswith("#")]
    lines: list[RenderableType] = []
    if not whole and len(code) > _WHOLE_PROGRAM:
        note = f"{ELLIPSIS} {plural(len(code) - _WHOLE_PROGRAM + 1, 'more line')} of the program"
        code, lines = code[: _WHOLE_PROGRAM - 1], [Text(note, "faint")]
    if program.output and (whole or program.failed):
        lines.append(Text(f"{ARROW} {program.last_line}", "error" if program.failed else "faint"))
    return Group(highlighted("\n".join(code)), *lines)


def _has_bars(state: ViewState) -> bool:
    """True for several options: of two, the number of the answer is that of both."""
    return len(state.options) > 2


def option_bars(state: ViewState) -> Table:
    """A bar for each option that was read: ``B. bank  ━━━━━━━━──  88 %``, the most likely one in colour."""
    most = max(state.options.values(), default=0.0)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column()
    grid.add_column(no_wrap=True, justify="right")
    for name, chance in state.options.items():
        style = "answer" if chance == most else ""
        bar = ProgressBar(total=1.0, completed=chance, width=_BAR_CELLS)
        grid.add_row(Text(answer_words(state, name), style), bar, Text(percent(chance), style))
    return grid


def standing_lines(state: ViewState) -> list[Text]:
    """The answer as it stands, once there may be several solutions, and how far the search is.

    ``24 · very likely (84 %) · Enter takes it · 5 of 7 solutions agree``
    ``◐ 7 of up to 16 solutions · 12 s, about 20 s left · 9 of 10 such answers stay``
    """
    known, facts = leader_facts(state), status_facts(state)
    keeps = [] if state.answer is None else ["Enter takes it" if state.takes else "Ctrl-C keeps it"]
    status = fact_line(facts if keeps else [*facts, "Ctrl-C stops"], f"{spin()} ")
    if state.kind.is_reply or not (known or _is_wide(state)):
        return [status]
    line = fact_line([*known[:2], *keeps, *known[2:]] or ["no answer yet"], style="")
    if not is_unsure(state):
        line.stylize("answer", 0, len(DOT.join(known[:2])))
    return [line, status]


def fact_line(facts: Sequence[str], mark: str = "", style: str = "faint") -> Text:
    """Facts side by side in one line, cut where the screen ends."""
    line = Text(no_wrap=True, overflow="ellipsis")
    return line.append(mark, "running").append(DOT.join(facts), style)


def _is_wide(state: ViewState) -> bool:
    """True if there may be several solutions, which have a row each."""
    return len(state.places) > 1 or bool(state.places and (state.samples or 1) > 1)


def write_answer(state: ViewState, *, says_end: bool = True, verbose: int = 0) -> None:
    """Write the answer to stdout, with ``verbose`` below its solution.

    On a terminal the answer stands in the line that ``say_end`` writes, and a solution is shown without
    ``verbose`` where it has no answer.

    Args:
        state: A search.
        says_end: That line follows.
        verbose: With 1 the solution is written too, whole if it is a program.
    """
    if state.result is None:
        return
    best, kind = state.result.best, state.kind
    if best is None and kind.is_reply and len(state.tree) > 1:
        best = NodeId(len(state.tree) - 1)  # it was stopped
    if not is_one_screen() or not says_end or kind.has_tests or kind.has_fields:
        if payload := answer_payload(Answer.of(state), verbose):
            write_payload(payload)
        return
    blocks: list[RenderableType] = []
    if best is not None and (verbose or state.answer is None):
        blocks = [solution(state, best, whole=verbose > 0), Text()]
    blocks += [option_bars(state), Text()] if _has_bars(state) else []
    if blocks:
        write_screen(Group(*(blocks[:-1] if kind.is_reply else blocks)))


def say_handed_on(state: ViewState, found: FallbackAnswer) -> None:
    """Write the line about the answer of another server to stderr; ``say_end`` tells of our own below it."""
    source = f"by {found.model or 'the model'} at {found.server}, since our own was not sure enough:"
    line = Text(answer_words(state, found.answer), "answer")
    stderr_console().print(Text.assemble(line, DOT + one_line(source)))


def say_end(state: ViewState, verbose: int = 0, *, advises: bool = False) -> None:
    """Write the line about the answer of a search that has ended to stderr, with ``verbose`` more of them.

    Where it ``advises``, lines below a doubtful answer say what to do about it.
    """
    if state.result is not None:
        for line in closing_lines(state, verbose):
            stderr_console().print(line)
        if advises and state.answer is not None and is_unsure(state):
            for text in doubt_lines(state):
                stderr_console().print(Text(f"  {one_line(text)}", "faint"))
