"""Evidence about a prefix, as numbers: token probabilities, position, hidden states of the generator.

All of it was computed while the text was written; reading it evaluates nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..answers.lookahead import ModeState, Support, log_odds, posterior
from ..answers.votes import odds_over_question, supports
from ..ports import Prefix
from ..types import PROFILES, Estimate, FinishedSearch, Mode, ModeProfile
from .model_size import UNKNOWN

Array = NDArray[np.float64]
States = NDArray[np.float32]

Stage = Literal["question", "step", "finished", "program question", "program", "task", "code"]
STAGES_OF: Mapping[Mode, tuple[Stage, ...]] = {
    "prose": ("question", "step", "finished"),
    "program": ("program question", "program"),
    "code": ("task", "code"),
}
"""What has an estimate: a question in the prompt of each mode, an unfinished and a finished solution."""

QUESTION: Mapping[Mode, Stage] = {mode: stages[0] for mode, stages in STAGES_OF.items()}
FINISHED: Mapping[Mode, Stage] = {mode: stages[-1] for mode, stages in STAGES_OF.items()}

BLOCKS: dict[Stage, tuple[str, ...]] = {
    "question": ("question",),
    "step": ("question", "last", "mean", "path"),
    "finished": ("question", "last", "mean", "path"),
    "program question": ("question",),
    "program": ("question", "last", "mean"),
    "task": ("question",),
    "code": ("question", "last", "mean"),
}
"""Hidden states that a stage reads: the question's, the step's last and mean, the mean of all steps."""

SCALARS: dict[Stage, tuple[str, ...]] = {
    "question": (),
    "program question": (),
    "task": (),
    "step": (
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
    ),
}
SCALARS["finished"] = SCALARS["step"]
SCALARS["program"] = (*SCALARS["step"], "whole", "number")
SCALARS["code"] = (*SCALARS["step"], "passes", "passed")
"""Numbers beside the states. Counts are logarithms, log-probabilities and entropies nats per token.

A program's are whether it printed a whole number, and whether any number; of a code task whether it passes a
test, and how many it passes.
"""

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
"""Numbers that the answer of a finished search is judged by."""

VOTE_FEATURES = ("share", "lead", "samples", "groups", "programs", "both modes", "odds")
"""Those of them that say nothing of how often a model is right, and how far the chosen answer's own estimates
lie above the question's: they hold for a model that was never fitted."""

_WRONG_SUM = -2.5
"""Logits that a wrong sum costs, fitted: the states do not tell (docs/LOG.md)."""

_FAILED = -8.0
"""Logits of a program without an answer, or that fails a test: it is known to be wrong."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?(/\d+)?")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Evidence about ``n`` prefixes of one stage.

    Attributes:
        scalars: ``[n, len(SCALARS[stage])]``.
        states: ``[n, width]`` for each of ``BLOCKS[stage]``.
        offset: ``[n]`` or one for all, logits that need no fitting: they are added to a model's own.
        most: ``[n]`` or one for all, logits that no estimate exceeds.
    """

    scalars: Array
    states: tuple[States, ...]
    offset: Array | float = 0.0
    most: Array | float = np.inf

    def __len__(self) -> int:
        return len(self.scalars)

    def shifted(self, logits: Array | float) -> Evidence:
        """The same with so many more of them, ``[n]`` or one for all."""
        return replace(self, offset=self.offset + logits)


