"""Formats of training data: the columns of each, the function that writes its rows, and the table of both.

Columns that a trainer does not know (``probabilities``, ``p_chosen``, ``mode``, ``model``) carry what else a
search knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypedDict

from adascale.engine.kinds import kind_of
from adascale.engine.types import MODES, Mode

from .sampled import SampledNode, SampledQuestion

FormatName = Literal["trl-prm", "trl-preference"]

MIN_GAP = 0.3
"""Minimum difference between the probabilities of a pair: that of two good solutions is noise."""

_NO_PROBABILITY = "steps without a probability"
_NO_PAIR = "questions whose solutions do not differ enough"
_FOLLOWS = "questions after a conversation, which the format has no column for"


class Message(TypedDict):
    """A turn of a conversation; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


class StepwiseRow(TypedDict):
    """TRL stepwise supervision: the steps of a solution, each with P(correct) and a label.

    ``labels`` are true where ``probabilities``, in [0, 1], are at least one half.
    """

    prompt: str
    completions: list[str]
    labels: list[bool]
    probabilities: list[float]
    mode: Mode
    model: str


class PreferenceRow(TypedDict):
    """TRL preference: two solutions; ``p_chosen`` and ``p_rejected`` are P(correct)."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    p_chosen: float
    p_rejected: float
    mode: Mode
    model: str


Row = StepwiseRow | PreferenceRow


def write_stepwise(question: SampledQuestion) -> Iterator[StepwiseRow | str]:
    """Yield a row for every leaf, up to the first step without a probability, and reasons of omissions."""
    if question.problem.history:
        yield _FOLLOWS
        return
    for leaf in question.leaves():
        nodes, probabilities = list[SampledNode](), list[float]()
        for row in question.path(leaf):
            node = question.nodes[row]
            if node.probability is None:
                yield _NO_PROBABILITY
                break
            nodes.append(node)
            probabilities.append(node.probability)
        if nodes:
            yield {
                "prompt": _statement(question),
                "completions": [node.text.rstrip() for node in nodes],
                "labels": [p >= 0.5 for p in probabilities],
                "probabilities": probabilities,
                "mode": nodes[-1].mode,
                "model": question.model,
            }


def write_preferences(question: SampledQuestion) -> Iterator[PreferenceRow | str]:
    """Yield pairs of solutions in one mode, and reasons of omissions; a solution is in one pair at most.

    The likeliest is paired with the least likely, then inwards, while they are ``MIN_GAP`` apart.
    """
    pairs = [pair for mode in MODES for pair in _pairs(question, mode)]
    for (better, p_better), (worse, p_worse) in pairs:
        yield {
            "prompt": _prompt(question),
            "chosen": [{"role": "assistant", "content": question.text(better)}],
            "rejected": [{"role": "assistant", "content": question.text(worse)}],
            "p_chosen": p_better,
            "p_rejected": p_worse,
            "mode": question.nodes[better].mode,
            "model": question.model,
        }
    if not pairs:
        yield _NO_PAIR


FORMATS: Mapping[FormatName, Callable[[SampledQuestion], Iterator[Row | str]]] = {
    "trl-prm": write_stepwise,
    "trl-preference": write_preferences,
}


def _statement(question: SampledQuestion) -> str:
    """The question as the generator has read it."""
    return kind_of(question.problem).statement(question.problem)


def _prompt(question: SampledQuestion) -> list[Message]:
    """The conversation up to the question."""
    history: list[Message] = [
        {"role": turn.role, "content": turn.content} for turn in question.problem.history
    ]
    return [*history, {"role": "user", "content": _statement(question)}]


_Rated = tuple[int, float]
"""Row of a solution's end, and P(correct)."""


def _pairs(question: SampledQuestion, mode: Mode) -> Iterator[tuple[_Rated, _Rated]]:
    """The likeliest solution with the least likely, then inwards."""
    rated = [
        (row, node.probability)
        for row, node in enumerate(question.nodes)
        if node.ended and node.mode == mode and node.probability is not None
    ]
    rated.sort(key=lambda each: -each[1])
    for better, worse in zip(rated[: len(rated) // 2], rated[::-1], strict=False):
        if better[1] - worse[1] >= MIN_GAP and question.text(better[0]) != question.text(worse[0]):
            yield better, worse
