"""The seams: what the driver needs from a generator, a reward model, a calibration and a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .types import BranchId, Estimate, Problem, Step, Until

Clock = Callable[[], float]
"""Seconds on a monotonic clock."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where a branch starts: the question and the steps so far."""

    problem: Problem
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Prefix tokens that had to be evaluated, and those that were reused."""

    evaluated_tokens: int = 0
    reused_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Growth:
    """What one decode batch did to one running branch.

    Attributes:
        branch: The branch.
        new_tokens: Tokens sampled for it in this batch.
        text: Text of the unfinished step.
        step: The step that this batch completed, if any. After a step with finish ``step`` a branch that
            runs until its answer goes on by itself; every other step ends the branch.
        prefix: Prefix work that this batch did for the branch.
    """

    branch: BranchId
    new_tokens: int
    text: str
    step: Step | None = None
    prefix: Evaluated = Evaluated()


class Policy(Protocol):
    """The generator: samples steps for many branches at once, one decode batch per ``advance``."""

    @property
    def flops_per_token(self) -> float:
        """About 2 x parameters."""

    @property
    def slots(self) -> int:
        """Branches that can run at the same time."""

    def open(self, problem: Problem) -> Evaluated:
        """Evaluate the prompt, once; a ContextOverflowError if it does not fit."""

    def start(self, branch: BranchId, prefix: Prefix, seed: int, until: Until, greedy: bool) -> None:
        """Begin a branch below ``prefix``; the caller keeps at most ``slots`` running."""

    def advance(self) -> Sequence[Growth]:
        """Evaluate one batch and sample one token for every running branch."""

    def cancel(self, branch: BranchId) -> Step | None:
        """End a branch now and return its unfinished step, None if it has no token yet."""

    def close_problem(self, problem: Problem) -> None:
        """Free what is kept for a problem."""


@dataclass(frozen=True, slots=True)
class Score:
    """Raw reward of a prefix and the tokens that were evaluated to get it."""

    reward: float
    prm_tokens: int = 0


class RewardModel(Protocol):
    """A process reward model: reads a question and its steps, returns one raw reward per prefix."""

    @property
    def flops_per_token(self) -> float:
        """About 2 x parameters; 0 where nothing is evaluated."""

    def score(self, prefixes: Sequence[Prefix]) -> Sequence[Score]:
        """Score prefixes that end in a new step; only the new step's tokens are evaluated."""

    def close_problem(self, problem: Problem) -> None:
        """Free what is kept for a problem."""


class Calibrator(Protocol):
    """Maps a raw reward to an estimate."""

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for one scored prefix."""
