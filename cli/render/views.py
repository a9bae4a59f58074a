"""The live view of one search: the solutions that are being written, or the growing tree."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.text import Text

from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted, Warned
from adascale.engine.types import Notice

from ..report.batch_counts import BatchCounts
from ..terminal.console import STYLES, clean, say, show_warning
from ..terminal.progress import Cadence
from ..terminal.text import (
    DOT,
    LEFT,
    MARK_STYLES,
    SPENT,
    SPIN,
    clock,
    cut,
    duration,
    fitting,
    one_line,
    pad,
    plural,
)
from .display import LiveDisplay
from .solution import search_frame
from .state import ViewState
from .summary import progress_facts
from .tree import NARROW, WIDE, final_frame, live_frame


class LiveRenderer:
    """Shows a search on a live display: the solutions side by side, or their growing tree.

    ``on`` only queues its event, so that the search never waits for a drawing; a frame folds the queue.
    """

    def __init__(self, display: LiveDisplay, *, show_tree: bool = False) -> None:
        self._display = display
        self._show_tree = show_tree
        self._warned: set[Notice] = set()
        self._queue: deque[Event] = deque()
        self._lock = threading.RLock()  # a frame is drawn under it: folding changes the state in place
        self._state: ViewState | None = None
        self.status = display.status

    def on(self, event: Event) -> None:
        """Queue the event; the end of the search ends the display."""
        self._queue.append(event)
        if isinstance(event, SearchStarted):
            self._display.show(self)
        if isinstance(event, Warned) and event.notice not in self._warned:
            self._warned.add(event.notice)
            show_warning(event.notice)
        if isinstance(event, SearchFinished | SearchFailed):
            self._display.end()

    @property
    def record(self) -> ViewState | None:
        """The search, from the events so far."""
        with self._lock:
            while self._queue:
                self._state = ViewState.after(self._state, self._queue.popleft())
            return self._state

    @property
    def stays(self) -> bool:
        """A tree that was asked for stays, unless its search could not run."""
        state = self.record
        return state is not None and self._is_tree(state) and not isinstance(state.end, SearchFailed)

    def draw(self, width: int, height: int, tick: int) -> Text:
        """The present frame."""
        with self._lock:
            state = self._folded()
            if not self._is_tree(state):
                lines = search_frame(state, width, height, tick)
            elif state.result is not None:
                lines = final_frame(state, width)
            else:
                lines = live_frame(state, width, height, tick)
        return Text("\n", no_wrap=True).join(lines)

    def _folded(self) -> ViewState:
        state = self.record
        assert state is not None, "a search is shown from its first event on"
        return state

    def _is_tree(self, state: ViewState) -> bool:
        """True if the tree is drawn; a message has none to see, and stdout shows its reply."""
        return self._show_tree and not state.tree.problem.is_chat


_TREE_WIDTH = 100
_NARROWEST = 20


class FinalRenderer:
    """Shows no progress; at the end the tree, if asked for."""

    def __init__(self, *, show_tree: bool = False) -> None:
        self._show_tree = show_tree
        self._state: ViewState | None = None

    def on(self, event: Event) -> None:
        """Take the next event."""
        shown = self._state.notices if self._state is not None else []
        if isinstance(event, Warned) and event.notice not in shown:
            show_warning(event.notice)
        self._state = ViewState.after(self._state, event)
        if not self._state.tree.problem.is_chat:  # stdout shows its reply
            self._progress(self._state, event)
        if isinstance(event, SearchFinished) and self._show_tree and not self._state.tree.problem.is_chat:
            for line in final_frame(self._state, plain_width()):
                say(line.plain.rstrip())

    @property
    def record(self) -> ViewState | None:
        """The search, from the events so far."""
        return self._state

    def status(self, text: str) -> None:
        """Print nothing."""

    def _progress(self, state: ViewState, event: Event) -> None:
        """Progress of a running search; a subclass prints it."""


class PlainRenderer(FinalRenderer):
    """One line at most every ten seconds, and when another answer leads."""

    def __init__(self, *, show_tree: bool = False) -> None:
        super().__init__(show_tree=show_tree)
        self._cadence = Cadence(0.0)
        self._said_answer: str | None = None

    def status(self, text: str) -> None:
        """Say it as a line."""
        if text:
            self._say(one_line(text))

    def _progress(self, state: ViewState, event: Event) -> None:
        """Print a line if another answer leads, or ten seconds have passed."""
        if isinstance(event, SearchStarted):
            self._cadence, self._said_answer = Cadence(state.t), None
        elif isinstance(event, SearchFinished):
            return
        elif state.answer != self._said_answer or self._cadence.is_due(state.t):
            self._cadence, self._said_answer = Cadence(state.t), state.answer
            tokens = [plural(state.tokens, "token")] if state.tokens else []
            facts = [*progress_facts(state), *tokens, duration(state.t)]
            self._say(DOT.join(facts))

    @staticmethod
    def _say(text: str) -> None:
        say(f"adascale: {text}")


def plain_width() -> int:
    """``COLUMNS`` if it is a usable width, or 100."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) >= _NARROWEST else _TREE_WIDTH


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
