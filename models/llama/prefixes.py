"""A cache of evaluated prefixes: each is evaluated once, and again only if memory ran out meanwhile."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from adascale.engine.ports import PrefixWork
from adascale.engine.types import Reading

from .runtime import MAX_BATCH_TOKENS, FloatArray, LlamaContext, Run, Snapshot

Tokens = tuple[int, ...]

NO_STATE: FloatArray = np.zeros(0, np.float32)
"""Hidden state of a token in a context that keeps no states."""


@dataclass(frozen=True, slots=True)
class ParkedPrefix:
    """An evaluated prefix in host memory, out of the KV cache.

    Attributes:
        state: The sequence.
        logits: ``[vocab_size]`` after its last token; None if no branch samples its first token from them.
        hidden: ``[width]``, the hidden state that gave the logits; None if the context keeps no states.
    """

    state: Snapshot
    logits: FloatArray | None = None
    hidden: FloatArray | None = None

    @classmethod
    def with_logits(cls, context: LlamaContext, sequence: int, row: int) -> Self:
        """A copy of a sequence, with the logits and the hidden state of a row of the last batch."""
        hidden = context.state(row)
        logits = context.logits(row).copy()
        return cls(context.snapshot(sequence), logits, None if hidden is None else hidden.copy())

    @property
    def reading(self) -> Reading:
        """The hidden state after its last token, as the reading of a prompt; empty without states."""
        hidden = NO_STATE if self.hidden is None else self.hidden
        return Reading(hidden, hidden)

    @property
    def nbytes(self) -> int:
        """Host memory of its arrays."""
        return sum(
            array.nbytes for array in (self.state.cells, self.logits, self.hidden) if array is not None
        )


class PrefixCache:
    """Parked prefixes by their tokens. The least recently used are dropped first; pinned ones stay.

    Args:
        capacity_bytes: Host memory for all entries and their keys. Pinned entries count, even beyond it.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._pinned: dict[Tokens, ParkedPrefix] = {}
        self._recent: OrderedDict[Tokens, ParkedPrefix] = OrderedDict()
        self._bytes = 0

    def get(self, tokens: Tokens) -> ParkedPrefix | None:
        """The entry for exactly these tokens."""
        found = self._recent.get(tokens)
        if found is None:
            return self._pinned.get(tokens)
        self._recent.move_to_end(tokens)
        return found

    def put(self, tokens: Tokens, parked: ParkedPrefix, *, pin: bool = False) -> None:
        """Keep an entry, and drop older ones until it fits."""
        self.drop(tokens)
        size = _size(tokens, parked)
        while self._recent and self._bytes + size > self._capacity:
            self._bytes -= _size(*self._recent.popitem(last=False))
        (self._pinned if pin else self._recent)[tokens] = parked
        self._bytes += size

    def drop_step(self, tokens: Tokens) -> None:
        """Forget the parked end of a step, once it is parked again with its last token.

        An entry with logits stays: other branches may begin there.
        """
        parked = self._recent.get(tokens)
        if parked is not None and parked.logits is None:
            self.drop(tokens)

    def drop(self, tokens: Tokens) -> None:
        """Forget an entry, pinned or not."""
        old = self._recent.pop(tokens, None) or self._pinned.pop(tokens, None)
        if old is not None:
            self._bytes -= _size(tokens, old)

    def drop_below(self, tokens: Tokens) -> None:
        """Forget every entry that goes on from these tokens, but for pinned ones: others need them."""
        longer = [key for key in self._recent if len(key) > len(tokens)]
        for key in longer:
            if key[: len(tokens)] == tokens:
                self.drop(key)

    def unpin(self, tokens: Tokens) -> None:
        """Let an entry be dropped when others need its room."""
        parked = self.get(tokens)
        if parked is not None:
            self.put(tokens, parked)

    def most_shared(self, tokens: Tokens) -> tuple[Tokens, int]:
        """The entry that has most tokens in common with ``tokens``, and their number, below that of all."""
        shared = {key: common_length(key, tokens) for key in (*self._pinned, *self._recent)}
        longest = max(shared, key=lambda key: (shared[key], -len(key)), default=())
        return longest, min(shared.get(longest, 0), len(tokens) - 1)

    def longest(self, tokens: Tokens, boundaries: Iterable[int] | None = None) -> Tokens:
        """The longest parked prefix that is shorter than ``tokens`` and ends at one of the boundaries.

        Without boundaries it may end anywhere; empty if there is none.
        """
        if boundaries is None:
            boundaries = (len(key) for key in (*self._pinned, *self._recent))
        for length in sorted(set(boundaries), reverse=True):
            if 0 < length < len(tokens) and self.get(tokens[:length]) is not None:
                return tokens[:length]
        return ()


