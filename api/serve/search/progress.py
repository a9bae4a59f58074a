"""A running search as lines of text, which clients show as the model's reasoning."""

from __future__ import annotations

from adascale.engine.answers.latex import readable
from adascale.engine.search.events import AnswersJudged, Event, StepScored
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node
from adascale.engine.types import Estimate

_WIDTH = 300
"""Characters of a step in its line."""


def progress_line(record: Record, event: Event) -> str:
    """The line for an event that ``record`` has taken; empty for most of them.

    A finished step or program has one, and so has each change of the votes. A trajectory that is judged again
    as others end has none.
    """
    match event:
        case StepScored() if all(candidate.node != event.node for candidate in record.candidates):
            node = record.tree[event.node]
            return f"{record.tree.label(node.id)} {_said(node)} [{_estimate(event.estimate)}]\n"
        case AnswersJudged() if event.standing.answer is not None and event.standing.confidence is not None:
            standing = event.standing
            votes = f"{standing.votes} of {standing.finished}"
            leads = f"= {readable(standing.answer or '')}: {votes}"
            return f"{leads} [{_estimate(event.standing.confidence)}]\n"
        case _:
            return ""


def _said(node: Node) -> str:
    """A step, or what a program printed, in one line."""
    assert node.step is not None, "only the root has no step"
    text = node.step.text
    if node.execution is not None:
        text = f"program: {node.execution.error.strip().rpartition(chr(10))[2] or node.execution.output}"
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.median:.0%}" if estimate.calibrated else f"score {estimate.median:.2f}"
