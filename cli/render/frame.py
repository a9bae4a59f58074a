"""Whole pictures of a view: the live frame, the finished tree, the status line, one of several lines."""

from __future__ import annotations

from rich.text import Text

from ..terminal.text import cut, one_line, pad, plural
from ..terminal.theme import MARK_STYLES, STYLES, Glyphs
from .draw import Frame, draw_rows
from .footer import best_line, budget_line, fitting, rate_text, stop_line, tree_line
from .maths import readable
from .rows import tree_rows
from .state import ViewState
from .words import answer_text, score_text, spent

FULL_TREE = 60
"""Nodes of the largest tree that is left on the screen as a whole."""

FOLDED_ROWS = 30
"""Rows that a larger tree is folded to: the best path, and what lies beside it in a few words."""

HINT = "Ctrl-C: stop now and print the best answer."

AROUND = 8
"""Lines of a live frame that are not rows of the tree."""

_ID_CELLS = 16


def live_frame(state: ViewState, width: int, height: int, glyphs: Glyphs, tick: int = 0) -> list[Text]:
    """The running search in at most ``height`` lines."""
    frame = Frame(width, glyphs, state.calibrated, tick)
    rows = tree_rows(state, max(1, height - AROUND))
    lines = [_question(state, frame), *draw_rows(rows, frame), Text()]
    lines += [budget_line(state, frame), tree_line(state, frame)]
    lines += [best_line(state, frame), stop_line(state, frame)]
    lines.append(Text(cut(HINT, width, glyphs), STYLES["faint"]))
    # Where even the frame does not fit, the newest facts are at its end.
    return lines[max(0, len(lines) - height) :]


def final_frame(state: ViewState, width: int, glyphs: Glyphs, *, whole: bool = False) -> list[Text]:
    """The finished tree in full; a large one folded around its best path, unless it is wanted ``whole``."""
    frame = Frame(width, glyphs, state.calibrated)
    large = len(state.tree) > FULL_TREE and not whole
    rows = tree_rows(state, FOLDED_ROWS if large else None)
    lines = [_question(state, frame), *draw_rows(rows, frame), Text()]
    lines += [budget_line(state, frame), tree_line(state, frame)]
    if large:
        nodes = plural(len(state.tree), "node")
        note = f"Folded: {len(rows)} rows for {nodes}; adascale tree -o t.html has all."
        lines.append(Text(cut(note, width, glyphs), STYLES["faint"]))
    return lines


def status_line(state: ViewState, width: int, glyphs: Glyphs, tick: int = 0) -> Text:
    """``◐ 281 of 2,048 tokens · 8 nodes · best 27 p .93 · 31 tok/s``."""
    facts = [spent(state), plural(len(state.tree), "node")]
    if state.answer is not None:
        facts.append(f"best {answer_text(state, glyphs)} {score_text(state)}")
    line = Text().append(glyphs.spin[tick % len(glyphs.spin)] + " ", MARK_STYLES["running"])
    line.append(cut(glyphs.dot.join([*facts, *rate_text(state)]), max(0, width - 2), glyphs))
    line.truncate(width)
    return line


def waiting_line(message: str, width: int, glyphs: Glyphs, tick: int) -> Text:
    """What happens before the first search."""
    line = Text(no_wrap=True).append(glyphs.spin[tick % len(glyphs.spin)] + " ", MARK_STYLES["running"])
    return line.append(cut(one_line(message, glyphs), max(0, width - 2), glyphs))


def search_line(id_: str, state: ViewState, width: int, glyphs: Glyphs, tick: int) -> Text:
    """One of several searches: ``◐ gsm8k-0001      3 of 16 solutions · 18 p .73 · 412 tokens``."""
    done, most = len(state.account.candidates), state.account.at_most
    facts = [f"{done} of {plural(most, 'solution')}" if most else plural(done, "solution")]
    if state.answer is not None:
        facts.append(f"{answer_text(state, glyphs)} {score_text(state)}")
    facts.append(plural(state.tokens, "token"))
    line = Text().append(glyphs.spin[tick % len(glyphs.spin)] + " ", MARK_STYLES["running"])
    line.append(pad(cut(one_line(id_, glyphs), _ID_CELLS, glyphs), _ID_CELLS) + "  ", STYLES["question"])
    line.append(glyphs.dot.join(fitting(facts, width - _ID_CELLS - 4, glyphs)), STYLES["faint"])
    line.truncate(width)
    return line


def _question(state: ViewState, frame: Frame) -> Text:
    text = Text().append("Q  ", STYLES["faint"])
    question = one_line(readable(state.tree.problem.question), frame.glyphs)
    text.append(cut(question, max(0, frame.width - 3), frame.glyphs), STYLES["question"])
    text.truncate(frame.width)
    return text
