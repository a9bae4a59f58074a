"""What the writer of a format gets, and what it yields in the place of a row that cannot be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import UsageError, setting
from ..types import Problem
from .rows import Message
from .sampled import SampledQuestion

PairKind = Literal["steps", "solutions"]
"""What a preference compares: continuations of one prefix by a step, or whole solutions."""

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Labelling:
    """How probabilities become labels.

    Attributes:
        threshold: Least probability of a step or a solution that is labelled right, in [0, 1].
        min_gap: Least difference of probabilities between chosen and rejected, in (0, 1].
        pairs: What is compared.
    """

    threshold: float = 0.5
    min_gap: float = 0.3
    pairs: PairKind = "steps"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: a number is outside of its range.
        """
        if not 0 <= self.threshold <= 1:
            raise _out_of_range("threshold", self.threshold, "a probability, from 0 to 1", 0.5)
        if not 0 < self.min_gap <= 1:
            raise _out_of_range("min_gap", self.min_gap, "above 0 and at most 1", 0.3)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A question to write: how its probabilities become labels, and the split that it belongs to."""

    question: SampledQuestion
    labelling: Labelling
    split: Split

    def is_positive(self, probability: float) -> bool:
        """Whether a probability is labelled right."""
        return probability >= self.labelling.threshold


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that is not in a dataset, with the reason as a phrase: ``questions without an answer``."""

    reason: str


NO_ANSWER = Omission("questions without a known answer")
NO_PROBABILITY = Omission("steps or solutions without a probability")


def prompt_of(problem: Problem) -> list[Message]:
    """The conversation up to the question."""
    history: list[Message] = [{"role": turn.role, "content": turn.content} for turn in problem.history]
    return [*history, {"role": "user", "content": problem.statement}]


def assistant_turn(text: str) -> list[Message]:
    """One turn of the assistant."""
    return [{"role": "assistant", "content": text}]


def _out_of_range(name: str, value: float, allowed: str, usual: float) -> UsageError:
    return UsageError(f"{setting(name, value)} is out of range: it is {allowed}", hint=setting(name, usual))
