"""A cache of evaluated prefixes: each is evaluated once, and again only if the cache had to drop it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .context import CacheSnapshot, LlamaContext

Tokens = tuple[int, ...]


class PrefixCache:
    """Snapshots of prefixes by their tokens. It drops the least recently used first, but no pinned ones.

    Args:
        capacity_bytes: Host memory for all entries and their keys. Pinned entries count, even beyond it.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._parked: dict[Tokens, CacheSnapshot] = {}  # the most recently used is the last
        self._pinned: set[Tokens] = set()

    def get(self, tokens: Tokens) -> CacheSnapshot | None:
        """The entry for exactly these tokens."""
        snapshot = self._parked.pop(tokens, None)
        if snapshot is not None:
            self._parked[tokens] = snapshot
        return snapshot

    def put(self, tokens: Tokens, snapshot: CacheSnapshot, *, pin: bool = False) -> None:
        """Add an entry, and drop older ones until it fits."""
        self.drop(tokens)
        self._parked[tokens] = snapshot
        if pin:
            self._pinned.add(tokens)
        sizes = {key: parked.nbytes + sys.getsizeof(key) for key, parked in self._parked.items()}
        excess = sum(sizes.values()) - self._capacity
        for key, size in sizes.items():
            if excess > 0 and key != tokens and key not in self._pinned:
                excess -= size
                self.drop(key)

    def drop(self, tokens: Tokens) -> None:
        """Remove an entry, pinned or not."""
        self._parked.pop(tokens, None)
        self._pinned.discard(tokens)

    def drop_below(self, tokens: Tokens) -> None:
        """Remove every longer entry that begins with these tokens, except pinned ones."""
        for key in self._parked.keys() - self._pinned:
            if len(key) > len(tokens) and key[: len(tokens)] == tokens:
                self.drop(key)

    def unpin(self, tokens: Tokens) -> None:
        """Let an entry be dropped when others need its memory."""
        self._pinned.discard(tokens)

    def longest(self, tokens: Tokens, boundaries: Iterable[int]) -> Tokens:
        """The longest proper prefix that is parked and ends at a boundary; empty if there is none."""
        prefixes = (tokens[:length] for length in boundaries if 0 < length < len(tokens))
        return max((prefix for prefix in prefixes if prefix in self._parked), key=len, default=())

    def most_shared(self, tokens: Tokens) -> list[tuple[Tokens, int]]:
        """The entry with the longest common prefix, and the longest entry that is itself a prefix.

        Each has the number of common tokens, at most all but one of ``tokens``.
        """
        lengths = {key: min(common_length(key, tokens), len(tokens) - 1) for key in self._parked}
        best = max(lengths, key=lambda key: (lengths[key], -len(key)), default=())
        whole = max((key for key in lengths if lengths[key] == len(key)), key=len, default=())
        return [(key, lengths.get(key, 0)) for key in (best, whole)]

    def restore(self, context: LlamaContext, sequence: int, shared: Iterable[tuple[Tokens, int]]) -> int:
        """Restore the first candidate that is parked and can be cut to its length; else clear the sequence.

        Args:
            context: The context of the snapshots.
            sequence: A free sequence of it.
            shared: Keys of entries, each with the number of tokens to keep.

        Returns:
            The length of the sequence.
        """
        for key, length in shared:
            snapshot = self.get(key)
            if snapshot is not None and length:
                context.restore(sequence, snapshot)
                if length == len(key) or context.shorten(sequence, length):
                    return length
        context.clear(sequence)
        return 0


def common_length(*texts: Tokens) -> int:
    """Length of the common prefix."""
    first, last = min(texts), max(texts)
    differ = (n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(differ, min(len(first), len(last)))
