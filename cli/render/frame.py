"""Pictures of a whole tree: while it grows, and at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from adascale.engine.answers.latex import readable
from adascale.engine.search.account import fixed_tokens

from ..report.answer import solution_text
from ..terminal.text import cut, fitting, harmless, one_line
from ..terminal.theme import STYLES
from .lines import draw_rows
from .places import standing_lines
from .rows import Row, tree_rows
from .state import ViewState
from .summary import closing_lines, rate_text, steps_text, tokens_text

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
