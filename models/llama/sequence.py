"""One branch, which waits or runs: its tokens, and the effect of a sampled token on its unfinished step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from adascale.engine.kind_table import entry_of
from adascale.engine.ports import BranchStart, PrefixWork
from adascale.engine.types import BranchId, Finish, Reading, Step, ThoughtPart

from ..options import SamplingParams
from ..steps import ends_program, ends_step
from .calls import CallWriter, TokenEffect
from .context import NO_STATE, CacheSnapshot, FloatArray
from .prefixes import Tokens
from .sampling import Stream
from .thinking import ThoughtPhase, ThoughtProgress


class SampledToken(NamedTuple):
    """A token that was sampled for a branch.

    Attributes:
        id: Its id in the vocabulary.
        piece: Its bytes; empty for control tokens.
        is_end: True if it ends a turn.
        certainty: As ``sampling.certainty`` returns it.
        state: ``[width]``, the hidden state behind its logits; empty if none are kept.
    """

    id: int
    piece: bytes
    is_end: bool
    certainty: tuple[float, float]
    state: FloatArray


@dataclass(slots=True, eq=False)
class Sequence:
    """A branch that waits for a KV sequence, or has one.

    Attributes:
        id: Id of the branch.
        start: The engine's order: prefix, seed, end and sampler.
        prefix: Tokens of the prompt and of earlier steps.
        ends: Lengths at which a shorter prefix may be parked.
        prompt_tokens: Length of the prompt.
        window: Most tokens of the sequence.
        sampling: Its sampler.
        opening: Prefilled beginning of a solution; empty behind its first step.
        thought: Position in its thought; None if the model does not think.
        calls: Its tool calls, or its JSON object; None for free text.
        stream: Its random numbers.
        tokens: Token ids of the prefix and its own.
        kv: Id of its KV sequence while it runs.
        evaluated: Number of tokens in the KV cache; the next batch evaluates the others.
        parked: Snapshot to restore or to sample the first token from, until that token is sampled.
        cost: Evaluated and reused tokens of the prefix, until a growth reports them.
        begins: Positions at which its steps begin, the unfinished one last.
        text: Bytes of the unfinished step.
        certainties: Certainty of each sampled token of the step.
        total, last: Sum of the states behind them, and the last state.
    """

    id: BranchId
    start: BranchStart
    prefix: Tokens
    ends: tuple[int, ...]
    prompt_tokens: int
    window: int
    sampling: SamplingParams
    opening: bytes = b""
    thought: ThoughtProgress | None = None
    calls: CallWriter | None = None
    stream: Stream = field(init=False)
    tokens: list[int] = field(init=False)
    kv: int = -1
    evaluated: int = 0
    parked: CacheSnapshot | None = None
    cost: PrefixWork = PrefixWork()
    begins: list[int] = field(default_factory=list)
    text: bytearray = field(init=False)
    certainties: list[tuple[float, float]] = field(init=False)
    total: FloatArray = field(init=False)
    last: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.stream = Stream(self.start.seed if self.sampling.temperature else None)
        self.tokens = list(self.prefix)
        self._begin_step(b"" if self.phase == "inside" else self.opening)

    @property
    def is_reply(self) -> bool:
        """True for the reply to a chat, whose next turn continues it."""
        return entry_of(self.start.prefix.problem).is_reply

    @property
    def phase(self) -> ThoughtPhase:
        """Position of its next token: before, inside or behind a thought."""
        return "behind" if self.thought is None else self.thought.phase

    @property
    def pending(self) -> list[int]:
        """Tokens that are not evaluated."""
        return self.tokens[self.evaluated :]

    def write(self, token: SampledToken) -> Step:
        """Append a sampled token, and the tokens that it entails; returns the step so far."""
        self.total = self.total + token.state if self.certainties else token.state
        self.last = token.state
        self.certainties.append(token.certainty)
        part: ThoughtPart | None = "cut"  # an end of turn inside a thought closes the thought instead
        if self.phase != "inside" or not token.is_end:
            self._append([token.id], token.piece)
            length = len(self.tokens) - self.begins[-1]
            part = None if self.thought is None else self.thought.read(self.text, token.piece, length)
        if part is None:
            finish = self._finish(token, self._read_calls(token))
            return self._step(finish, "part" if self.phase == "inside" else None)
        assert self.thought is not None, "a thought without tags"
        lead, text = self.thought.form.following(part)
        if self._is_spent(len(lead)):  # it has thought again and again
            return self._step("length", "part")
        self._append(lead, text)
        return self._step("step", part)

    def _append(self, tokens: Iterable[int], text: bytes) -> None:
        self.tokens += tokens
        self.text += text

    def _read_calls(self, token: SampledToken) -> TokenEffect:
        """The effect of the last token on calls; if a call begins, its first tokens are appended."""
        # A reply that must be a call cannot end before the call begins.
        if self.calls is None or (
            not self.calls.rules.is_required if token.is_end else self.phase != "behind"
        ):
            return "on"
        effect = self.calls.read(bytes(self.text))
        if effect == "replaced":  # the last token is not evaluated yet
            self.tokens.pop()
            del self.text[len(self.text) - len(token.piece) :]
        if effect in ("begun", "replaced"):
            self._append(*self.calls.rules.lead(effect))
            self.calls.begin(bytes(self.text))
        return effect

    def _finish(self, token: SampledToken, effect: TokenEffect) -> Finish | None:
        """Why the last token, with this effect on calls, ends the step; None if the step goes on."""
        mode, thinks = self.start.prefix.mode, self.phase == "inside"
        is_over = effect == "over" or (effect == "on" and token.is_end)
        if not thinks and (is_over or ends_program(mode, self.text, token.piece)):
            return "stop"
        if self._is_spent():
            return "length"
        return "step" if mode == "prose" and not thinks and ends_step(self.text, token.piece) else None

    def _is_spent(self, more: int = 0) -> bool:
        """True if the solution or the window is full behind ``more`` tokens; thoughts do not count."""
        length, thought = len(self.tokens), self.thought
        free = 0 if thought is None else thought.uncounted_tokens(length - self.begins[-1])
        return length - self.prompt_tokens - free >= self.sampling.max_tokens or length + more >= self.window

    def _step(self, finish: Finish | None, part: ThoughtPart | None) -> Step:
        """The step so far; if it ends, it gets a reading, and an empty step begins."""
        text, tokens = self.text.decode("utf-8", "replace"), tuple(self.tokens[self.begins[-1] :])
        logprobs, entropies = zip(*self.certainties, strict=True)
        logprob, count = sum(logprobs), len(logprobs)
        if finish is None:
            return Step(text, tokens, logprob, None, thought=part)
        mean = self.total / np.float32(count)
        reading = Reading(self.last, mean, min(logprobs), sum(entropies) / count)
        step = Step(text, tokens, logprob, finish, reading, thought=part)
        if self.thought is not None:
            self.thought.end_step(step)
        self._begin_step(b"" if part is None or self.phase == "inside" else self.opening)
        return step

    def _begin_step(self, opening: bytes) -> None:
        self.begins.append(len(self.tokens))
        self.text, self.certainties = bytearray(opening), []
        self.total = self.last = NO_STATE
