"""What is seen of a prefix, as numbers: how sure the generator was, where it stands, what its states held.

Everything here was computed while the text was written; reading it evaluates nothing (paper.md 6.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..ports import Prefix
from .logits import Array, logit

Stage = Literal["question", "step", "finished"]
STAGES: tuple[Stage, ...] = ("question", "step", "finished")

BLOCKS: dict[Stage, tuple[str, ...]] = {
    "question": ("question",),
    "step": ("question", "last", "mean", "path"),
    "finished": ("question", "last", "mean", "path"),
}
"""Hidden states that a stage looks at: the question's, the step's last and mean, the mean of all steps."""

SCALARS: dict[Stage, tuple[str, ...]] = {
    "question": (),
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
"""Numbers beside the states. Counts are logarithms, log-probabilities and entropies nats per token."""

_SLIP = -2.5
"""Logits that a wrong sum costs, fitted: the states do not know of it (docs/LOG.md)."""

States = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is seen of ``n`` prefixes of one stage.

    Attributes:
        scalars: ``[n, len(SCALARS[stage])]``.
        states: ``[n, width]`` for each of ``BLOCKS[stage]``.
        offset: ``[n]`` or one for all, logits that need no fitting: they are added to what a model says.
    """

    scalars: Array
    states: tuple[States, ...]
    offset: Array | float = 0.0

    def __len__(self) -> int:
        return len(self.scalars)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The steps of one prefix as arrays; at least one step.

    Attributes:
        question: ``[width]`` state behind the prompt.
        tokens, logprob, min_logprob, entropy: ``[steps]``.
        last, mean: ``[steps, width]``.
        cut_off: Whether the last step ran into a limit.
        slipped: Whether a step has a wrong sum.
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
    slipped: bool
    reward: float

    @classmethod
    def of(cls, prefix: Prefix, reward: float) -> Path | None:
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
            slipped=any(step.wrong_sums for step in prefix.steps),
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


def question_evidence(states: States) -> Evidence:
    """Of questions, from their ``[n, width]`` states."""
    return Evidence(np.empty((len(states), 0)), (states,))


def path_evidence(scalars: Array, states: States, slipped: NDArray[np.bool_]) -> Evidence:
    """Of prefixes that have steps.

    Args:
        scalars: ``[n, scalars]`` of their paths.
        states: ``[n, blocks, width]`` of them.
        slipped: ``[n]``, whether a step has a wrong sum.
    """
    return Evidence(scalars, tuple(states.transpose(1, 0, 2)), np.where(slipped, _SLIP, 0.0))
