"""Advice below a doubtful answer: it shows where solutions differ, and names ways to ask that may help."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adascale.engine.answers.choosing import AnswerGroup
from adascale.engine.kinds import KINDS
from adascale.engine.strategies import preset
from adascale.models.files.catalog import catalog

from ..terminal.text import DOT, cut, duration, last_line, nouns
from .state import ViewState
from .summary import answer_words

_NO_SUM = re.compile(r"\s*(?:print|if|for|while|return)\b")
"""Beginning of a line of a program that computes nothing."""

_WIDTH = 60
"""Cells of the line of a solution that is shown."""


def doubt_lines(state: ViewState) -> list[str]:
    """Lines below a doubtful answer: the two readings that differ, and what may lead to a surer answer."""
    is_contested = state.kind.is_computed and len(state.groups) > 1
    readings = [_reading(state, group) for group in state.groups[:2]] if is_contested else []
    return [*readings, DOT.join(_remedies(state))]


def _reading(state: ViewState, group: AnswerGroup) -> str:
    """An answer, and the last sum in the best of its solutions: ``26: owed = (174 + 48) / 3 - 48``."""
    node = state.tree[group.nodes[0]]
    text = state.tree.text(node.id)
    program = state.program(node, text)
    lines = (text if program is None else program.code).splitlines()
    sums = [line for line in lines if re.search(r"(?<![=<>!])=(?!=)", line) and not _NO_SUM.match(line)]
    return f"{answer_words(state, group.answer)}: {cut(last_line(chr(10).join(sums or lines)), _WIDTH)}"


def _remedies(state: ViewState) -> Iterator[str]:
    kind, done = state.tree.problem.kind, state.finished
    most = preset(kind, "high").at_most or 0
    is_whole = state.result is not None and state.result.stop_reason not in ("budget", "taken", "interrupted")
    if is_whole and state.samples is not None and done and most > state.samples:
        time = duration(state.t / done * (most - done))
        yield f"-e high: up to {most} {nouns(KINDS[kind].noun)}, {time} more at most"
    generator, known = state.started.models.generator, catalog()
    if generator is not None and generator.name in known:
        size = known[generator.name].parameters or 0
        models = ((each.parameters or 0, each.name) for each in known.values() if each.role == "generator")
        if larger := [each for each in models if each[0] > size]:
            yield f"-m {min(larger)[1]}: a larger model"
    yield "--fallback URL: another server"
