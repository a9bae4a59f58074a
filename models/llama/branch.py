"""One branch while it runs: the tokens of its sequence and the step it is writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from adascale.engine.ports import BranchStart, PrefixWork
from adascale.engine.types import (
    PROGRAMS,
    BranchId,
    Finish,
    Mode,
    Reading,
    Step,
    Thought,
    TokenLogprob,
)

from ..options import SamplingParams
from .calls import CallWriter
from .prefixes import NO_STATE, ParkedPrefix, Tokens
from .runtime import FloatArray
from .sampling import Stream, Surprise
from .thinking import ThoughtProgress

DELIMITER = b"\n\n"
"""Ends a step of prose; a program is one step."""

_FENCE = b"```"


@dataclass(frozen=True, slots=True)
class Job:
    """A branch that is to be run: the prefix that it continues, and its end.

    Attributes:
        id: Id of the branch.
        start: The order that it carries out: prefix, seed, end and sampler.
        prefix: Tokens before its first own token: prompt and steps.
        boundaries: Lengths of the prefix at which a shorter one may be parked.
        prompt_tokens: Length of the prompt.
        stream: Random numbers of the branch.
        sampling: Its sampler.
        opening: Text put into the model's mouth at the beginning of a solution; empty behind its first step.
        thought: Position in its thought; None if the model knows no thoughts.
        calls: Writes its calls of tools; None if it knows no tools.
    """

    id: BranchId
    start: BranchStart
    prefix: Tokens
    boundaries: tuple[int, ...]
    prompt_tokens: int
    stream: Stream
    sampling: SamplingParams
    opening: bytes = b""
    thought: ThoughtProgress | None = None
    calls: CallWriter | None = None

    @property
    def mode(self) -> Mode:
        """How it reasons."""
        return self.start.prefix.mode

    @property
    def is_reply(self) -> bool:
        """True for the reply to a chat, whose next turn goes on from its end."""
        return self.start.prefix.problem.is_chat

    def close(self) -> None:
        """Free its random numbers and its grammar."""
        self.stream.close()
        if self.calls is not None:
            self.calls.close()


class Pool:
    """Hidden states and surprise, pooled over the tokens of one step while it is written."""

    def __init__(self) -> None:
        self._sum: FloatArray | None = None
        self._last: FloatArray | None = None
        self._tokens = 0
        self._min_logprob = 0.0
        self._entropy = 0.0

    def push(self, state: FloatArray, logprob: float, entropy: float) -> None:
        """Add a token: the ``[width]`` state it was drawn from (copied), its log-probability, the entropy.

        The width is 0 if the context keeps no states.
        """
        if self._sum is None:
            self._sum, self._last = state.copy(), np.empty_like(state)
        else:
            self._sum += state
        assert self._last is not None
        self._last[:] = state
        self._tokens += 1
        self._min_logprob = min(self._min_logprob, logprob)
        self._entropy += entropy

    def take(self) -> Reading | None:
        """The reading of the whole step; None if nothing was pushed."""
        if self._sum is None or self._last is None:
            return None
        return Reading(
            self._last, self._sum / np.float32(self._tokens), self._min_logprob, self._entropy / self._tokens
        )


@dataclass(slots=True)
class Slot:
    """A branch that has a KV sequence; the sequence's id is the slot's index in the list of slots.

    Attributes:
        job: The branch.
        held: Tokens in the KV cache.
        pending: Tokens that the next batch evaluates.
        prefix_cost: Evaluated and reused tokens of the prefix, until a growth reports them.
        parked: Prefix with the logits of the first token, until that token is sampled.
        tokens, text, logprob, pool, logprobs: The unfinished step.
        last_step_tokens: Number of tokens of the last finished step.
    """

    job: Job
    held: list[int]
    pending: list[int]
    prefix_cost: PrefixWork
    parked: ParkedPrefix | None = None
    tokens: list[int] = field(default_factory=list)
    text: bytearray = field(default_factory=bytearray)
    logprob: float = 0.0
    pool: Pool = field(default_factory=Pool)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    last_step_tokens: int = 0

    def __post_init__(self) -> None:
        if not self.is_inside_thought:
            self.text += self.job.opening

    @property
    def is_inside_thought(self) -> bool:
        """True while a thought is being written, as far as its text shows."""
        return self.job.thought is not None and self.job.thought.phase == "inside"

    @property
    def open_part(self) -> Thought | None:
        """The role of the unfinished step in a thought; None outside of one."""
        return "part" if self.is_inside_thought else None

    @property
    def may_think(self) -> bool:
        """True if the text belongs to a thought, or is so short that it may still become its opening tag."""
        return self.job.thought is not None and self.job.thought.phase != "behind"

    def push(self, token: int, piece: bytes, surprise: Surprise, state: FloatArray | None) -> None:
        """Append a sampled token, which the next batch evaluates.

        Args:
            token: Its id.
            piece: Its bytes.
            surprise: Its log-probability, and the entropy of the distribution it was drawn from.
            state: ``[width]``, the hidden state it was drawn from; None if the context keeps none.
        """
        self.append([token], piece)
        self.observe(surprise, state)
        if self.job.thought is not None:
            self.job.thought.look_for_opening(self.text)

    def observe(self, surprise: Surprise, state: FloatArray | None) -> None:
        """Take the surprise and the state of a sampled token into the step."""
        self.logprob += surprise.logprob
        self.pool.push(NO_STATE if state is None else state, surprise.logprob, surprise.entropy)

    def append(self, tokens: Sequence[int], text: bytes) -> None:
        """Append tokens and their text, which the next batches evaluate."""
        self.pending += tokens
        self.tokens += tokens
        self.text += text

    def leads(self, prefix: Tokens) -> bool:
        """True if it will park this very prefix, of which it has not evaluated all."""
        return self.job.prefix == prefix and len(self.held) < len(prefix)

    def take_back(self, piece: bytes) -> None:
        """Take back the last token, which was sampled and is not evaluated."""
        self.pending.pop()
        self.tokens.pop()
        if self.job.start.sampling.logprobs is not None and piece:
            self.logprobs.pop()
        del self.text[len(self.text) - len(piece) :]

    def at_delimiter(self, last_piece: bytes) -> bool:
        """True if the last token completed a step of prose or of a thought that has any text in it."""
        if self.job.mode != "prose" and not self.is_inside_thought:
            return False
        tail = self.text[-(len(last_piece) + len(DELIMITER) - 1) :]
        return DELIMITER in tail and bool(self.text.strip())

    def thought_part(self, last_piece: bytes) -> Thought | None:
        """The part of a thought that the last token completed."""
        thought = self.job.thought
        if thought is None or not self.is_inside_thought:
            return None
        delimited = self.at_delimiter(last_piece)
        return thought.part(self.text, last_piece, len(self.tokens), at_delimiter=delimited)

    def closes_program(self, last_piece: bytes) -> bool:
        """True if the last token completed the fence behind a program; the first fence opens it."""
        if self.job.mode not in PROGRAMS or b"`" not in last_piece:
            return False
        return self.text.count(_FENCE) >= 2

    def length(self) -> int:
        """Tokens of the whole sequence, the pending ones included."""
        return len(self.held) + len(self.pending)

    def solution_tokens(self) -> int:
        """Tokens behind the prompt, sampled or given as steps, without those of thoughts."""
        thought = self.job.thought
        uncounted = 0 if thought is None else thought.uncounted_tokens(len(self.tokens))
        return self.length() - self.job.prompt_tokens - uncounted

    def take_prefix_cost(self) -> PrefixWork:
        """The prefix's cost, reported once."""
        cost, self.prefix_cost = self.prefix_cost, PrefixWork()
        return cost

    def open_step(self) -> Step:
        """The unfinished step as far as it is written, without a reading."""
        text = self.text.decode("utf-8", "replace")
        return Step(text, tuple(self.tokens), self.logprob, None, thought=self.open_part)

    def take_step(self, finish: Finish, part: Thought | None = None) -> Step:
        """End the step, with the reading of its hidden states; the next one begins empty.

        Args:
            finish: Why the step ends.
            part: Role of the step in a thought.
        """
        text = self.text.decode("utf-8", "replace")
        reading, logprobs = self.pool.take(), tuple(self.logprobs)
        step = Step(text, tuple(self.tokens), self.logprob, finish, reading, thought=part, logprobs=logprobs)
        self.last_step_tokens = len(self.tokens)
        self.tokens, self.text, self.logprob, self.pool, self.logprobs = [], bytearray(), 0.0, Pool(), []
        if part is not None and self.job.thought is not None:
            self.job.thought.end_step(step)
            self.text += b"" if self.is_inside_thought else self.job.opening
        return step
