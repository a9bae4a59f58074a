"""Progress of a batch: lines, or one bar over the searches in flight."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.text import Text

from adascale.engine.search.events import Event, SearchFailed, SearchFinished

from ..report.batch_counts import BatchCounts
from ..terminal.console import clean, say
from ..terminal.progress import Cadence
from ..terminal.text import clock, cut, duration, fitting, one_line, pad
from ..terminal.theme import LEFT, MARK_STYLES, SPENT, SPIN, STYLES
from .display import LiveDisplay
from .lines import NARROW, WIDE
from .state import ViewState
from .summary import progress_facts

_ID_CELLS = 16

_LEAST_DONE = 3
"""Questions that must be done before a time left is shown: fewer are no measurement."""


class BatchView(Protocol):
    """Shows the progress of a batch."""

    @property
    def status(self) -> Callable[[str], None]:
        """As ``Renderer.status``."""

    def on(self, problem: str, event: Event) -> None:
        """Take the next event of a question, by its id; after its last one it has its record."""


class PlainBatch:
    """Prints a line every ten seconds, or nothing if it is quiet."""

    def __init__(self, counts: BatchCounts, quiet: bool) -> None:
        self._counts = counts
        self._quiet = quiet
        self._started = time.monotonic()
        self._cadence = Cadence(self._started)

    def status(self, text: str) -> None:
        """A line of its own."""
        if text and not self._quiet:
            say(f"adascale: {clean(text)}")

    def on(self, problem: str, event: Event) -> None:
        """Print the counts if a question has ended and a line is due."""
        if self._quiet or not isinstance(event, SearchFinished | SearchFailed):
            return
        now = time.monotonic()
        if self._cadence.is_due(now):
            say(f"adascale: {self._counts.headline()}, {duration(now - self._started)}")


class LiveBatch:
    """Draws the bar, then a line for each search in flight.

    Args:
        display: Shows it from the first event on.
        counts: Counts of the questions so far.
        total: Number of questions; None if it is unknown.
    """

    def __init__(self, display: LiveDisplay, counts: BatchCounts, total: int | None) -> None:
        self._display = display
        self._counts = counts
        self._total = total
        self._flying: dict[str, ViewState] = {}
        self._queue: deque[tuple[str, Event]] = deque()
        self._lock = threading.Lock()
        self._begun: float | None = None
        self.status = display.status

    def on(self, problem: str, event: Event) -> None:
        """Queue the event; it is folded when a frame is drawn."""
        self._queue.append((problem, event))
        if self._begun is None:
            self._begun = time.monotonic()
            self._display.show(self)

    @property
    def stays(self) -> bool:
        """The summary says what is worth keeping."""
        return False

    def draw(self, width: int, height: int, tick: int) -> Text:
        """The present frame."""
        assert self._begun is not None, "a batch is shown from its first event on"
        with self._lock:
            self._fold_queue()
            seconds = time.monotonic() - self._begun
            lines = [self._head(width, seconds), *self._below(width, max(0, height - 2), tick)]
        return Text("\n", no_wrap=True).join(lines)

    def _head(self, width: int, seconds: float) -> Text:
        """A bar, where the number of questions is known, and the counts."""
        line = Text()
        if self._total:
            size = 30 if width >= WIDE else 16 if width >= NARROW else 8
            spent = min(size, size * self._counts.settled // self._total)
            line.append(SPENT * spent, STYLES["spent"])
            line.append(LEFT * (size - spent), STYLES["left"]).append("  ")
        line.append(fitting(self._facts(seconds), max(0, width - line.cell_len)))
        line.truncate(width)
        return line

    def _below(self, width: int, room: int, tick: int) -> list[Text]:
        """The searches in flight, the oldest first."""
        searches = list(self._flying.items())
        shown = searches if len(searches) <= room else searches[: max(0, room - 1)]
        lines = [_search_line(id_, state, width, tick) for id_, state in shown]
        if len(shown) < len(searches) and room:
            lines.append(Text(f"  and {len(searches) - len(shown)} more", STYLES["faint"]))
        return lines

    def _facts(self, seconds: float) -> list[str]:
        """Questions, failures, correct answers, tokens, speed, and the time left once enough are done."""
        counts = self._counts
        done, there = counts.done + counts.failed, counts.settled
        facts = [f"{there:,} of {self._total:,}" if self._total else f"{there:,} done"]
        facts += counts.facts()
        tokens = counts.tokens + sum(state.tokens for state in self._flying.values())
        if seconds > 1.0:
            facts.append(f"{tokens / seconds:.0f} tokens/s")
        if self._total and done >= _LEAST_DONE:
            # Easy questions end first: those in flight count as half done, or the time would look too short.
            half = len(self._flying) / 2
            left = max(0.0, self._total - there - half) * seconds / (done + half)
            facts.append(f"about {clock(left)} left")
        return facts

    def _fold_queue(self) -> None:
        """Fold the queued events into the searches in flight; the caller holds the lock."""
        while self._queue:
            id_, event = self._queue.popleft()
            if isinstance(event, SearchFinished | SearchFailed):
                self._flying.pop(id_, None)
            else:
                self._flying[id_] = ViewState.after(self._flying.get(id_), event)


def _search_line(id_: str, state: ViewState, width: int, tick: int) -> Text:
    """A search among others, in columns: ``◐ gsm8k-0001        3 of up to 16 solutions``."""
    line = Text().append(SPIN[tick % len(SPIN)] + " ", MARK_STYLES["running"])
    line.append(pad(cut(one_line(id_), _ID_CELLS), _ID_CELLS) + "  ", STYLES["question"])
    line.append(fitting(progress_facts(state), max(0, width - line.cell_len)), STYLES["faint"])
    line.truncate(width)
    return line


@contextmanager
def open_batch_view(
    counts: BatchCounts, total: int | None, *, live: bool, quiet: bool
) -> Iterator[BatchView]:
    """Yield a view; at the end of the context the terminal is free.

    Args:
        counts: Counts of the questions so far.
        total: Number of questions; None if it is unknown.
        live: The cursor may move.
        quiet: Print no plain lines.
    """
    if not live:
        yield PlainBatch(counts, quiet)
        return
    with LiveDisplay() as display:
        yield LiveBatch(display, counts, total)
