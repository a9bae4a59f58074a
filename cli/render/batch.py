"""How a batch goes: what its views take, and the plain one."""

from __future__ import annotations

import time
from typing import Protocol, Self

from adascale.engine.search.events import Event, SearchFailed, SearchFinished

from ..report.batch_counts import Tally
from ..terminal.console import clean, say
from ..terminal.progress import Cadence
from .base import Display


class BatchView(Display, Protocol):
    """Shows how a batch goes."""

    def on(self, problem: str, event: Event) -> None:
        """Take the next event of a question, by its id; after its last one it has its record."""


class PlainBatch:
    """A line every ten seconds; nothing where it is quiet."""

    def __init__(self, tally: Tally, quiet: bool) -> None:
        self._tally = tally
        self._quiet = quiet
        self._started = time.monotonic()
        self._cadence = Cadence(self._started)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def status(self, text: str) -> None:
        """A line of its own."""
        if text and not self._quiet:
            say(f"adascale: {clean(text)}")

    def on(self, problem: str, event: Event) -> None:
        """Where a question has ended, tell the counts, if the last time is long ago."""
        if self._quiet or not isinstance(event, SearchFinished | SearchFailed):
            return
        now = time.monotonic()
        if self._cadence.is_due(now):
            say(f"adascale: {self._tally.counts()}, {now - self._started:.0f} s")


def make_batch_view(
    tally: Tally, total: int | None, *, live: bool, show_tree: bool = False, quiet: bool = False
) -> BatchView:
    """A view of that kind.

    Args:
        tally: What has become of the questions so far.
        total: Questions that there will be; None where nobody knows.
        live: Whether the cursor may move.
        show_tree: Draw the tree of a search where the view is live.
        quiet: Plain lines are left out.
    """
    if not live:
        return PlainBatch(tally, quiet)
    from .batch_live import LiveBatch

    return LiveBatch(tally, total, show_tree=show_tree)
