"""The end of a search on the streams: its answer on stdout, and the lines about it on stderr."""

from __future__ import annotations

import re

from rich.console import Group, RenderableType
from rich.text import Text

from adascale.engine.answer import Answer, FallbackAnswer
from adascale.engine.answers.choosing import AnswerGroup
from adascale.engine.types import NodeId

from ..report import answer_payload
from ..terminal.console import is_one_screen, stderr_console
from ..terminal.markdown import last_line
from ..terminal.streams import write_payload, write_screen
from ..terminal.text import DOT, cut, one_line
from .picture import option_bars, solution
from .state import ViewState
from .summary import answer_words, closing_lines, is_unsure

_REMEDIES = "surer perhaps: -e high, a larger model (adascale list, -m NAME), another server (--fallback URL)"

_ASSIGNMENT = re.compile(r"(?m)^.*[^=<>!\n]=[^=\n].*$")
"""A line with a sum, or one of a program that computes something."""

_READING_CELLS = 60


def write_answer(state: ViewState, *, says_end: bool = True, verbose: int = 0) -> None:
    """Write the answer to stdout, with ``verbose`` below its solution.

    On a terminal the line of ``say_end`` has the answer, and stdout gets only the solution: with
    ``verbose``, or if there is no answer.

    Args:
        state: A search.
        says_end: ``say_end`` follows.
        verbose: With 1 the solution is written too.
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
        blocks = [solution(state, best), Text()]
    blocks += [option_bars(state), Text()] if len(state.options) > 2 else []
    if blocks:
        write_screen(Group(*(blocks[:-1] if kind.is_reply else blocks)))


def say_handed_on(state: ViewState, answer: FallbackAnswer) -> None:
    """Write the line about the answer of another server to stderr; ``say_end`` adds our own below it."""
    source = f"by {answer.model or 'the model'} at {answer.server}, since our own was not sure enough:"
    line = Text(answer_words(state, answer.answer), "answer")
    stderr_console().print(line.append(DOT + one_line(source), "none"))


def say_end(state: ViewState, verbose: int = 0, *, advises: bool = False) -> None:
    """Write the line about the answer of a search that has ended to stderr, with ``verbose`` more of them.

    If it ``advises``, lines below a doubtful answer list two readings and ways to a surer answer.
    """
    if state.result is None:
        return
    lines = closing_lines(state, verbose)
    if advises and state.answer is not None and is_unsure(state):
        lines += [Text(f"  {one_line(text)}", "faint") for text in doubt_lines(state)]
    for line in lines:
        stderr_console().print(line)


def doubt_lines(state: ViewState) -> list[str]:
    """Lines below a doubtful answer: the two readings that differ, and ways to a surer answer."""
    is_contested = state.kind.is_computed and len(state.groups) > 1
    return [*(_reading(state, group) for group in state.groups[:2] if is_contested), _REMEDIES]


def _reading(state: ViewState, group: AnswerGroup) -> str:
    """An answer, and the last sum in the best of its solutions: ``26: owed = (174 + 48) / 3 - 48``."""
    node = state.tree[group.nodes[0]]
    text = state.tree.text(node.id)
    program = state.program(node, text)
    text = text if program is None else program.code
    lines: list[str] = _ASSIGNMENT.findall(text)
    return (
        f"{answer_words(state, group.answer)}: {cut(last_line(lines[-1] if lines else text), _READING_CELLS)}"
    )
