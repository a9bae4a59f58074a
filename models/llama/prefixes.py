"""Prefixes that were evaluated once and are never evaluated again while memory lasts."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adascale.engine.ports import Evaluated
from adascale.engine.types import Reading

from .runtime import MAX_BATCH_TOKENS, ByteArray, FloatArray, LlamaContext, Run

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parked:
    """A prefix in host memory.

    Attributes:
        state: The sequence's KV cells.
        logits: ``[vocab_size]`` after its last token; None where nothing was sampled from it.
        hidden: ``[width]``, the hidden state behind the logits; None where the context keeps none.
    """

    state: ByteArray
    logits: FloatArray | None
    hidden: FloatArray | None = None

    @property
    def nbytes(self) -> int:
        """Host memory of its arrays."""
        return sum(array.nbytes for array in (self.state, self.logits, self.hidden) if array is not None)


class PrefixCache:
    """Parked prefixes by their tokens; one that is not pinned goes when it is the least recently used.

    Args:
        capacity_bytes: Host memory for all entries and their keys; a dropped prefix is evaluated again on
            demand.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._pinned: dict[Tokens, Parked] = {}
        self._recent: OrderedDict[Tokens, Parked] = OrderedDict()
        self._bytes = 0

    def get(self, tokens: Tokens) -> Parked | None:
        """The entry for exactly these tokens."""
        found = self._recent.get(tokens)
        if found is None:
            return self._pinned.get(tokens)
        self._recent.move_to_end(tokens)
        return found

    def put(self, tokens: Tokens, parked: Parked, *, pin: bool = False) -> None:
        """Keep an entry, and drop older ones if it does not fit beside them."""
        self.drop(tokens)
        size = _size(tokens, parked)
        while self._recent and self._bytes + size > self._capacity:
            self._bytes -= _size(*self._recent.popitem(last=False))
        (self._pinned if pin else self._recent)[tokens] = parked
        self._bytes += size

    def drop(self, tokens: Tokens) -> None:
        """Forget an entry, pinned or not."""
        old = self._recent.pop(tokens, None) or self._pinned.pop(tokens, None)
        if old is not None:
            self._bytes -= _size(tokens, old)

    def drop_below(self, tokens: Tokens) -> None:
        """Forget every entry that begins with these tokens."""
        below = [key for key in (*self._pinned, *self._recent) if key[: len(tokens)] == tokens]
        for key in below:
            self.drop(key)

    def longest(self, tokens: Tokens, boundaries: Iterable[int]) -> Tokens:
        """The longest parked prefix that is shorter than ``tokens`` and ends at one of the boundaries."""
        for length in sorted(set(boundaries), reverse=True):
            if 0 < length < len(tokens) and self.get(tokens[:length]) is not None:
                return tokens[:length]
        return ()


def _size(tokens: Tokens, parked: Parked) -> int:
    """Bytes of an entry with its key."""
    return parked.nbytes + sys.getsizeof(tokens)


def evaluate(context: LlamaContext, sequence: int, start: int, tokens: Sequence[int]) -> int:
    """Append tokens to a sequence in as many batches as they need; returns the row of the last logits.

    Where the context keeps hidden states, the last token is evaluated by itself to get its own.
    """
    row, alone = 0, int(context.states)
    starts = [*range(0, len(tokens) - alone, MAX_BATCH_TOKENS), *([len(tokens) - 1] if alone else [])]
    for at, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        context.decode([Run(sequence, start + at, tokens[at:end])])
        row = end - at - 1
    return row


def park(context: LlamaContext, sequence: int, row: int) -> Parked:
    """A sequence as it stands, with what the next token is drawn from."""
    hidden = context.state(row)
    return Parked(
        context.snapshot(sequence), context.logits(row).copy(), None if hidden is None else hidden.copy()
    )


def prompt_reading(parked: Parked) -> Reading | None:
    """The state after the last token of a prompt."""
    return None if parked.hidden is None else Reading(parked.hidden, parked.hidden)


def read_prompt(
    context: LlamaContext, cache: PrefixCache, sequence: int, head: Tokens, prompt: Tokens
) -> Evaluated:
    """Evaluate a prompt once; it and its head, which others share, are pinned. Empties ``sequence``."""
    shared = cache.get(head)
    if shared is None:
        context.clear(sequence)
        evaluate(context, sequence, 0, head)
        cache.put(head, Parked(context.snapshot(sequence), None), pin=True)
    else:
        context.restore(sequence, shared.state)
    row = evaluate(context, sequence, len(head), prompt[len(head) :])
    parked = park(context, sequence, row)
    cache.put(prompt, parked, pin=True)
    context.clear(sequence)
    reused = len(head) if shared is not None else 0
    return Evaluated(len(prompt) - reused, reused, prompt_reading(parked))
