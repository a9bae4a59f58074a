"""The live view on a terminal: one status line, or the growing tree."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.text import Text

from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted, Warned
from adascale.engine.search.record import Record
from adascale.engine.types import Notice

from ..terminal.console import show_warning, stderr_console
from ..terminal.text import one_line
from ..terminal.theme import STYLES, Glyphs, glyphs_for
from .frame import FRAMES_PER_SECOND, final_frame, live_frame, status_line, waiting_line
from .state import ViewState
from .summary import summary, why


class LiveRenderer:
    """Draws four times a second, in Rich's thread, what the events so far add up to.

    ``on`` only queues its event, so that the search never waits for a drawing.
    """

    def __init__(self, *, show_tree: bool = False, quiet: int = 0) -> None:
        self._show_tree = show_tree
        self._quiet = quiet
        self._console = stderr_console()
        self._view = _View(show_tree, glyphs_for(sys.stderr))
        self._live = self._new_live()

    def __enter__(self) -> Self:
        """Something shows at once: imports and a large file take their time."""
        self.status("Loading...")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last picture, and show the cursor again."""
        self._stop()

    def on(self, event: Event) -> None:
        """Queue the event; the end of the search ends the display."""
        self._view.queue(event)
        if isinstance(event, SearchStarted):
            self._start()
        if isinstance(event, Warned) and self._quiet < 2 and self._view.is_new_warning(event):
            show_warning(event.notice)
        if isinstance(event, SearchFinished | SearchFailed):
            self._stop()
        if isinstance(event, SearchFinished) and not self._quiet:
            # The blank line keeps it apart from the answer, which stdout usually puts on the same screen.
            self._console.print(self._view.summary(), Text(), sep="\n")

    @property
    def record(self) -> Record | None:
        """What the events so far add up to."""
        return self._view.record

    def status(self, text: str) -> None:
        """Show it at once, in place of the search that has not begun."""
        self._view.message = text
        if not text:
            self._stop()
            return
        self._start()
        self._live.refresh()

    def _start(self) -> None:
        if not self._live.is_started:
            self._live = self._new_live()
            self._live.start()

    def _new_live(self) -> Live:
        return Live(
            get_renderable=lambda: self._view.picture(*self._console.size),
            console=self._console,
            refresh_per_second=FRAMES_PER_SECOND,
            redirect_stdout=False,
        )

    def _stop(self) -> None:
        """End the display; a tree that was asked for stays on the screen."""
        self._live.transient = not (self._show_tree and self._view.has_tree)
        # A terminal that has gone away must not hide why the program ends.
        with contextlib.suppress(OSError):
            self._live.stop()


class _View:
    """The state behind the display: events are queued by the search and folded when a frame is drawn."""

    def __init__(self, show_tree: bool, glyphs: Glyphs) -> None:
        self.message = ""
        self._show_tree = show_tree
        self._glyphs = glyphs
        self._queue: deque[Event] = deque()
        self._warned: set[Notice] = set()
        self._lock = threading.Lock()
        self._state: ViewState | None = None

    @property
    def has_tree(self) -> bool:
        """Whether there is a tree that should stay: none where the search could not run."""
        with self._lock:
            state = self._fold_queue()
            return state is not None and not isinstance(state.end, SearchFailed)

    @property
    def record(self) -> Record | None:
        """All events so far, folded."""
        with self._lock:
            return self._fold_queue()

    def queue(self, event: Event) -> None:
        """Keep an event for the next frame."""
        self._queue.append(event)

    def is_new_warning(self, event: Warned) -> bool:
        """Whether this warning was not given before."""
        new = event.notice not in self._warned
        self._warned.add(event.notice)
        return new

    def summary(self) -> Text:
        """The lines for the end of the search."""
        with self._lock:
            state = self._fold_queue()
            assert state is not None, "only a search that has ended has a summary"
            lines = [summary(state, self._glyphs)]
            if line := why(state):
                lines.append(Text(one_line(line, self._glyphs), STYLES["faint"]))
            return Text("\n").join(lines)

    def picture(self, width: int, height: int) -> Text:
        """The present frame."""
        with self._lock:
            state = self._fold_queue()
            tick = int(time.monotonic() * FRAMES_PER_SECOND)
            if state is None:
                return waiting_line(self.message, width, self._glyphs, tick)
            if not self._show_tree:
                return status_line(state, width, self._glyphs, tick)
            if state.result is not None:
                lines = final_frame(state, width, self._glyphs)
            else:
                lines = live_frame(state, width, height, self._glyphs, tick)
            return Text("\n", no_wrap=True).join(lines)

    def _fold_queue(self) -> ViewState | None:
        """The state after all queued events; the caller holds the lock."""
        while self._queue:
            self._state = ViewState.after(self._state, self._queue.popleft())
        return self._state
