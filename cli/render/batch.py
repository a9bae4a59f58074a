"""How a batch goes: lines, or one bar over the searches in flight."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from typing import Protocol, Self

from rich.text import Text

from adascale.engine.search.events import Event, SearchFailed, SearchFinished

from ..report.batch_counts import BatchCounts
from ..terminal.console import clean, say, stderr_console
from ..terminal.progress import Cadence
from ..terminal.text import clock
from ..terminal.theme import STYLES, glyphs_for
from .frame import FRAMES_PER_SECOND, bar_of_facts, live_frame, search_line, waiting_line
from .renderer import Display
from .state import ViewState

_SETTLED = 3
"""Questions that must be done before a time left is shown: fewer are no measurement."""


class BatchView(Display, Protocol):
    """Shows how a batch goes."""

    def on(self, problem: str, event: Event) -> None:
        """Take the next event of a question, by its id; after its last one it has its record."""


class PlainBatch:
    """A line every ten seconds; nothing where it is quiet."""

    def __init__(self, counts: BatchCounts, quiet: bool) -> None:
        self._counts = counts
        self._quiet = quiet
        self._started = time.monotonic()
        self._cadence = Cadence(self._started)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is pending: every line was flushed."""

    def status(self, text: str) -> None:
        """A line of its own."""
        if text and not self._quiet:
            say(f"adascale: {clean(text)}")

    def on(self, problem: str, event: Event) -> None:
        """Write the counts where a question has ended and a line is due."""
        if self._quiet or not isinstance(event, SearchFinished | SearchFailed):
            return
        now = time.monotonic()
        if self._cadence.is_due(now):
            say(f"adascale: {self._counts.headline()}, {now - self._started:.0f} s")


class LiveBatch:
    """Draws four times a second: the bar, then a line for each search in flight, or the tree of the oldest.

    Args:
        counts: What has become of the questions so far.
        total: Questions that there will be; None where nobody knows.
        show_tree: Whether to draw a tree.
    """

    def __init__(self, counts: BatchCounts, total: int | None, *, show_tree: bool) -> None:
        from rich.live import Live

        self._counts = counts
        self._total = total
        self._show_tree = show_tree
        self._glyphs = glyphs_for(sys.stderr)
        self._flying: dict[str, ViewState] = {}
        self._queue: deque[tuple[str, Event]] = deque()
        self._lock = threading.Lock()
        self._message = ""
        self._begun: float | None = None
        self._console = stderr_console()
        self._live = Live(
            get_renderable=lambda: self.picture(*self._console.size),
            console=self._console,
            refresh_per_second=FRAMES_PER_SECOND,
            redirect_stdout=False,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Something shows at once: imports and a large file take their time."""
        self.status("Loading...")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def status(self, text: str) -> None:
        """Shown until the first search begins."""
        self._message = text
        if text:
            self._start()
        else:
            self._stop()

    def on(self, problem: str, event: Event) -> None:
        """Queue the event; it is folded when a frame is drawn."""
        self._queue.append((problem, event))
        if self._begun is None:
            self._begun = time.monotonic()
            self._start()

    def _start(self) -> None:
        if not self._live.is_started:
            self._live.start()

    def _stop(self) -> None:
        # A terminal that has gone away must not hide why the program ends.
        with contextlib.suppress(OSError):
            self._live.stop()

    def picture(self, width: int, height: int) -> Text:
        """The present frame."""
        tick = int(time.monotonic() * FRAMES_PER_SECOND)
        with self._lock:
            self._fold_queue()
            if self._begun is None:
                return waiting_line(self._message, width, self._glyphs, tick)
            seconds = time.monotonic() - self._begun
            head = bar_of_facts(self._share(), self._facts(seconds), width, self._glyphs)
            lines = [head, *self._below(width, max(0, height - 2), tick)]
        return Text("\n", no_wrap=True).join(lines)

    def _below(self, width: int, room: int, tick: int) -> list[Text]:
        """The searches in flight, the oldest first."""
        searches = list(self._flying.items())
        if self._show_tree and searches:
            return live_frame(searches[0][1], width, room, self._glyphs, tick)
        shown = searches if len(searches) <= room else searches[: max(0, room - 1)]
        lines = [search_line(id_, state, width, self._glyphs, tick) for id_, state in shown]
        if len(shown) < len(searches) and room:
            lines.append(Text(f"  and {len(searches) - len(shown)} more", STYLES["faint"]))
        return lines

    def _share(self) -> float | None:
        if not self._total:
            return None
        return self._counts.settled / self._total

    def _facts(self, seconds: float) -> list[str]:
        """Questions, failures, share right, tokens, speed, and the time left once enough are done."""
        counts = self._counts
        done, there = counts.done + counts.failed, counts.settled
        facts = [f"{there:,} of {self._total:,}" if self._total else f"{there:,} done"]
        facts += counts.facts()
        tokens = counts.tokens + sum(state.tokens for state in self._flying.values())
        if seconds > 1.0:
            facts.append(f"{tokens / seconds:.0f} tok/s")
        if self._total and done >= _SETTLED:
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


def make_batch_view(
    counts: BatchCounts, total: int | None, *, live: bool, show_tree: bool = False, quiet: bool = False
) -> BatchView:
    """A view of that kind.

    Args:
        counts: What has become of the questions so far.
        total: Questions that there will be; None where nobody knows.
        live: Whether the cursor may move.
        show_tree: Draw the tree of a search where the view is live.
        quiet: Plain lines are left out.
    """
    if not live:
        return PlainBatch(counts, quiet)
    return LiveBatch(counts, total, show_tree=show_tree)
