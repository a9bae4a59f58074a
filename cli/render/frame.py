"""Whole pictures of a view: the live frame, the final tree, and one line for a search."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from adascale.engine.answers.latex import readable
from adascale.engine.search.account import fixed_tokens

from ..report.answer import solution_text
from ..terminal.text import cells, clock, cut, duration, harmless, one_line, pad, percent, plural
from ..terminal.theme import DOT, LEFT, MARK_STYLES, SPENT, SPIN, STYLES
from .lines import Frame, draw_rows
from .rows import tree_rows
from .state import ViewState
from .summary import (
    answer_text,
    answer_words,
    closing_lines,
    progress_facts,
    rate_text,
    steps_text,
    support,
    tokens_text,
)

FULL_TREE = 60
"""Nodes of the largest tree that is left on the screen as a whole."""

FOLDED_ROWS = 30
"""Rows that are left of a larger one."""

_HINT = "Ctrl-C: stop now and print the best answer."

FRAME_LINES = 8
"""Lines of a live frame that are not rows of the tree."""

_ID_CELLS = 16
_TOKEN_CELLS = 13


def live_frame(state: ViewState, width: int, height: int, tick: int = 0) -> list[Text]:
    """The running search in at most ``height`` lines."""
    frame = Frame(width, state.started.calibrated, tick)
    room = max(1, height - FRAME_LINES)
    rows = tree_rows(state, room)
    lines = [_question_line(state, frame), *draw_rows(rows, frame, whole=False), Text()]
    lines += [_budget_line(state, frame), _tree_line(state, frame)]
    lines += [_best_line(state, frame), _stop_line(state, frame)]
    lines.append(Text(cut(_HINT, width), STYLES["faint"]))
    # Where even the frame does not fit, the newest facts are at its end.
    return lines[max(0, len(lines) - height) :]


def final_frame(state: ViewState, width: int, *, whole: bool = False) -> list[Text]:
    """The finished tree; of a large one its best path and some other rows, unless it is wanted ``whole``."""
    frame = Frame(width, state.started.calibrated)
    large = len(state.tree) > FULL_TREE and not whole
    rows = tree_rows(state, FOLDED_ROWS if large else None)
    lines = [_question_line(state, frame), *draw_rows(rows, frame, whole=True), Text()]
    lines += [_budget_line(state, frame), _tree_line(state, frame)]
    if large:
        note = f"{len(rows)} rows for {steps_text(state)}; adascale tree has all."
        lines.append(Text(cut(note, width), STYLES["faint"]))
    return lines


def whole_frame(state: ViewState, width: int) -> list[Text]:
    """The tree without folds, the lines below it and the settings; of a message its reply instead."""
    if state.tree.problem.is_chat:
        question = f"Q  {one_line(state.tree.problem.question)}"
        reply = [harmless(line) for line in solution_text(state).split("\n")]
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


def search_line(id_: str, state: ViewState, width: int, tick: int) -> Text:
    """A search among others, in columns: ``◐ gsm8k-0001    412 tokens  3 of up to 16 solutions``."""
    line = Text().append(SPIN[tick % len(SPIN)] + " ", MARK_STYLES["running"])
    line.append(pad(cut(one_line(id_), _ID_CELLS), _ID_CELLS) + "  ", STYLES["question"])
    tokens = plural(state.tokens, "token").rjust(_TOKEN_CELLS) + "  "
    facts = _fit_facts(progress_facts(state), width - _ID_CELLS - 4 - len(tokens))
    line.append(tokens + DOT.join(facts), STYLES["faint"])
    line.truncate(width)
    return line


def _question_line(state: ViewState, frame: Frame) -> Text:
    text = Text().append("Q  ", STYLES["faint"])
    question = one_line(readable(state.tree.problem.question))
    text.append(cut(question, max(0, frame.width - 3)), STYLES["question"])
    text.truncate(frame.width)
    return text


def _budget_line(state: ViewState, frame: Frame) -> Text:
    """A bar and the time that is left at most: an adaptive search usually stops earlier."""
    facts = [tokens_text(state), *rate_text(state)]
    share, left = _nearest_limit(state)
    if (fixed := fixed_tokens(state)) and fixed > state.tokens:
        facts.insert(1, f"about {fixed:,} for all {state.samples}")
        share = state.tokens / fixed if share is None else share
    if state.end:
        facts.append(duration(state.t))
    elif left is not None:
        gone = f"{clock(state.t)} gone, " if frame.width >= 100 else ""
        facts.append(f"{gone}at most {clock(left)} left")
    return fact_line("budget", facts, frame, share)


def _tree_line(state: ViewState, frame: Frame) -> Text:
    """Counts of the nodes, by state."""
    nodes = state.tree.nodes
    unused = state.unused
    cut_off = sum(node.status == "pruned" and node.id not in unused for node in nodes)
    writing = state.writing
    idle = sum(
        node.status == "open" and not state.tree.children(node.id) and node.id not in writing
        for node in nodes
    )
    open_ = "left open" if state.end else "waiting"
    counts = (
        (cut_off, "cut"),
        (len(unused), "unused"),
        (len(state.running), "being written"),
        (idle, open_),
    )
    facts = [steps_text(state), f"depth {max(node.depth for node in nodes)}"]
    return fact_line("tree", [*facts, *(f"{n:,} {word}" for n, word in counts if n)], frame)


def _best_line(state: ViewState, frame: Frame) -> Text:
    """The leading answer, its probability, and the other answers."""
    if state.answer is None:
        return fact_line("best", ["no answer yet"], frame)
    facts = [answer_text(state), *support(state), *_rivals(state)]
    line = fact_line("best", facts, frame)
    line.stylize(STYLES["answer"], 7, 7 + len(facts[0]))
    return line


def _stop_line(state: ViewState, frame: Frame) -> Text:
    """How many solutions there are, and what is enough."""
    standing, most = state.tree.standing, state.samples
    done = standing.finished if standing is not None else len(state.candidates)
    facts = [f"{done} of {plural(most, 'solution')}" if most else plural(done, "solution")]
    if (at := state.started.limits.stop_at) is not None:
        facts.append(
            f"stops when {percent(at)} sure" if state.started.calibrated else "stops when they agree"
        )
    return fact_line("done", facts, frame)


def _rivals(state: ViewState) -> list[str]:
    """``then 26 (2), 13 (1), 3 more``: other answers, and how many solutions have each."""
    groups = state.groups[1:]
    if not groups:
        return []
    named = [f"{answer_words(state, group.answer, 12)} ({len(group.nodes)})" for group in groups[:2]]
    more = [f"{len(groups) - 2} more"] if len(groups) > 2 else []
    return ["then " + ", ".join([*named, *more])]


def _nearest_limit(state: ViewState) -> tuple[float | None, float | None]:
    """Share in [0, 1] of the nearer limit that is used, and seconds until it is reached at most."""
    budget, shares, left = state.started.budget, list[float](), list[float]()
    if budget.max_tokens is not None:
        shares.append(state.tokens / max(1, budget.max_tokens))
        if state.rate > 0:
            left.append(max(0, budget.max_tokens - state.tokens) / state.rate)
    if budget.max_seconds is not None:
        shares.append(state.t / max(1e-9, budget.max_seconds))
        left.append(max(0.0, budget.max_seconds - state.t))
    return (max(shares) if shares else None, min(left) if left else None)


def fact_line(name: str, facts: Sequence[str], frame: Frame, share: float | None = None) -> Text:
    """A name and its facts; those that do not fit are left out whole, from the end.

    Args:
        name: Name of the line; an empty one takes no room.
        facts: Facts in the order of their worth.
        frame: Settings of the drawing.
        share: Share in [0, 1] that is done, for a bar before the facts; None draws no bar.
    """
    line = Text().append(f"{name:<7}" if name else "", STYLES["faint"])
    if share is not None:
        size = 30 if frame.width >= 100 else 16 if frame.width >= 60 else 8
        spent = min(size, int(share * size))
        line.append(SPENT * spent, STYLES["spent"])
        line.append(LEFT * (size - spent), STYLES["left"]).append("  ")
    room = max(0, frame.width - line.cell_len)
    line.append(cut(DOT.join(_fit_facts(facts, room)), room))
    line.truncate(frame.width)
    return line


def _fit_facts(facts: Sequence[str], room: int) -> Sequence[str]:
    """The first facts that fit side by side; one stays whatever its length."""
    while len(facts) > 1 and cells(DOT.join(facts)) > room:
        facts = facts[:-1]
    return facts
