"""Evidence about a prefix or an answer, by name: token probabilities, position, hidden states, votes.

All of it is computed while the text is written; reading it evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..answers.choosing import FinishedSearch
from ..ports import Prefix
from ..types import Mode
from .posterior import Array, log_odds, logit, of_votes

States = NDArray[np.float32]

Stage = Literal["question", "step", "finished", "program question", "program", "task", "code"]


@dataclass(frozen=True, slots=True)
class StageInputs:
    """Names of the evidence that a stage has.

    Attributes:
        mode: Mode of its prefixes.
        numbers: Scalars. Counts are logarithms, log-probabilities and entropies are nats per token.
        states: Hidden states: the question's, the step's last and mean, and the mean over all steps.
    """

    mode: Mode
    numbers: tuple[str, ...]
    states: tuple[str, ...]


_STEPS = (
    "steps",
    "tokens",
    "step_tokens",
    "logprob",
    "min_logprob",
    "step_logprob",
    "step_min_logprob",
    "entropy",
    "step_entropy",
    "cut_off",
    "reward",
)

STAGES: Mapping[Stage, StageInputs] = {
    "question": StageInputs("prose", (), ("question",)),
    "step": StageInputs("prose", _STEPS, ("question", "last", "mean", "path")),
    "finished": StageInputs("prose", _STEPS, ("question", "last", "mean", "path")),
    "program question": StageInputs("program", (), ("question",)),
    "program": StageInputs("program", (*_STEPS, "whole", "number"), ("question", "last", "mean")),
    "task": StageInputs("code", (), ("question",)),
    "code": StageInputs("code", (*_STEPS, "passes", "passed"), ("question", "last", "mean")),
}
"""Evidence about each kind of prefix: questions, unfinished solutions in prose, and finished ones.

