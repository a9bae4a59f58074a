"""A cache of evaluated prefixes: each is evaluated once, and again only if memory ran out meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from .context import MAX_BATCH_TOKENS, CacheSnapshot, LlamaContext, Run

Tokens = tuple[int, ...]


class PrefixCache:
    """Parked prefixes by their tokens. The least recently used are dropped first; pinned ones stay.

    Args:
        capacity_bytes: Host memory for all entries and their keys. Pinned entries count, even beyond it.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._parked: dict[Tokens, CacheSnapshot] = {}  # the most recently used is the last
        self._pinned: set[Tokens] = set()

    def get(self, tokens: Tokens) -> CacheSnapshot | None:
        """The entry for exactly these tokens."""
        found = self._parked.pop(tokens, None)
        if found is not None:
            self._parked[tokens] = found
        return found

    def put(self, tokens: Tokens, parked: CacheSnapshot, *, pin: bool = False) -> None:
        """Keep an entry, and drop older ones until it fits."""
        self.drop(tokens)
        self._parked[tokens] = parked
        self._pinned |= {tokens} if pin else set()
        sizes = {key: each.nbytes + sys.getsizeof(key) for key, each in self._parked.items()}
        excess = sum(sizes.values()) - self._capacity
        for key in [key for key in sizes if key not in self._pinned and key != tokens]:
            if excess > 0:
                excess -= sizes[key]
                self.drop(key)

    def drop(self, tokens: Tokens) -> None:
        """Forget an entry, pinned or not."""
        self._parked.pop(tokens, None)
        self._pinned.discard(tokens)

    def drop_below(self, tokens: Tokens) -> None:
        """Forget every entry that goes on from these tokens, but for pinned ones: others need them."""
        for key in self._parked.keys() - self._pinned:
            if len(key) > len(tokens) and key[: len(tokens)] == tokens:
                self.drop(key)

    def unpin(self, tokens: Tokens) -> None:
        """Let an entry be dropped when others need its room."""
        self._pinned.discard(tokens)

    def longest(self, tokens: Tokens, boundaries: Iterable[int]) -> Tokens:
        """The longest parked prefix below the whole that ends at a boundary; empty if there is none."""
        found = (tokens[:length] for length in boundaries if 0 < length < len(tokens))
        return max((each for each in found if each in self._parked), key=len, default=())

    def most_shared(self, tokens: Tokens) -> list[tuple[Tokens, int]]:
        """The entry that has most tokens in common with these, and the longest that these go on from.

        Each with the number of tokens in common, below that of all.
        """
        shared = {key: min(common_length(key, tokens), len(tokens) - 1) for key in self._parked}
        best = max(shared, key=lambda key: (shared[key], -len(key)), default=())
        whole = max((key for key in shared if shared[key] == len(key)), key=len, default=())
        return [(key, shared.get(key, 0)) for key in (best, whole)]


def common_length(*texts: Tokens) -> int:
    """Number of tokens that all begin with."""
    first, last = min(texts), max(texts)
    differ = (n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(differ, min(len(first), len(last)))


def evaluate_tokens(context: LlamaContext, sequence: int, start: int, tokens: Sequence[int]) -> int:
    """Append tokens to a sequence in as many batches as they need; returns the row of the last logits.

    If the context keeps hidden states, the last token is evaluated by itself to get its own.
    """
    context.reserve(start + len(tokens))
    end = len(tokens) - int(context.states)
    pieces = [tokens[at : min(at + MAX_BATCH_TOKENS, end)] for at in range(0, end, MAX_BATCH_TOKENS)]
    for piece in (*pieces, *([tokens[end:]] if context.states else [])):
        [row] = context.decode([Run(sequence, start, piece)])
        start += len(piece)
    return row


def restore(
    context: LlamaContext, cache: PrefixCache, sequence: int, shared: Iterable[tuple[Tokens, int]]
) -> int:
    """Restore the first of these beginnings that is parked and can be cut back, else nothing.

    Args:
        context: Has ``sequence`` free.
        cache: Parked prefixes of the context.
        sequence: Sequence that holds the beginning afterwards.
        shared: Parked prefixes, with the number of tokens to keep of each.

    Returns:
        The tokens that the sequence holds.
    """
    for key, length in shared:
        parked = cache.get(key)
        if parked is not None and length:
            context.restore(sequence, parked)
            if length == len(key) or context.shorten(sequence, length):
                return length
    context.clear(sequence)
    return 0