@dataclass(frozen=True, slots=True, eq=False)
class StepArrays:
    """The steps on the way to one prefix as arrays; at least one step.

    Attributes:
        question: ``[width]`` state behind the prompt.
        tokens, logprob, min_logprob, entropy: ``[steps]``.
        last, mean: ``[steps, width]``.
        cut_off: Whether the last step ran into a limit.
        wrong_sum: Whether a step has a wrong sum.
        reward: Raw reward of the prefix.
    """

    question: States
    tokens: Array
    logprob: Array
    min_logprob: Array
    entropy: Array
    last: States
    mean: States
    cut_off: bool
    wrong_sum: bool
    reward: float

    @classmethod
    def of(cls, prefix: Prefix, reward: float) -> StepArrays | None:
        """From a live prefix; None where the generator's states were not kept."""
        readings = [step.reading for step in prefix.steps]
        known = [reading for reading in readings if reading is not None]
        if prefix.prompt is None or not known or len(known) < len(readings):
            return None
        return cls(
            question=prefix.prompt.last,
            tokens=np.array([len(step.token_ids) for step in prefix.steps], float),
            logprob=np.array([step.logprob for step in prefix.steps]),
            min_logprob=np.array([reading.min_logprob for reading in known]),
            entropy=np.array([reading.entropy for reading in known]),
            last=np.stack([reading.last for reading in known]),
            mean=np.stack([reading.mean for reading in known]),
            cut_off=prefix.steps[-1].finish == "length",
            wrong_sum=any(step.wrong_sums for step in prefix.steps),
            reward=reward,
        )

    def scalars(self) -> Array:
        """``[len(SCALARS["step"])]``."""
        total = self.tokens.sum()
        return np.array(
            [
                np.log(len(self.tokens)),
                np.log(total),
                np.log(self.tokens[-1]),
                self.logprob.sum() / total,
                self.min_logprob.min(),
                self.logprob[-1] / self.tokens[-1],
                self.min_logprob[-1],
                self.entropy @ self.tokens / total,
                self.entropy[-1],
                float(self.cut_off),
                float(logit(np.array(self.reward))),
            ]
        )

    def states(self) -> States:
        """``[len(BLOCKS["step"]), width]``."""
        share = (self.tokens / self.tokens.sum()).astype(np.float32)
        return np.stack([self.question, self.last[-1], self.mean[-1], share @ self.mean])

    def program_scalars(self, answer: str | None) -> Array:
        """``[len(SCALARS["program"])]`` of a program that printed this answer."""
        number = _NUMBER.fullmatch(answer or "")
        is_whole = number is not None and number[1] is None and number[2] is None
        return np.array([*self.scalars(), float(is_whole), float(number is not None)])

    def code_scalars(self, passed: int) -> Array:
        """``[len(SCALARS["code"])]`` of the program of a code task that passes so many tests."""
        return np.array([*self.scalars(), float(passed > 0), np.log1p(passed)])

    def program_states(self) -> States:
        """``[len(BLOCKS["program"]), width]``, of a code task's too: it is a single step."""
        return self.states()[: len(BLOCKS["program"])]


def question_evidence(states: States) -> Evidence:
    """Of questions, from their ``[n, width]`` states."""
    return Evidence(np.empty((len(states), 0)), (states,))


def path_evidence(scalars: Array, states: States, wrong_sum: NDArray[np.bool_]) -> Evidence:
    """Of prefixes that have steps.

    Args:
        scalars: ``[n, scalars]`` of their paths.
        states: ``[n, blocks, width]`` of them.
        wrong_sum: ``[n]``, whether a step has a wrong sum.
    """
    return Evidence(scalars, tuple(states.transpose(1, 0, 2)), np.where(wrong_sum, _WRONG_SUM, 0.0))


def program_evidence(scalars: Array, states: States, failed: NDArray[np.bool_]) -> Evidence:
    """Of whole programs.

    Args:
        scalars: ``[n, scalars]`` of them.
        states: ``[n, blocks, width]`` of them.
        failed: ``[n]``, whether it has no answer, or fails a test.
    """
    return Evidence(scalars, tuple(states.transpose(1, 0, 2)), np.where(failed, _FAILED, 0.0))


def answer_evidence(
    searches: Sequence[FinishedSearch], profiles: Mapping[Mode, ModeProfile], features: int
) -> Evidence:
    """Of finished searches: shares are smoothed by half a vote, probabilities are logits.

    Args:
        searches: Each has an answer.
        profiles: Of the modes.
        features: How many of ``ANSWER_FEATURES``: calibrations of old read the first ones.
    """
    rows = np.array([_answer_features(finished, profiles) for finished in searches])
    return Evidence(rows.reshape(-1, len(ANSWER_FEATURES))[:, :features], ())