def common_length(a: Tokens, b: Tokens) -> int:
    """Number of tokens that both begin with."""
    differ = (at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other)
    return next(differ, min(len(a), len(b)))


def _size(tokens: Tokens, parked: ParkedPrefix) -> int:
    """Bytes of an entry with its key."""
    return parked.nbytes + sys.getsizeof(tokens)


def evaluate_tokens(context: LlamaContext, sequence: int, start: int, tokens: Sequence[int]) -> int:
    """Append tokens to a sequence in as many batches as they need; returns the row of the last logits.

    If the context keeps hidden states, the last token is evaluated by itself to get its own.
    """
    context.reserve(sequence + 1, start + len(tokens))
    row, alone = 0, int(context.states)
    starts = [*range(0, len(tokens) - alone, MAX_BATCH_TOKENS), *([len(tokens) - 1] if alone else [])]
    for at, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        context.decode([Run(sequence, start + at, tokens[at:end])])
        row = end - at - 1
    return row


def read_prompt(
    context: LlamaContext, cache: PrefixCache, sequence: int, head: Tokens | None, prompt: Tokens
) -> PrefixWork:
    """Evaluate a prompt as ``evaluate_prompt``, park and pin it; the sequence is empty afterwards."""
    row, reused = evaluate_prompt(context, cache, sequence, head, prompt)
    parked = ParkedPrefix.with_logits(context, sequence, row)
    cache.put(prompt, parked, pin=True)
    context.clear(sequence)
    return PrefixWork(len(prompt) - reused, reused, parked.reading)


def evaluate_prompt(
    context: LlamaContext, cache: PrefixCache, sequence: int, head: Tokens | None, prompt: Tokens
) -> tuple[int, int]:
    """Evaluate what a prompt adds to a parked prefix.

    Args:
        context: Has ``sequence`` free.
        cache: Parked prefixes of the context.
        sequence: Sequence that evaluates the prompt, and holds it afterwards.
        head: Tokens that it begins with, as other prompts do, which are parked and pinned; may be empty. None
            goes on from the prefix that has most in common with the prompt: a reply that was sampled in other
            tokens than those its text has is read again from there on.
        prompt: The whole prompt.

    Returns:
        The row of its logits, and the tokens that had been evaluated before.
    """
    if head is None:
        held = reused = _restore_shared(context, cache, sequence, prompt)
    else:
        held, reused = len(head), _restore_head(context, cache, sequence, head)
    return evaluate_tokens(context, sequence, held, prompt[held:]), reused


def _restore_head(context: LlamaContext, cache: PrefixCache, sequence: int, head: Tokens) -> int:
    """Restore the head of prompts, or evaluate and park it; returns the tokens that were evaluated before."""
    shared = cache.get(head)
    if shared is not None:
        context.restore(sequence, shared.state)
        return len(head)
    context.clear(sequence)
    if head:
        evaluate_tokens(context, sequence, 0, head)
        cache.put(head, ParkedPrefix(context.snapshot(sequence)), pin=True)
    return 0


def _restore_shared(context: LlamaContext, cache: PrefixCache, sequence: int, prompt: Tokens) -> int:
    """Restore the longest beginning of a prompt that can be; returns its number of tokens."""
    beginning = cache.longest(prompt)
    for key, length in (cache.most_shared(prompt), (beginning, len(beginning))):
        parked = cache.get(key)
        if parked is not None and length:
            context.restore(sequence, parked.state)
            if length == len(key) or context.shorten(sequence, length):
                return length
    context.clear(sequence)
    return 0
