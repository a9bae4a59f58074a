"""The live view of one search: the solutions that are being written, or the growing tree."""

from __future__ import annotations

import threading
from collections import deque

from rich.text import Text

from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted, Warned
from adascale.engine.types import Notice

from ..terminal.console import show_warning
from .display import LiveDisplay
from .frame import final_frame, live_frame
from .places import search_frame
from .state import ViewState


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
