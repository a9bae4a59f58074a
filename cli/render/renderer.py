"""The renderer of a search: its protocol, and the choice of one for a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from adascale.engine.search.events import Event

    from .state import ViewState

RendererKind = Literal["live", "plain", "none"]


class Renderer(Protocol):
    """Shows one search after another on stderr; it can neither slow nor change a search."""

    @property
    def record(self) -> ViewState | None:
        """The search, from the events so far; None before it has begun."""

    @property
    def status(self) -> Callable[[str], None]:
        """Shows what happens outside a search, such as the loading of a model.

        An empty text ends that, and the terminal is free for something else.
        """

    def on(self, event: Event) -> None:
        """Take the next event of the search."""


def choose_progress(quiet: int, animate: bool) -> RendererKind:
    """The renderer for a run.

    Args:
        quiet: Number of ``-q``; one silences progress.
        animate: Stderr is a terminal on which the cursor may move.
    """
    if quiet:
        return "none"
    return "live" if animate else "plain"


@contextmanager
def open_renderer(kind: RendererKind, *, show_tree: bool = False) -> Iterator[Renderer]:
    """Yield a renderer; at the end of the context stdout may be written to.

    Args:
        kind: From ``choose_progress``.
        show_tree: Draw the tree: while it grows if the view is live, or once at the end.
    """
    if kind == "live":
        from .display import LiveDisplay

        with LiveDisplay() as display:
            from .live import LiveRenderer  # what draws a search is imported below the first line

            yield LiveRenderer(display, show_tree=show_tree)
    else:
        from .plain import FinalRenderer, PlainRenderer

        yield (PlainRenderer if kind == "plain" else FinalRenderer)(show_tree=show_tree)
