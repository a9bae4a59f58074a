"""The end of a search on the streams: its solution on stdout, and below it how sure the answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..report.answer import answer_payload
from ..terminal.console import is_one_screen, stderr_console, write_lines, write_payload
from ..terminal.text import one_line
from ..terminal.theme import DOT, STYLES
from .solution import option_lines, solution_lines
from .state import ViewState
from .summary import answer_words, closing_lines

if TYPE_CHECKING:
    from adascale.models.fallback import FallbackAnswer


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
        if payload := answer_payload(state, extract):
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
