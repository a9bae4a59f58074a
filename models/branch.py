"""One branch while it runs: the tokens of its sequence and the step it is writing."""

from __future__ import annotations

from dataclasses import dataclass, field

from adascale.engine.ports import Evaluated
from adascale.engine.types import BranchId, Finish, Step, Until

from .prefixes import Tokens
from .runtime import FloatArray
from .sampling import Stream

DELIMITER = b"\n\n"
"""Ends a step."""


@dataclass(frozen=True, slots=True)
class Job:
    """A branch that was asked for.

    Attributes:
        branch: Its id.
        prefix: Tokens before its first own token: prompt and steps.
        boundaries: Lengths at which the prefix may be parked.
        prompt_tokens: Length of the prompt.
        stream: Its random numbers.
        until: How far it runs.
    """

    branch: BranchId
    prefix: Tokens
    boundaries: tuple[int, ...]
    prompt_tokens: int
    stream: Stream
    until: Until


@dataclass(slots=True)
class Slot:
    """A branch with a KV sequence: the index of the slot in the list of slots.

    Attributes:
        job: What it runs.
        held: Tokens in the cache.
        pending: Tokens that the next batch evaluates.
        logits: ``[vocab_size]`` kept with a parked prefix, to sample the first token from without a batch.
        prefix_cost: What seating it has cost, until it is reported.
        tokens, text, logprob: The step so far.
    """

    job: Job
    held: list[int]
    pending: list[int]
    prefix_cost: Evaluated
    logits: FloatArray | None = None
    tokens: list[int] = field(default_factory=list)
    text: bytearray = field(default_factory=bytearray)
    logprob: float = 0.0

    def hold(self) -> None:
        """The pending tokens were evaluated."""
        self.held += self.pending
        self.pending = []

    def push(self, token: int, piece: bytes, logprob: float) -> None:
        """A token was sampled; it is evaluated by the next batch."""
        self.pending = [token]
        self.tokens.append(token)
        self.text += piece
        self.logprob += logprob

    def at_delimiter(self, last_piece: bytes) -> bool:
        """Whether the last token completed a step that has any text in it."""
        tail = self.text[-(len(last_piece) + len(DELIMITER) - 1) :]
        return DELIMITER in tail and bool(self.text.strip())

    def length(self) -> int:
        """Tokens of the whole sequence, the pending ones included."""
        return len(self.held) + len(self.pending)

    def trajectory_tokens(self) -> int:
        """Tokens behind the prompt, sampled or given as steps."""
        return self.length() - self.job.prompt_tokens

    def take_prefix_cost(self) -> Evaluated:
        """The cost of seating, once."""
        cost, self.prefix_cost = self.prefix_cost, Evaluated()
        return cost

    def take_step(self, finish: Finish) -> Step:
        """The step so far; the next one begins empty."""
        step = Step(self.text.decode("utf-8", "replace"), tuple(self.tokens), self.logprob, finish)
        self.tokens, self.text, self.logprob = [], bytearray(), 0.0
        return step