def without_prior(finished: FinishedSearch, prior: float) -> FinishedSearch:
    """A search whose estimates are those of a model of unknown size.

    What lies between two estimates is read of these: near 0 and 1 log-odds are cut off, and a prior would
    move one of the two into the cut and not the other.

    Args:
        finished: With estimates that begin from ``prior``.
        prior: How often a model of its size is right.
    """
    if prior == UNKNOWN:
        return finished

    def even(estimate: Estimate) -> Estimate:
        found = logit(np.array([estimate.lower, estimate.median, estimate.upper])) - log_odds(prior)
        return Estimate.of_quantiles(sigmoid(found))

    questions = {mode: even(estimate) for mode, estimate in finished.questions.items()}
    candidates = tuple(replace(each, estimate=even(each.estimate)) for each in finished.candidates)
    return replace(finished, questions=questions, candidates=candidates)


def vote_evidence(searches: Sequence[FinishedSearch], prior: float = UNKNOWN) -> Evidence:
    """Of finished searches, each of which has an answer: ``VOTE_FEATURES``.

    Args:
        searches: Of one generator.
        prior: How often one of its size is right, which their estimates begin from. It counts until another
            solution has an answer. One without a second vote is no likelier than its solution is alone.
    """
    rows = np.array([_vote_features(without_prior(finished, prior)) for finished in searches])
    answered = np.array([sum(c.answer is not None for c in finished.candidates) for finished in searches])
    most = np.array([_most(finished) for finished in searches], float)
    offset = np.where(answered == 1, log_odds(prior), 0.0)
    return Evidence(rows.reshape(-1, len(VOTE_FEATURES)), (), offset, most)


def _most(finished: FinishedSearch) -> float:
    """Logit of the chosen answer's solution where it is the only one that has it; else no bound."""
    node, *others = finished.groups[0].nodes
    [own] = [c.estimate.median for c in finished.candidates if c.node == node]
    return np.inf if others else float(logit(np.array(own)))


def _vote_features(finished: FinishedSearch) -> Array:
    """``[len(VOTE_FEATURES)]``."""
    known = dict(zip(ANSWER_FEATURES, _answer_features(finished, PROFILES), strict=True))
    known["odds"] = _supports(finished)[0].odds if finished.questions else 0.0
    return np.array([known[name] for name in VOTE_FEATURES])


def _answer_features(finished: FinishedSearch, profiles: Mapping[Mode, ModeProfile]) -> Array:
    """``[len(ANSWER_FEATURES)]``."""
    n, chosen = len(finished.candidates), finished.groups[0]
    medians = {c.node: c.estimate.median for c in finished.candidates}
    members = np.array([medians[node] for node in chosen.nodes])
    votes = len(chosen.nodes)
    other = max((len(group.nodes) for group in finished.groups[1:]), default=0)
    modes = [c.mode for c in finished.candidates if c.node in chosen.nodes]
    priors = [estimate.median for estimate in finished.questions.values()] or [0.5]
    by_votes = _posterior(finished, profiles)
    chances = np.array([priors[0], (votes + 0.5) / (n + 1), members.mean(), members.max(), by_votes])
    question, share, mean, best, likely = logit(chances)
    lead = (votes - other) / np.sqrt(n)
    programs = modes.count("program") / votes
    numbers = [question, share, lead, mean, best, np.log(n), np.log(len(finished.groups)), likely]
    return np.array([*numbers, programs, float(len(set(modes)) > 1)])


def _posterior(finished: FinishedSearch, profiles: Mapping[Mode, ModeProfile]) -> float:
    """P(the chosen answer is right) by the votes of each mode, as the lookahead has it."""
    if not finished.questions:
        return 0.5
    counts = Counter(c.mode for c in finished.candidates)
    states = {
        mode: ModeState(estimate, counts[mode], profiles[mode].spread)
        for mode, estimate in finished.questions.items()
    }
    return posterior(states, _supports(finished))[0]


def _supports(finished: FinishedSearch) -> list[Support]:
    """What answers have behind them, their estimates compared with those of the question."""
    return supports(finished, odds_over_question(finished))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))`` without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def logit(p: Array) -> Array:
    """The inverse of ``sigmoid``; p is kept 1e-6 away from 0 and 1."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)
