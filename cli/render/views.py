"""The view of running searches on stderr: a live picture, plain lines, or warnings alone.

Plain lines never have a carriage return or an escape byte. Pictures are imported with the first
event of a search, so that a first line stands on the screen before that.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from adascale.engine.search.events import (
    OUT_OF_DISTRIBUTION,
    Event,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    Warned,
)
from adascale.engine.types import Notice

from ..terminal.console import may_animate, plain_text, stderr_console
from ..terminal.errors import show_warning
from ..terminal.progress import LINE_EVERY_S
from ..terminal.signals import keyboard
from ..terminal.streams import say
from ..terminal.text import DOT, one_line, plain_width, spin

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from .state import ViewState


class SearchView:
    """Shows one search after another; a context at whose end stdout may be written to.

    On a terminal Rich's thread draws a picture four times a second. Elsewhere a line is written at most every
    ten seconds, and when another answer leads.

    Args:
        quiet: Number of ``-q``; with one there is no progress, only warnings and the tree.
        show_tree: Draw all steps while a live search runs, and leave the whole tree at the end of any.

    Attributes:
        record: The search, from the events so far; None before it has begun.
        take: Ends the search that runs with the answer so far; None if nothing can.
    """

    def __init__(self, quiet: int = 0, *, show_tree: bool = False) -> None:
        self.record: ViewState | None = None
        self.take: Callable[[], None] | None = None
        self._show_tree = show_tree
        self._output = "none" if quiet else "picture" if may_animate() else "lines"
        self._warned: set[Notice] = set()
        self._live: Live | None = None
        self._keys = ExitStack()
        self._lock = threading.Lock()  # a frame is drawn under it: folding changes the record in place
        self._is_searching = False
        self._last_event = 0.0
        self._message = ""
        self._line_answer: str | None = None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        """Show something at once: imports and a large file take their time."""
        if self._output == "picture":
            self.status("Loading...")
        return self

    def __exit__(self, *_: object) -> None:
        """Free the terminal."""
        self._stop()

    def status(self, text: str) -> None:
        """Show the step before a search, such as the loading of a model; a running search goes on below it.

        An empty text frees the terminal for something else.
        """
        self._message = text
        if not text:
            self._stop()
        elif self._output == "picture":
            self._start()
            if self._is_searching:
                stderr_console().print(one_line(text))
        elif self._output == "lines":
            say(f"adascale: {one_line(text)}")

    def on(self, event: Event) -> None:
        """Take the next event of the search."""
        from .state import ViewState

        if isinstance(event, Warned) and event.notice not in self._warned:
            self._warned.add(event.notice)
            if (
                event.notice.code != OUT_OF_DISTRIBUTION
            ):  # the word "about" beside the number has the same meaning
                show_warning(event.notice)
        with self._lock:
            self._last_event = time.monotonic()
            self.record = state = ViewState.after(self.record, event)
        if isinstance(event, SearchStarted):
            self._is_searching, self._line_answer, self._next_line = True, None, event.t + LINE_EVERY_S
            state.takes = self.take is not None and sys.stdin.isatty()
            if self._output == "picture":
                self._start()
        elif isinstance(event, SearchFinished | SearchFailed):
            self._stop()
            self._is_searching = False
            if self._show_tree and isinstance(event, SearchFinished) and not state.kind.is_reply:
                self._leave_tree(state)
        elif self._output == "lines" and not state.kind.is_reply:
            self._write_line(state)

    def _write_line(self, state: ViewState) -> None:
        from .summary import leader_facts, status_facts

        if state.answer != self._line_answer or state.t >= self._next_line:
            self._line_answer, self._next_line = state.answer, state.t + LINE_EVERY_S
            say(f"adascale: {DOT.join([*leader_facts(state)[:2], *status_facts(state)])}")

    def _leave_tree(self, state: ViewState) -> None:
        from .picture import final_tree

        if self._output == "picture":
            stderr_console().print(final_tree(state, stderr_console().width))
        else:
            say(plain_text(final_tree(state, plain_width()), plain_width()))

    def _start(self) -> None:
        from rich.live import Live

        if self._live is None:
            self._keys.enter_context(keyboard(self._on_enter))
            console = stderr_console()
            self._live = Live(
                get_renderable=self._frame, console=console, redirect_stdout=False, transient=True
            )
            self._live.start()
        self._live.refresh()

    def _stop(self) -> None:
        # A terminal that has gone away must not hide why the program ends.
        with suppress(OSError):
            if self._live is not None:
                self._live.stop()
        self._live = None
        self._keys.close()

    def _on_enter(self) -> None:
        if self._is_searching and self.take is not None:
            self.take()

    def _frame(self) -> RenderableType:
        """The search, or the message before there is one."""
        from rich.text import Text

        with self._lock:
            if not self._is_searching or self.record is None:
                line = Text(no_wrap=True, overflow="ellipsis").append(f"{spin()} ", "running")
                return line.append(one_line(self._message))
            from .picture import search_frame

            self.record.waited = time.monotonic() - self._last_event
            console = stderr_console()
            # The end of a picture begins a line, and would scroll a full screen.
            return search_frame(self.record, console, console.height - 1, show_tree=self._show_tree)
