"""Prefixes that were evaluated once and are never evaluated again while memory lasts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adascale.engine.ports import Evaluated
from adascale.engine.types import Reading

from .batch import MAX_BATCH_TOKENS, Run
from .runtime import ByteArray, FloatArray, LlamaContext

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
        """Host memory it takes."""
        return self.state.nbytes + (0 if self.logits is None else self.logits.nbytes)


class PrefixCache:
    """Parked prefixes by their tokens, least recently used dropped first; pinned ones stay.

    Args:
        capacity_bytes: Host memory for all of them; a dropped prefix is evaluated again on demand.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._parked: OrderedDict[Tokens, Parked] = OrderedDict()
        self._pinned: set[Tokens] = set()
        self._bytes = 0

    def get(self, tokens: Tokens) -> Parked | None:
        """The entry for exactly these tokens."""
        found = self._parked.get(tokens)
        if found is not None:
            self._parked.move_to_end(tokens)
        return found

    def put(self, tokens: Tokens, parked: Parked, *, pin: bool = False) -> None:
        """Keep an entry, dropping older ones if they no longer fit."""
        self.drop(tokens)
        self._parked[tokens] = parked
        self._bytes += parked.nbytes
        if pin:
            self._pinned.add(tokens)
        for old in [key for key in self._parked if key not in self._pinned and key != tokens]:
            if self._bytes <= self._capacity:
                break
            self.drop(old)

    def drop(self, tokens: Tokens) -> None:
        """Forget an entry, pinned or not."""
        self._pinned.discard(tokens)
        old = self._parked.pop(tokens, None)
        if old is not None:
            self._bytes -= old.nbytes

    def drop_below(self, tokens: Tokens) -> None:
        """Forget every entry that begins with these tokens."""
        for key in [key for key in self._parked if key[: len(tokens)] == tokens]:
            self.drop(key)

    def longest(self, tokens: Tokens, boundaries: Iterable[int]) -> Tokens:
        """The longest parked prefix that is shorter than ``tokens`` and ends at one of the boundaries."""
        for length in sorted(set(boundaries), reverse=True):
            if 0 < length < len(tokens) and self.get(tokens[:length]) is not None:
                return tokens[:length]
        return ()


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
