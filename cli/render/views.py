"""Views of a search: live on a terminal, and plain lines for pipes, logs and dumb terminals.

Plain lines have no carriage return and no escape byte, whatever is set.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from rich.console import RenderableType

from adascale.engine.search.events import (
    OUT_OF_DISTRIBUTION,
    Event,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    Warned,
)
from adascale.engine.types import Notice

from ..terminal.console import plain_text
from ..terminal.errors import show_warning
from ..terminal.lines import plain_width
from ..terminal.progress import Cadence
from ..terminal.streams import say
from ..terminal.text import DOT, one_line
from .display import LiveDisplay
from .solution import search_frame
from .state import ViewState
from .summary import leader_facts, status_facts
from .tree import final_tree, live_tree


class SearchView:
    """Shows one search after another on stderr; this one only warnings, and the tree at the end if asked for.

    Attributes:
        record: The search, from the events so far; None before it has begun.
        take: Ends the search that runs with the answer as it stands; None if nothing can.
    """

    def __init__(self, *, show_tree: bool = False) -> None:
        self.record: ViewState | None = None
        self.take: Callable[[], None] | None = None
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
            if event.notice.code != OUT_OF_DISTRIBUTION:  # "about" says it
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
        return self._show_tree and not state.kind.is_reply


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
        elif isinstance(event, SearchFinished) or state.kind.is_reply:
            super()._show(state, event)
        elif state.answer != self._said_answer or self._cadence.is_due(state.t):
            self._cadence, self._said_answer = Cadence(state.t), state.answer
            say(f"adascale: {DOT.join([*leader_facts(state)[:2], *status_facts(state)])}")


class LiveView(SearchView):
    """The solutions side by side, or their growing tree, on a live display."""

    def __init__(self, display: LiveDisplay, *, show_tree: bool = False) -> None:
        super().__init__(show_tree=show_tree)
        self._display = display
        self._lock = threading.Lock()  # a frame is drawn under it: folding changes the state in place
        self._told = 0.0

    def status(self, text: str) -> None:
        """Show it above the search, or in its place."""
        self._display.status(text)

    def _fold(self, event: Event) -> ViewState:
        with self._lock:
            self._told = time.monotonic()
            return super()._fold(event)

    def _show(self, state: ViewState, event: Event) -> None:
        if isinstance(event, SearchStarted):
            state.takes = self.take is not None and sys.stdin.isatty()
            on_enter = self.take if state.takes else None
            self._display.show(self.draw, stays=self._draws_tree(state), on_enter=on_enter)
        elif isinstance(event, SearchFinished | SearchFailed):
            self._display.stays &= isinstance(event, SearchFinished)  # what could not run leaves no tree
            self._display.end()

    def draw(self, width: int, height: int) -> RenderableType:
        """The present frame."""
        with self._lock:
            assert self.record is not None, "a search is shown from its first event on"
            self.record.waited = time.monotonic() - self._told
            if not self._draws_tree(self.record):
                return search_frame(self.record, height)
            if self.record.result is not None:
                return final_tree(self.record, width)
            return live_tree(self.record, width, height)
