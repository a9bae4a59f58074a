"""A search as it runs: a row for each solution that is being written, and below them who leads."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import fmean

from rich.text import Text

from adascale.engine.answer import Answer, FallbackAnswer
from adascale.engine.search.events import BranchGrew
from adascale.engine.types import PROGRAMS, BranchId, Mode, NodeId

from ..report.answer import answer_payload
from ..terminal.console import STYLES, is_one_screen, stderr_console, write_lines, write_payload
from ..terminal.markdown import Program, cut_line, rendered
from ..terminal.text import (
    DOT,
    ELLIPSIS,
    LEFT,
    MARK_STYLES,
    MARKS,
    SPENT,
    SPIN,
    Mark,
    cells,
    cut,
    duration,
    fitting,
    last_line,
    one_line,
    pad,
    percent,
    plural,
)
from .state import ViewState, mark_of, program_of
from .summary import (
    answer_words,
    closing_lines,
    is_unsure,
    leader_facts,
    outcome_text,
    solutions_text,
    tokens_text,
)

_MODE_CELLS = 7
_LENGTH_CELLS = 6

_LEAST_LEFT = 0.25
"""Share of the usual length that any solution is expected to go on for."""

_FOOTER = 3
"""Lines below the solutions, the empty one among them."""


def search_frame(state: ViewState, width: int, height: int, tick: int = 0) -> list[Text]:
    """A bar for each option that was read, the solutions, and who leads, in at most ``height`` lines.

    Of several solutions each has a row, in half of the screen at most; of a single one the end of its text is
    shown. Where there is no room for solutions or for the bars, they are left out.
    """
    bars, room = option_lines(state, width), height - _FOOTER
    blocks = [bars] if bars and len(bars) <= room else []
    room -= len(bars) + 1 if blocks else 0
    if room > 0:
        blocks.append(_solution_lines(state, width, room, max(1, height // 2 - _FOOTER)))
    above = [line for block in blocks if block for line in (*block, Text())]
    return [*above, *standing_lines(state, width, tick)][-height:]


def _solution_lines(state: ViewState, width: int, room: int, most_rows: int) -> list[Text]:
    if state.tree.problem.is_chat:  # stdout shows the reply
        return []
    if _is_wide(state):
        return place_lines(state, width, min(room, most_rows))
    if state.best is not None:
        return solution_lines(state, state.best, width, whole=False)[-room:]
    return [line for each in state.running.values() for line in running_lines(state, each, width, room)]


def place_lines(state: ViewState, width: int, room: int) -> list[Text]:
    """A row for each place, in at most ``room`` lines: what is written there, or what ended there last."""
    places = state.places
    shown = places if len(places) <= room else places[: room - 1]
    lines = [_place_line(state, branch, width) for branch in shown]
    if hidden := places[len(shown) :]:
        running = sum(branch in state.running for branch in hidden)
        lines.append(Text(cut(f"  and {len(hidden)} more, {running} being written", width), STYLES["faint"]))
    return lines


def _place_line(state: ViewState, branch: BranchId, width: int) -> Text:
    """``◐ prose     212  So she has 16 rolls left.``, or ``✓ program    64  = 24``."""
    tip, mode = state.tree[state.tips[branch]], state.mode(branch)
    mark: Mark = "running" if branch in state.running else mark_of(state, tip)
    line = Text(no_wrap=True).append(f"{MARKS[mark]} ", MARK_STYLES[mark])
    line.append(("program" if mode in PROGRAMS else mode).ljust(_MODE_CELLS), STYLES["faint"])
    line.append(f"{state.length(branch):>{_LENGTH_CELLS},}  ", STYLES["label"])
    style = STYLES["answer"] if tip.id in state.leading and not is_unsure(state) else STYLES["faint"]
    line.append(cut(_content(state, branch), max(0, width - line.cell_len)), style)
    line.truncate(width)
    return line


def _content(state: ViewState, branch: BranchId) -> str:
    """The line that a solution is at, or what it found."""
    tip, running = state.tree[state.tips[branch]], state.running.get(branch)
    if running is None and tip.status != "open":
        return "cut" if tip.status == "pruned" else outcome_text(state, tip)
    if running is not None and running.thinks:
        return "thinking"
    written = running.text.strip() if running is not None else ""
    if not written and tip.step is not None:
        written = tip.step.text
    return last_line(written)


def standing_lines(state: ViewState, width: int, tick: int = 0) -> list[Text]:
    """Who leads, once there are solutions side by side, and how far the search is.

    ``24 leads, about 84 % sure · 5 of 7 solutions agree · then 30 (2)``
    ``◐ 7 of up to 16 solutions · 1,204 tokens · 12 s · about 20 s left``
    """
    facts = [solutions_text(state)]
    if state.tokens:
        facts += [tokens_text(state), duration(state.t), *_left(state)]
    status = Text(no_wrap=True).append(SPIN[tick % len(SPIN)] + " ", MARK_STYLES["running"])
    status.append(fitting(facts, width - 2), STYLES["faint"])
    status.truncate(width)
    known = leader_facts(state)
    if state.tree.problem.is_chat or not (known or _is_wide(state)):
        return [status]
    hint = ["Ctrl-C keeps it"] if state.answer is not None else []
    line = Text(fitting([*known, *hint] or ["no answer yet"], width), no_wrap=True)
    if not is_unsure(state):
        line.stylize(STYLES["answer"], 0, len(known[0]))
    return [line, status]


def _left(state: ViewState) -> list[str]:
    """``about 20 s left``, in steps of five seconds, or ``at most 27 s left`` where a limit comes first."""
    about, limit = seconds_left(state), state.started.budget.max_seconds
    at_most = None if limit is None else max(0.0, limit - state.t)
    if at_most is not None and (about is None or at_most < about):
        return [f"at most {duration(at_most)} left"]
    return [] if about is None else [f"about {duration(5 * ceil(about / 5))} left"]


def seconds_left(state: ViewState) -> float | None:
    """About how long it takes until all solutions have ended; None before each mode that runs has one.

    Short ones end first, so their mean length is too small, and all tokens for each that has ended are too
    many: the usual length is the geometric mean of both.
    """
    samples = state.samples
    if samples is None or state.rate <= 0.0 or state.tree.problem.kind == "code":
        return None
    ended, running = dict[Mode, list[int]](), dict[Mode, list[int]]()
    for found in state.candidates:
        ended.setdefault(state.tree[found.node].mode, []).append(found.tokens)
    for branch in state.running:
        running.setdefault(state.mode(branch), []).append(state.length(branch))
    if not ended or running.keys() - ended.keys():
        return None
    usual = {
        mode: sqrt(fmean(lengths) * (sum(lengths) + sum(running.get(mode, []))) / len(lengths))
        for mode, lengths in ended.items()
    }
    rest = [max(usual[m] - n, _LEAST_LEFT * usual[m]) for m, lengths in running.items() for n in lengths]
    to_start = max(0, samples - state.finished - len(rest))
    tokens = max(sum(rest) + to_start * fmean(usual.values()), len(state.places) * max(rest, default=0.0))
    return tokens / state.rate


def _is_wide(state: ViewState) -> bool:
    """True if there may be several solutions, which have a row each."""
    return len(state.places) > 1 or bool(state.places and (state.samples or 1) > 1)


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


def write_answer(state: ViewState, *, extract: bool = False, says_end: bool = True, verbose: int = 0) -> None:
    """Write the solution and its answer to stdout, or the answer alone.

    On a terminal a person reads the solution; the answer stands in the line that ``say_end`` writes.

    Args:
        state: A search.
        extract: Write the answer alone.
        says_end: That line follows.
        verbose: With 1 a long program is shown whole.
    """
    is_read = is_one_screen() and not extract and says_end and state.tree.problem.kind not in ("code", "json")
    if not is_read:
        if state.result is not None and (payload := answer_payload(Answer.of(state), extract)):
            write_payload(payload)
    elif state.result is not None:
        width = stderr_console().width
        best, bars = state.result.best, option_lines(state, width)
        text = [] if best is None else solution_lines(state, best, width, whole=verbose > 0)
        lines = [line for block in (text, bars) if block for line in (*block, Text())]
        write_lines(lines[:-1] if state.tree.problem.is_chat else lines)


def say_handed_on(state: ViewState, found: FallbackAnswer) -> None:
    """Write the line about the answer of another server to stderr; ``say_end`` tells of our own below it."""
    source = f"by {found.model or 'the model'} at {found.server}, since our own was not sure enough:"
    line = Text().append(answer_words(state, found.answer, 40), STYLES["answer"])
    stderr_console().print(line.append(DOT + one_line(source)), soft_wrap=True)


def say_end(state: ViewState, verbose: int = 0) -> None:
    """Write the line about the answer of a search that has ended to stderr, with ``verbose`` more of them."""
    if state.result is not None:
        for line in closing_lines(state, verbose):
            stderr_console().print(line, soft_wrap=True)
