"""What every renderer is, and which one a run gets."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Protocol, Self

from adascale.engine.search.events import Event
from adascale.engine.search.record import Record

ProgressChoice = Literal["auto", "live", "plain", "json", "none"]
"""What ``--progress`` accepts."""

RendererKind = Literal["live", "plain", "json", "none"]


class Display(Protocol):
    """Shows something on stderr; leaving the context ends it, so that stdout may be written to."""

    def __enter__(self) -> Self:
        """Start to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the display and give the terminal back."""

    def status(self, text: str) -> None:
        """Say what happens outside of a search, such as loading a model.

        With an empty text nothing is shown any more, and the terminal is free for something else.
        """


class Renderer(Display, Protocol):
    """Shows one search after another; it can neither slow nor change a search."""

    @property
    def record(self) -> Record | None:
        """What the events of the search so far add up to; None before it has begun."""

    def on(self, event: Event) -> None:
        """Take the next event of the search."""


def choose_progress(choice: ProgressChoice, quiet: int, animate: bool) -> RendererKind:
    """The renderer for a run.

    Args:
        choice: What the user asked for.
        quiet: Number of ``-q``; one silences progress, but not JSON, which was asked for by name.
        animate: Whether stderr is a terminal on which the cursor may move.
    """
    if choice == "json":
        return "json"
    if choice == "none" or quiet:
        return "none"
    # A live view in a file would fill it with cursor codes, whoever asked for it.
    return "live" if animate and choice != "plain" else "plain"


def make_renderer(kind: RendererKind, *, show_tree: bool = False, quiet: int = 0) -> Renderer:
    """A renderer of that kind.

    Args:
        kind: From ``choose_progress``.
        show_tree: Draw the tree: live where the view is live, else once at the end.
        quiet: From 1 on no summary, from 2 on no warnings.
    """
    if kind == "json":
        from .jsonl import JsonRenderer

        return JsonRenderer()
    if kind == "live":
        from .live import LiveRenderer

        return LiveRenderer(show_tree=show_tree, quiet=quiet)
    from .plain import NullRenderer, PlainRenderer

    return (PlainRenderer if kind == "plain" else NullRenderer)(show_tree=show_tree, quiet=quiet)