``whole`` and ``number`` are 1 where a program printed a whole number, or any number; ``passes`` is 1 where a
program passes a test.
"""

STAGES_OF: Mapping[Mode, tuple[Stage, ...]] = {
    mode: tuple(stage for stage, inputs in STAGES.items() if inputs.mode == mode)
    for mode in dict.fromkeys(inputs.mode for inputs in STAGES.values())
}
"""Stages of each mode, the question first and the finished solution last."""

QUESTION: Mapping[Mode, Stage] = {mode: stages[0] for mode, stages in STAGES_OF.items()}
FINISHED: Mapping[Mode, Stage] = {mode: stages[-1] for mode, stages in STAGES_OF.items()}

ANSWER_FEATURES = (
    "question",
    "share",
    "lead",
    "mean",
    "best",
    "samples",
    "groups",
    "posterior",
    "programs",
    "both modes",
)
"""Numbers that the answer of a finished search is judged by (``answer_observation``)."""

_WRONG_SUM = -2.5
"""Logits that a wrong sum costs, fitted: the states do not tell (.01 of such solutions are right)."""

_FAILED = -8.0
"""Logits of a program that gives no answer or fails a test: it is known to be wrong."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?(/\d+)?")


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Evidence about one prefix or one answer.

    Attributes:
        numbers: Scalars by name.
        states: ``[width]`` hidden states by name.
        offset: Logits that need no fitting: they are added to a model's own.
    """

    numbers: Mapping[str, float]
    states: Mapping[str, States] = field(default_factory=dict)
    offset: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """``n`` observations of one kind as arrays.

    Attributes:
        names: Names of the columns of ``numbers``.
        numbers: ``[n, len(names)]``.
        states: ``[n, width]`` by name.
        offset: ``[n]``, as ``Observation`` has it.
    """

    names: tuple[str, ...]
    numbers: Array
    states: Mapping[str, States]
    offset: Array

    @classmethod
    def stack(
        cls, observations: Sequence[Observation], names: Sequence[str], states: Sequence[str] = ()
    ) -> Evidence:
        """The named numbers and states of observations, which may have others."""
        rows = [[each.numbers[name] for name in names] for each in observations]
        return cls(
            tuple(names),
            np.array(rows, float).reshape(len(rows), len(names)),
            {name: np.array([each.states[name] for each in observations], np.float32) for name in states},
            np.array([each.offset for each in observations], float),
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def columns(self, names: Sequence[str]) -> Array:
        """``[n, len(names)]`` numbers in this order.

        Raises:
            KeyError: one of them is not known.
        """
        place = {name: at for at, name in enumerate(self.names)}
        return self.numbers[:, [place[name] for name in names]]


def observe(prefix: Prefix, reward: float, answer: str | None = None) -> Observation:
    """Evidence in the steps of a prefix, at least one, whose states were kept.

    Args:
        prefix: A solution in any mode, finished or not.
        reward: Its raw reward.
        answer: Output of a program that ran to its end.
    """
    known = [step.reading for step in prefix.steps if step.reading is not None]
    assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
    assert len(known) == len(prefix.steps), "the generator's states were not kept"
    last_step, last = prefix.steps[-1], known[-1]
    tokens = np.array([len(step.token_ids) for step in prefix.steps], float)
    total = tokens.sum()
    numbers = {
        "steps": np.log(len(tokens)),
        "tokens": np.log(total),
        "step_tokens": np.log(tokens[-1]),
        "logprob": np.array([step.logprob for step in prefix.steps]).sum() / total,
        "min_logprob": min(reading.min_logprob for reading in known),
        "step_logprob": last_step.logprob / tokens[-1],
        "step_min_logprob": last.min_logprob,
        "entropy": np.array([reading.entropy for reading in known]) @ tokens / total,
        "step_entropy": last.entropy,
        "cut_off": float(last_step.finish == "length"),
        "reward": float(logit(np.array(reward))),
    }
    offset = 0.0
    if prefix.mode == "prose":
        offset = _WRONG_SUM if any(step.wrong_sums for step in prefix.steps) else 0.0
    elif prefix.mode == "program":
        number = _NUMBER.fullmatch(answer or "")
        numbers["whole"] = float(number is not None and number[1] is None and number[2] is None)
        numbers["number"] = float(number is not None)
        offset = _FAILED if answer is None else 0.0
    else:
        passed = prefix.execution.passed if prefix.execution else 0
        numbers |= {"passes": float(passed > 0), "passed": float(np.log1p(passed))}
        offset = _FAILED if prefix.execution is None or prefix.execution.fails else 0.0
    share = (tokens / total).astype(np.float32)
    states = {
        "question": prefix.prompt.last,
        "last": last.last,
        "mean": last.mean,
        "path": share @ np.stack([reading.mean for reading in known]),
    }
    return Observation(numbers, states, offset)


def answer_observation(finished: FinishedSearch, spreads: Mapping[Mode, float]) -> Observation:
    """``ANSWER_FEATURES`` of a finished search's chosen answer; probabilities are logits, counts logarithms.

    The share is smoothed by half a vote, the lead is over the most frequent other answer.

    Args:
        finished: It has an answer.
        spreads: Concentration of the wrong answers of its modes.
    """
    by_node = {candidate.node: candidate for candidate in finished.candidates}
    chosen = [by_node[node] for node in finished.groups[0].nodes]
    medians, modes = np.array([c.estimate.median for c in chosen]), [c.mode for c in chosen]
    n, votes = len(finished.candidates), len(chosen)
    other = max((len(group.nodes) for group in finished.groups[1:]), default=0)
    priors = [estimate.median for estimate in finished.questions.values()] or [0.5]
    posterior = 0.5
    if finished.questions:
        # What lies above the estimate of the question speaks for an answer.
        asked = {mode: estimate.median for mode, estimate in finished.questions.items()}
        odds = {c.node: log_odds(c.estimate.median) - log_odds(asked[c.mode]) for c in finished.candidates}
        posterior = of_votes(finished, asked, odds, spreads)[0]
    logits = logit(np.array([priors[0], medians.mean(), medians.max(), posterior]))
    return Observation(
        {
            **dict(zip(("question", "mean", "best", "posterior"), logits, strict=True)),
            "share": float(logit(np.array((votes + 0.5) / (n + 1)))),
            "lead": (votes - other) / np.sqrt(n),
            "samples": np.log(n),
            "groups": np.log(len(finished.groups)),
            "programs": modes.count("program") / votes,
            "both modes": float(len(set(modes)) > 1),
        }
    )
