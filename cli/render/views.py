"""Views of searches, one after another: live on a terminal, as plain lines elsewhere, or warnings alone.

Plain lines have no carriage return and no escape byte, whatever is set. What draws a search is imported with
its first event, so that a first line stands on the screen before that.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
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

from ..terminal.console import calling_on_enter, may_animate, plain_text, stderr_console, unechoed
from ..terminal.errors import show_warning
from ..terminal.lines import plain_width
from ..terminal.progress import Cadence
from ..terminal.streams import say
from ..terminal.text import DOT, one_line, spin

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from .state import ViewState


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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Free the terminal."""

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
        from .state import ViewState

        self.record = ViewState.after(self.record, event)
        return self.record

    def _show(self, state: ViewState, event: Event) -> None:
        if isinstance(event, SearchFinished) and self._draws_tree(state):
            from .tree import final_tree

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
        from .summary import leader_facts, status_facts

        if isinstance(event, SearchStarted):
            self._cadence, self._said_answer = Cadence(state.t), None
        elif isinstance(event, SearchFinished) or state.kind.is_reply:
            super()._show(state, event)
        elif state.answer != self._said_answer or self._cadence.is_due(state.t):
            self._cadence, self._said_answer = Cadence(state.t), state.answer
            say(f"adascale: {DOT.join([*leader_facts(state)[:2], *status_facts(state)])}")


class LiveView(SearchView):
    """The solutions side by side, or their growing tree, drawn four times a second in Rich's thread."""

    def __init__(self, *, show_tree: bool = False) -> None:
        super().__init__(show_tree=show_tree)
        self._console = stderr_console()
        self._live: Live | None = None
        self._silence = ExitStack()
        self._lock = threading.Lock()  # a frame is drawn under it: folding changes the state in place
        self._told = 0.0
        self._message = ""
        self._draws = self._stays = False

    def __enter__(self) -> Self:
        """Something shows at once: imports and a large file take their time."""
        self.status("Loading...")
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture, and show the cursor again."""
        self._stop()

    def status(self, text: str) -> None:
        """Show a line at once, above a search where there is one."""
        self._message = text
        if not text:
            self._stop()
            return
        live = self._started()
        if self._draws:
            self._console.print(one_line(text))
        live.refresh()

    def _started(self) -> Live:
        from rich.live import Live

        if self._live is None:
            self._silence.enter_context(unechoed())
            self._live = Live(get_renderable=self._frame, console=self._console, redirect_stdout=False)
            self._live.start()
        return self._live

    def _stop(self) -> None:
        if self._live is not None:
            self._live.transient = not (self._draws and self._stays)
            # A terminal that has gone away must not hide why the program ends.
            with contextlib.suppress(OSError):
                self._live.stop()
            self._live = None
        self._silence.close()

    def _fold(self, event: Event) -> ViewState:
        with self._lock:
            self._told = time.monotonic()
            return super()._fold(event)

    def _show(self, state: ViewState, event: Event) -> None:
        if isinstance(event, SearchStarted):
            self._draws, self._stays = True, self._draws_tree(state)
            self._started()
            if self.take is not None and sys.stdin.isatty():
                state.takes = True
                self._silence.enter_context(calling_on_enter(self.take))
        elif isinstance(event, SearchFinished | SearchFailed):
            self._stays &= isinstance(event, SearchFinished)  # what could not run leaves no tree
            self._stop()
            self._draws = False

    def _frame(self) -> RenderableType:
        """The present frame: the search, or before there is one a line that waits."""
        from rich.text import Text

        if not self._draws:
            line = Text(no_wrap=True, overflow="ellipsis").append(f"{spin()} ", "running")
            return line.append(one_line(self._message))
        from .solution import search_frame
        from .tree import final_tree, live_tree

        width, height = self._console.size
        height -= 1  # its end begins a line, and would scroll a full screen
        with self._lock:
            assert self.record is not None, "a search is shown from its first event on"
            self.record.waited = time.monotonic() - self._told
            if not self._draws_tree(self.record):
                return search_frame(self.record, height)
            if self.record.result is not None:
                return final_tree(self.record, width)
            return live_tree(self.record, width, height)


def new_view(quiet: int, *, show_tree: bool = False) -> SearchView:
    """A view of searches, a context at whose end stdout may be written to.

    Args:
        quiet: Number of ``-q``; one silences progress.
        show_tree: Draw the tree: while it grows if the view is live, or once at the end.
    """
    return (SearchView if quiet else LiveView if may_animate() else PlainView)(show_tree=show_tree)
