"""Advice below a doubtful answer: it shows where solutions differ, and names ways to ask that may help."""

from __future__ import annotations

import re

from adascale.engine.answers.choosing import AnswerGroup

from ..terminal.text import cut, last_line
from .state import ViewState
from .summary import answer_words

_NO_SUM = re.compile(r"\s*(?:print|if|for|while|return)\b")
"""Beginning of a line of a program that computes nothing."""

_REMEDIES = "surer perhaps: -e high, a larger model (adascale list, -m NAME), another server (--fallback URL)"

_WIDTH = 60
"""Cells of the line of a solution that is shown."""


def doubt_lines(state: ViewState) -> list[str]:
    """Lines below a doubtful answer: the two readings that differ, and what may lead to a surer answer."""
    is_contested = state.kind.is_computed and len(state.groups) > 1
    readings = [_reading(state, group) for group in state.groups[:2]] if is_contested else []
    return [*readings, _REMEDIES]


def _reading(state: ViewState, group: AnswerGroup) -> str:
    """An answer, and the last sum in the best of its solutions: ``26: owed = (174 + 48) / 3 - 48``."""
    node = state.tree[group.nodes[0]]
    text = state.tree.text(node.id)
    program = state.program(node, text)
    lines = (text if program is None else program.code).splitlines()
    sums = [line for line in lines if re.search(r"(?<![=<>!])=(?!=)", line) and not _NO_SUM.match(line)]
    return f"{answer_words(state, group.answer)}: {cut(last_line(chr(10).join(sums or lines)), _WIDTH)}"
