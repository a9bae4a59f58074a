"""The interfaces of the driver to a generator, a reward model, an executor and a clock.

``SequenceLogprob`` is the reward model of a search without one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .answers.choosing import FieldEstimate
from .errors import AdascaleError
from .kinds import OptionsPrompt
from .types import (
    AS_USUAL,
    BranchId,
    Estimate,
    Execution,
    Mode,
    NodeId,
    Problem,
    Reading,
    SamplingChange,
    Step,
    Trial,
    Until,
)

Clock = Callable[[], float]
"""Seconds on a monotonic clock."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The question and the steps so far.

    Attributes:
        prompt: Reading of the question in this mode's prompt, or None.
        mode: How it reasons.
        execution: Result of running it, if it is a whole program.
    """

    problem: Problem
    steps: tuple[Step, ...] = ()
    prompt: Reading | None = None
    mode: Mode = "prose"
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class BranchStart:
    """A branch that a policy is to run.

    Attributes:
        prefix: Where it starts, and its mode.
        seed: 32-bit seed of its random numbers.
        until: How far it runs.
        greedy: Take the most likely token instead of sampling.
        sampling: Sampler settings of its question.
        max_tokens: Tokens of it, its thoughts left out, if that is less than the sampler allows.
    """

    prefix: Prefix
    seed: int
    until: Until = "answer"
    greedy: bool = False
    sampling: SamplingChange = AS_USUAL
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class PrefixWork:
    """Number of prefix tokens evaluated and reused, and the reading of the prompt."""

    evaluated_tokens: int = 0
    reused_tokens: int = 0
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class OptionLogits:
    """The logits of options, read without writing a reply.

    Attributes:
        log_probs: Log-probability of each option among them, in nats, by its place.
        evaluated_tokens: Tokens of the prompt that had to be evaluated.
        reused_tokens: The others.
    """

    log_probs: tuple[float, ...]
    evaluated_tokens: int = 0
    reused_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Growth:
    """Effect of one decode batch on one running branch.

    Attributes:
        branch: The branch.
        new_tokens: Tokens of this batch: sampled ones, and forced ones that close a thought or begin a call.
        step: The step that it is writing, as far as it is written; its ``finish`` is None while it goes on.
            After a step with finish ``step`` a branch that runs until its answer goes on by itself; every
            other finish ends the branch.
        prefix: Prefix work that this batch did for the branch.
        seconds: The branch's share of the batch's time, if the policy measures it; otherwise None.
        thinks: True if the unfinished step is a thought, or may still become the tag that opens one.
        begins_again: True if the branch begins again and its text is lost.
        error: Error that ends the branch and its search.
    """

    branch: BranchId
    new_tokens: int
    step: Step
    prefix: PrefixWork = PrefixWork()
    seconds: float | None = None
    thinks: bool = False
    begins_again: bool = False
    error: AdascaleError | None = None


class Policy(Protocol):
    """The generator: samples steps for many branches at once, one decode batch per ``advance``."""

    @property
    def flops_per_token(self) -> float:
        """About 2 x parameters that a token is multiplied by."""

    @property
    def slots(self) -> int:
        """Branches that can run at the same time."""

    def open(self, problem: Problem, mode: Mode) -> PrefixWork:
        """Evaluate the prompt of a mode, once; a ContextOverflowError if it does not fit."""

    def option_logits(self, prompt: OptionsPrompt, problem: Problem) -> OptionLogits:
        """Evaluate a prompt and read the options from the logits of the reply's first token.

        Args:
            prompt: The prompt, and the words that stand for the options.
            problem: The question, with the conversation before it.

        Raises:
            ContextOverflowError: it does not fit.
        """

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a branch; the caller keeps at most ``slots`` running."""

    def advance(self) -> Sequence[Growth]:
        """Sample one token for branches whose next distribution is known, else evaluate a batch for all."""

    def cancel(self, id_: BranchId) -> None:
        """End a branch now."""

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
        """About 2 x parameters that a token is multiplied by; 0 if nothing is evaluated."""

    def score(self, prefixes: Sequence[Prefix]) -> Sequence[Score]:
        """Score prefixes that end in a new step; only the new step's tokens are evaluated.

        Raises:
            ContextOverflowError: one of them is too long.
            ModelError: one of them cannot be read at all.
        """

    def close_problem(self, problem: Problem) -> None:
        """Free what is kept for a problem."""


@dataclass(frozen=True, slots=True)
class AnswerEstimates:
    """Estimates for the current state of a search.

    Attributes:
        confidence: Estimate for the chosen answer; None for the estimate of its best solution.
        revised: New estimates of finished solutions, in the light of the others of their question; those
            left out keep the one that they had alone.
        options: Probability of each option, by its logits and what solutions did.
        called: P(a call is correct), if it was read.
        fields: Fields of the answer of each solution, if answers are JSON.
    """

    confidence: Estimate | None
    revised: Mapping[NodeId, Estimate] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)
    called: float | None = None
    fields: Mapping[NodeId, Mapping[str, FieldEstimate]] = field(default_factory=dict)


class Executor(Protocol):
    """Runs programs while the generator goes on."""

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Run a program, or have tests judge it, as soon as there is room; never waits.

        Raises:
            AdascaleError: nothing on this machine may run it.
        """

    def cancel(self, ticket: int) -> None:
        """Forget a program that was not collected; it is not begun any more."""

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """Executions that have ended since the last call; ``block`` waits a moment for one."""


class SequenceLogprob:
    """Rewards a prefix by the geometric mean of its token probabilities, in [0, 1]; costs nothing."""

    flops_per_token = 0.0

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """``exp(mean token log-probability)`` of all steps so far; 0 without tokens, or if it is unknown."""
        scores = []
        for prefix in prefixes:
            tokens = sum(len(step.token_ids) for step in prefix.steps)
            logprobs = [step.logprob for step in prefix.steps if step.logprob is not None]
            is_known = tokens and len(logprobs) == len(prefix.steps)
            scores.append(Score(math.exp(sum(logprobs) / tokens) if is_known else 0.0))
        return scores

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""
