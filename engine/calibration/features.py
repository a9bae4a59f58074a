"""Evidence about a prefix or an answer, by name: token probabilities, position, hidden states, votes.

All of it is computed while the text is written; reading it evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..answers.choosing import FinishedSearch
from ..answers.program import executed_answer
from ..answers.sums import leaves_out
from ..ports import Prefix
from ..types import Mode
from .posterior import UNUSED, log_odds, logit, of_votes

States = NDArray[np.float32]

Stage = Literal["question", "step", "finished", "program question", "program", "task", "code", "answer"]
"""What is estimated; ``answer`` is the chosen one of a finished search."""

STAGES_OF: Mapping[Mode, tuple[Stage, ...]] = {
    "prose": ("question", "step", "finished"),
    "program": ("program question", "program"),
    "code": ("task", "code"),
}
"""Stages of each mode, the question first and the finished solution last; ``step`` is an unfinished one."""

QUESTION_STAGES: Mapping[Mode, Stage] = {mode: stages[0] for mode, stages in STAGES_OF.items()}
FINISHED: Mapping[Mode, Stage] = {mode: stages[-1] for mode, stages in STAGES_OF.items()}

_WRONG_SUM = -2.5
"""Fitted logits of a wrong sum, which the states do not show (.01 of such solutions are correct)."""

_FAILED = -8.0
"""Logits of a program that gives no answer or fails a test: it is known to be wrong."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?(/\d+)?")


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Evidence about one prefix or one answer.

    Attributes:
        numbers: Scalars by name. Counts are logarithms, log-probabilities and entropies are nats per token.
        states: ``[width]`` hidden states by name: the question's, the step's last and mean, and in prose the
            mean over all steps.
        offset: Logits that need no fitting: they are added to a model's own.
    """

    numbers: Mapping[str, float]
    states: Mapping[str, States] = field(default_factory=dict)
    offset: float = 0.0


def stage_of(prefix: Prefix) -> Stage:
    """The stage of a prefix with steps."""
    is_unfinished = prefix.mode == "prose" and prefix.steps[-1].finish == "step"
    return "step" if is_unfinished else FINISHED[prefix.mode]


def observe(prefix: Prefix, reward: float) -> Observation:
    """Evidence in the steps of a prefix, at least one, whose states were kept.

    Args:
        prefix: A solution in any mode, finished or not.
        reward: Its raw reward.

    Returns:
        For a program also ``whole`` and ``number``, 1 if it printed a whole number, or any number; for code
        ``passes``, 1 if it passes a test.
    """
    readings = [step.reading for step in prefix.steps if step.reading is not None]
    assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
    assert len(readings) == len(prefix.steps), "the generator's states were not kept"
    last_step, last = prefix.steps[-1], readings[-1]
    tokens = np.array([len(step.token_ids) for step in prefix.steps], float)
    total = tokens.sum()
    numbers = {
        "steps": np.log(len(tokens)),
        "tokens": np.log(total),
        "step_tokens": np.log(tokens[-1]),
        "logprob": np.array([step.logprob for step in prefix.steps]).sum() / total,
        "min_logprob": min(reading.min_logprob for reading in readings),
        "step_logprob": last_step.logprob / tokens[-1],
        "step_min_logprob": last.min_logprob,
        "entropy": np.array([reading.entropy for reading in readings]) @ tokens / total,
        "step_entropy": last.entropy,
        "cut_off": float(last_step.finish == "length"),
        "reward": float(logit(np.array(reward))),
    }
    states = {"question": prefix.prompt.last, "last": last.last, "mean": last.mean}
    offset = 0.0
    if prefix.mode == "prose":
        share = (tokens / total).astype(np.float32)
        states["path"] = share @ np.stack([reading.mean for reading in readings])
        offset = _WRONG_SUM if any(step.wrong_sums for step in prefix.steps) else 0.0
    elif prefix.mode == "program":
        answer = executed_answer(prefix.execution) if prefix.execution else None
        number = _NUMBER.fullmatch(answer or "")
        numbers["whole"] = float(number is not None and number[1] is None and number[2] is None)
        numbers["number"] = float(number is not None)
        offset = _FAILED if answer is None else 0.0
    else:
        passed = prefix.execution.passed if prefix.execution else 0
        numbers |= {"passes": float(passed > 0), "passed": float(np.log1p(passed))}
        offset = _FAILED if prefix.execution is None or prefix.execution.fails else 0.0
    if last_step.finish != "step" and leaves_out(prefix.problem, prefix.steps):
        offset -= UNUSED
    return Observation(numbers, states, offset)


def answer_observation(finished: FinishedSearch, spreads: Mapping[Mode, float]) -> Observation:
    """Numbers that a finished search's chosen answer is judged by; those of probabilities are logits.

    Counts are logarithms, the share is smoothed by half a vote, and the lead is over the most frequent other
    answer.

    Args:
        finished: It has an answer.
        spreads: Concentration of the wrong answers of its modes.
    """
    by_node = {candidate.node: candidate for candidate in finished.candidates}
    solutions = [by_node[node] for node in finished.groups[0].nodes]
    medians, modes = np.array([c.estimate.median for c in solutions]), [c.mode for c in solutions]
    n, votes = len(finished.candidates), len(solutions)
    other = max((len(group.nodes) for group in finished.groups[1:]), default=0)
    priors = {mode: estimate.median for mode, estimate in finished.questions.items()}
    posterior = 0.5
    # A program that computes nothing counts as prose, and the prompt of prose may be read later.
    if priors:
        # What lies above the estimate of the question speaks for an answer.
        odds = {c.node: log_odds(c.estimate.median) - log_odds(priors[c.mode]) for c in finished.candidates}
        posterior = of_votes(finished, priors, odds, spreads)[0]
    question = next(iter(priors.values()), 0.5)
    logits = (question, (votes + 0.5) / (n + 1), medians.mean(), medians.max(), posterior)
    question, share, mean, best, posterior = logit(np.array(logits)).tolist()
    return Observation(
        {
            "question": question,
            "share": share,
            "lead": (votes - other) / np.sqrt(n),
            "mean": mean,
            "best": best,
            "samples": np.log(n),
            "groups": np.log(len(finished.groups)),
            "posterior": posterior,
            "programs": modes.count("program") / votes,
            "both modes": float(len(set(modes)) > 1),
        }
    )
