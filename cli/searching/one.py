"""One search of ``ask``, ``code`` or ``chat``: shown on stderr, and its trace written."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import typer

from adascale.engine.strategies import Strategy
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions

from ..disk.files import check_output, is_trace
from ..exit_codes import INTERRUPTED
from ..options.parts import CodeSearchOptions, SearchOptions, ViewOptions
from ..render.renderer import Renderer, choose_progress, open_renderer
from ..terminal.console import may_animate, write_piece
from ..terminal.signals import STOPPING, graceful
from ..terminal.wrapping import Wrapping

if TYPE_CHECKING:
    from adascale.engine.search.events import Event
    from adascale.engine.search.settings import Request
    from adascale.models.worker.client import Worker

    from ..render.state import ViewState


def search_one(
    problem: Problem,
    strategy: Strategy,
    search: SearchOptions | CodeSearchOptions,
    options: SessionOptions,
    view: ViewOptions,
    *,
    prints_reply: bool = False,
) -> tuple[ViewState, float]:
    """Search one problem with models of this machine, show it and keep it.

    Args:
        problem: The question or task.
        strategy: Its strategy, which sets how many branches the models need.
        search: Budget, mode and seed.
        options: The models and their settings.
        view: How the search is shown and kept.
        prints_reply: As of ``follow_search``.

    Returns:
        The record of a search that has a result, and the seconds that loading took.

    Raises:
        typer.Exit: it was interrupted before it began.
        AdascaleError: it could not run.
    """
    if view.trace is not None:
        check_output(view.trace, "--trace another-name.jsonl", is_ours=is_trace)
    kind = choose_progress(view.terminal.quiet, may_animate())
    started = time.monotonic()
    with open_renderer(kind, show_tree=view.show_tree) as renderer:
        # Imported below the first line, as is all that is not needed to draw it.
        from .models import choose_seed, open_worker, request_for

        with open_worker(options.for_one(strategy, search.width), view.terminal, renderer.status) as worker:
            seed = choose_seed(search, view.terminal)
            request = request_for(problem, strategy, search, seed, worker.open_models)
            loaded = time.monotonic() - started
            record = follow_search(worker, request, renderer, view, prints_reply=prints_reply)
    return ended(record), loaded


def follow_search(
    worker: Worker,
    request: Request,
    renderer: Renderer,
    view: ViewOptions,
    *,
    prints_reply: bool = False,
    stopping: str = STOPPING,
) -> ViewState | None:
    """Search with open models, show it and keep it; returns what the renderer has of it.

    Args:
        worker: The models.
        request: The problem and its settings.
        renderer: Shows it.
        view: How it is kept.
        prints_reply: Write the reply to a chat message to stdout, piece by piece while it is generated.
        stopping: Said at the first Ctrl-C; empty for nothing.
    """
    from ..disk.history import open_run
    from ..disk.trace import TraceWriter

    reply = _PrintedReply(renderer.status) if prints_reply and request.problem.is_chat else None
    # Opened late: where there is no search there is no trace.
    trace = TraceWriter(view.trace) if view.trace else open_run() if view.save else nullcontext()
    with (
        trace as writer,
        graceful(worker.interrupt, stopping=stopping),
        closing(worker.serve([request])) as run,
    ):
        for _, event in run:
            if writer is not None:
                writer.write(event)
            if reply is not None:
                reply.on(event)
            renderer.on(event)
    return renderer.record


class _PrintedReply:
    """Prints the reply to a chat message while it is generated.

    Args:
        status: Status function of the renderer; an empty text frees the terminal.
    """

    def __init__(self, status: Callable[[str], None]) -> None:
        from adascale.engine.search.reply import GrowingReply

        self._status = status
        self._reply = GrowingReply()
        self._wrapping = Wrapping(shutil.get_terminal_size().columns) if sys.stdout.isatty() else None

    def on(self, event: Event) -> None:
        """Take the next event."""
        from adascale.engine.search.events import SearchFailed, SearchFinished

        if isinstance(event, SearchFinished | SearchFailed):
            if self._reply.sent:
                write_piece(f"{self._wrapping.end()}\n" if self._wrapping else "\n")
        elif piece := self._reply.take(event):
            self._status("")
            write_piece(self._wrapping.take(piece) if self._wrapping else piece)


def ended(record: ViewState | None) -> ViewState:
    """The record of a search that has a result; raises as ``search_one``."""
    from adascale.engine.search.events import SearchFailed

    if record is None:  # interrupted before the search has begun
        raise typer.Exit(INTERRUPTED)
    if isinstance(record.end, SearchFailed):
        raise record.end.error()
    return record
