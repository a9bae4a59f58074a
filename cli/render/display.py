"""The live display on a terminal: a picture that is redrawn, and before there is one a line that waits.

It stands alone, so that its first line is on the screen before all that draws a search is imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.text import Text

from ..terminal.console import calling_on_enter, may_animate, stderr_console, unechoed
from ..terminal.text import one_line, spin

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .views import SearchView


Draw = Callable[[int, int], "RenderableType"]
"""Draws the present frame for a terminal of so many columns and lines; called from Rich's thread."""


class LiveDisplay:
    """Redraws a picture four times a second, in Rich's thread; use it as a context manager.

    Attributes:
        stays: The last frame stays on the screen when the display ends.
    """

    def __init__(self) -> None:
        self._console = stderr_console()
        self._draw: Draw | None = None
        self.stays = False
        self._message = ""
        self._live = self._new_live()
        self._silence = ExitStack()

    def __enter__(self) -> Self:
        """Something shows at once: imports and a large file take their time."""
        self.status("Loading...")
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture, and show the cursor again."""
        self.stop()

    def status(self, text: str) -> None:
        """Show a line at once, above a picture where there is one; with an empty text free the terminal."""
        self._message = text
        if not text:
            self.stop()
            return
        self._start()
        if self._draw is not None:
            self._console.print(one_line(text))
        self._live.refresh()

    def show(self, draw: Draw, *, stays: bool = False, on_enter: Callable[[], None] | None = None) -> None:
        """Show a picture from now on, whose last frame ``stays`` on the screen.

        Until it stops, Enter calls ``on_enter`` in a thread of its own.
        """
        self._draw, self.stays = draw, stays
        self._start()
        if on_enter is not None:
            self._silence.enter_context(calling_on_enter(on_enter))

    def stop(self) -> None:
        """Free the terminal; ``status`` and ``show`` begin anew."""
        self._live.transient = self._draw is None or not self.stays
        # A terminal that has gone away must not hide why the program ends.
        with contextlib.suppress(OSError):
            self._live.stop()
        self._silence.close()

    def end(self) -> None:
        """Stop, and forget the picture: the next ``status`` stands alone."""
        self.stop()
        self._draw = None

    def _start(self) -> None:
        if not self._live.is_started:
            self._silence.enter_context(unechoed())
            self._live = self._new_live()
            self._live.start()

    def _new_live(self) -> Live:
        return Live(get_renderable=self._frame, console=self._console, redirect_stdout=False)

    def _frame(self) -> RenderableType:
        if self._draw is not None:
            width, height = self._console.size
            return self._draw(width, height - 1)  # its end begins a line, and would scroll a full screen
        line = Text(no_wrap=True, overflow="ellipsis").append(f"{spin()} ", "running")
        return line.append(one_line(self._message))


@contextmanager
def open_renderer(quiet: int, *, show_tree: bool = False) -> Iterator[SearchView]:
    """Yield a view of searches; at the end of the context stdout may be written to.

    Args:
        quiet: Number of ``-q``; one silences progress.
        show_tree: Draw the tree: while it grows if the view is live, or once at the end.
    """
    if not quiet and may_animate():
        with LiveDisplay() as display:
            from .views import LiveView  # what draws a search is imported below the first line

            yield LiveView(display, show_tree=show_tree)
    else:
        from .views import PlainView, SearchView

        yield (SearchView if quiet else PlainView)(show_tree=show_tree)
