"""Views of a search or of a batch: live on a terminal, and plain lines for pipes, logs and dumb terminals.

Plain lines have no carriage return and no escape byte, whatever is set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted, Warned
from adascale.engine.types import Notice

from ..report import BatchCounts
from ..terminal.console import clean, plain_text, plain_width, say, show_warning
from ..terminal.progress import Cadence
from ..terminal.text import DOT, clock, cut, duration, one_line, plural, spin
from .display import LiveDisplay
from .solution import fact_line, search_frame
from .state import ViewState
from .summary import progress_facts
from .tree import final_tree, live_tree

_ID_CELLS = 16

_LEAST_DONE = 3
"""Questions that must be done before a time left is shown: fewer are no measurement."""


class SearchView:
    """Shows one search after another on stderr; this one only warnings, and the tree at the end if asked for.

    Attributes:
        record: The search, from the events so far; None before it has begun.
    """

    def __init__(self, *, show_tree: bool = False) -> None:
        self.record: ViewState | None = None
        self._show_tree = show_tree
        self._warned: set[Notice] = set()

    def status(self, text: str) -> None:
        """Show what happens outside a search, such as the loading of a model.

        An empty text ends that, and the terminal is free for something else.
        """

    def on(self, event: Event) -> None:
        """Take the next event of the search."""
        if isinstance(event, Warned) and event.notice not in self._warned:
            self._warned.add(event.notice)
            show_warning(event.notice)
        state = self._fold(event)
        self._show(state, event)

    def _fold(self, event: Event) -> ViewState:
        self.record = ViewState.after(self.record, event)
        return self.record

    def _show(self, state: ViewState, event: Event) -> None:
        if isinstance(event, SearchFinished) and self._draws_tree(state):
            say(plain_text(final_tree(state, plain_width()), plain_width()))

    def _draws_tree(self, state: ViewState) -> bool:
        """True if the tree is drawn; a message has none to see, and stdout shows its reply."""
        return self._show_tree and not state.tree.problem.is_chat


class PlainView(SearchView):
    """One line at most every ten seconds, and when another answer leads."""

    _said_answer: str | None = None
    _cadence = Cadence(0.0)

    def status(self, text: str) -> None:
        """Say it as a line."""
        if text:
            say(f"adascale: {one_line(text)}")

    def _show(self, state: ViewState, event: Event) -> None:
        if isinstance(event, SearchStarted):
            self._cadence, self._said_answer = Cadence(state.t), None
        elif isinstance(event, SearchFinished) or state.tree.problem.is_chat:
            super()._show(state, event)
        elif state.answer != self._said_answer or self._cadence.is_due(state.t):
            self._cadence, self._said_answer = Cadence(state.t), state.answer
            tokens = [plural(state.tokens, "token")] if state.tokens else []
            say(f"adascale: {DOT.join([*progress_facts(state), *tokens, duration(state.t)])}")


class LiveView(SearchView):
    """The solutions side by side, or their growing tree, on a live display."""

    def __init__(self, display: LiveDisplay, *, show_tree: bool = False) -> None:
        super().__init__(show_tree=show_tree)
        self._display = display
        self._lock = threading.Lock()  # a frame is drawn under it: folding changes the state in place

    def status(self, text: str) -> None:
        """Show it above the search, or in its place."""
        self._display.status(text)

    def _fold(self, event: Event) -> ViewState:
        with self._lock:
            return super()._fold(event)

    def _show(self, state: ViewState, event: Event) -> None:
        if isinstance(event, SearchStarted):
            self._display.show(self.draw, stays=self._draws_tree(state))
        elif isinstance(event, SearchFinished | SearchFailed):
            self._display.stays &= isinstance(event, SearchFinished)  # what could not run leaves no tree
            self._display.end()

    def draw(self, width: int, height: int) -> RenderableType:
        """The present frame."""
        with self._lock:
            assert self.record is not None, "a search is shown from its first event on"
            if not self._draws_tree(self.record):
                return search_frame(self.record, height)
            if self.record.result is not None:
                return final_tree(self.record, width)
            return live_tree(self.record, width, height)


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
        """Take the next event of a question, by its id; after its last one it has its record."""
        if self._quiet or not isinstance(event, SearchFinished | SearchFailed):
            return
        now = time.monotonic()
        if self._cadence.is_due(now):
            say(f"adascale: {self._counts.headline()}, {duration(now - self._started)}")


class LiveBatch:
    """Draws a bar and the counts, then a line for each search in flight.

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
        self._lock = threading.Lock()
        self._begun: float | None = None
        self.status = display.status

    def on(self, problem: str, event: Event) -> None:
        """Take the next event of a question, by its id; after its last one it has its record."""
        with self._lock:
            if isinstance(event, SearchFinished | SearchFailed):
                self._flying.pop(problem, None)
            else:
                self._flying[problem] = ViewState.after(self._flying.get(problem), event)
        if self._begun is None:
            self._begun = time.monotonic()
            self._display.show(self.draw)

    def draw(self, width: int, height: int) -> RenderableType:
        """The present frame: the oldest searches in flight, as far as there is room."""
        assert self._begun is not None, "a batch is shown from its first event on"
        with self._lock:
            head = Table.grid(padding=(0, 2, 0, 0))
            facts = fact_line(self._facts(time.monotonic() - self._begun), style="")
            total, done = self._total or 1, self._counts.settled
            bar = [ProgressBar(total, done, width=min(30, width // 4))] if self._total else []
            head.add_row(*bar, facts)
            room = max(0, height - 2)
            shown = list(self._flying.items())[: room if len(self._flying) <= room else max(0, room - 1)]
            searches = Table.grid(padding=(0, 2, 0, 0))
            for id_, state in shown:
                name = fact_line([cut(one_line(id_), _ID_CELLS)], f"{spin()} ", "bold")
                searches.add_row(name, fact_line(progress_facts(state)))
            hidden = len(self._flying) - len(shown)
            more = [Text(f"  and {hidden} more", "faint")] if hidden and room else []
            return Group(head, *([searches] if shown else []), *more)

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


@contextmanager
def open_batch_view(
    counts: BatchCounts, total: int | None, *, live: bool, quiet: bool
) -> Iterator[PlainBatch | LiveBatch]:
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
