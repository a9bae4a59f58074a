"""One search of ``ask``, ``code`` or ``chat``: shown on stderr, and its trace written."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from adascale.engine.codec import encodable
from adascale.engine.errors import UsageError
from adascale.engine.strategies import Strategy
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions

from ..disk.files import check_output, is_trace
from ..exit_codes import INTERRUPTED
from ..options.parts import CodeSearchOptions, SearchOptions, ViewOptions
from ..render.renderer import Renderer, choose_progress, open_renderer
from ..terminal.console import may_animate, read_piped, read_stdin, say, write_piece
from ..terminal.signals import STOPPING, graceful
from ..terminal.text import plural
from ..terminal.wrapping import Wrapping

if TYPE_CHECKING:
    from adascale.engine.search.events import Event

    from ..disk.trace import TraceWriter
    from ..render.state import ViewState


def question_text(argument: str | None, example: str, *, quiet: bool = False) -> str:
    """The question: the argument, and below it what is piped in; without an argument, stdin alone.

    Args:
        argument: As it was typed; ``-`` stands for stdin.
        example: A command that works, for the hint of an error.
        quiet: Say neither that a silent pipe is waited for, nor what was piped in.

    Raises:
        UsageError: the question is empty, or stdin is a terminal.
    """
    if argument is None and sys.stdin.isatty():
        raise UsageError("no question given", hint=example)
    text = read_stdin().strip() if argument is None or argument == "-" else argument.strip()
    if not text:
        raise UsageError("the question is empty", hint=example, slug="empty-question")
    piped = "" if argument in (None, "-") else read_piped(quiet=quiet)
    if piped and not quiet:  # a loop over lines of stdin would lose all that follow
        lines = plural(len(piped.splitlines()), "line")
        say(f"adascale: put {lines} of stdin below the question (< /dev/null leaves stdin alone)")
    return encodable(f"{text}\n\n{piped}" if piped else text)  # type: ignore[no-any-return]


EventSource = tuple[Iterator["Event"], Callable[[], None]]
"""Events of a search that begins when they are read, and what ends it with its best answer so far."""

OpenSource = Callable[[Callable[[str], None]], AbstractContextManager[EventSource]]
"""Opens a search; its argument shows a status line meanwhile."""


def search_one(
    problem: Problem,
    strategy: Strategy,
    search: SearchOptions | CodeSearchOptions,
    options: SessionOptions,
    view: ViewOptions,
    *,
    prints_reply: bool = False,
) -> tuple[ViewState, float]:
    """Search one problem with models of this machine; returns and raises as ``show_search``.

    Args:
        problem: The question or task.
        strategy: Its strategy, which sets how many branches the models need.
        search: Budget, mode and seed.
        options: The models and their settings.
        view: How the search is shown and kept.
        prints_reply: As of ``show_search``.
    """
    session = options.for_one(strategy)

    @contextmanager
    def open_source(status: Callable[[str], None]) -> Iterator[EventSource]:
        # Imported below the first line, as is all that is not needed to draw it.
        from adascale.engine.search.settings import Request

        from .models import choose_seed, open_worker, settings_for

        with open_worker(session, view.terminal, status) as worker:
            settings = settings_for(problem, strategy, search, choose_seed(search, view.terminal), worker)
            events = worker.serve([Request(problem, settings)])
            yield (event for _, event in events), worker.interrupt

    return show_search(open_source, view, prints_reply=prints_reply)


def show_search(
    open_source: OpenSource, view: ViewOptions, *, prints_reply: bool = False
) -> tuple[ViewState, float]:
    """Show a search on stderr, and keep it.

    Args:
        open_source: Opens the search.
        view: How the search is shown and kept.
        prints_reply: Write the reply to a chat message to stdout, piece by piece while it is generated.

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
    with ExitStack() as stack:
        renderer = stack.enter_context(open_renderer(kind, show_tree=view.show_tree))
        source = stack.enter_context(open_source(renderer.status))
        loaded = time.monotonic() - started
        record = follow_search(source, renderer, view, prints_reply=prints_reply)
    return ended(record), loaded


def follow_search(
    source: EventSource,
    renderer: Renderer,
    view: ViewOptions,
    *,
    prints_reply: bool = False,
    stopping: str = STOPPING,
) -> ViewState | None:
    """Show a search whose models are open, and keep it; returns what the renderer has of it.

    Args:
        source: The search.
        renderer: Shows it.
        view: How it is kept.
        prints_reply: As of ``show_search``.
        stopping: Said at the first Ctrl-C; empty for nothing.
    """
    from adascale.engine.search.events import SearchFailed

    events, interrupt = source
    reply = _PrintedReply(renderer.status) if prints_reply else None
    # Opened late: where there is no search there is no trace.
    with _writer(view.trace, view.save) as writer, graceful(interrupt, stopping=stopping):
        for event in events:
            if writer is not None:
                writer.write(event)
            if reply is not None:
                reply.on(event)
            renderer.on(event)
            if isinstance(event, SearchFailed):
                break  # read on, a worker that has died would open its models again for nothing
    return renderer.record


class _PrintedReply:
    """Prints the reply to a chat message while it is generated; other searches print nothing here.

    Args:
        status: Status function of the renderer; an empty text frees the terminal.
    """

    def __init__(self, status: Callable[[str], None]) -> None:
        from adascale.engine.search.reply import GrowingReply

        self._status = status
        self._reply = GrowingReply()
        self._wrapping = Wrapping(shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
        self._is_chat = False

    def on(self, event: Event) -> None:
        """Take the next event."""
        from adascale.engine.search.events import SearchFailed, SearchFinished, SearchStarted

        if isinstance(event, SearchStarted):
            self._is_chat = event.problem.is_chat
        elif not self._is_chat:
            return
        elif isinstance(event, SearchFinished | SearchFailed):
            if self._reply.sent:
                write_piece(f"{self._wrapping.end()}\n" if self._wrapping else "\n")
        elif piece := self._reply.take(event):
            self._status("")
            write_piece(self._wrapping.take(piece) if self._wrapping else piece)


def _writer(trace: Path | None, save: bool) -> AbstractContextManager[TraceWriter | None]:
    from ..disk.history import open_run
    from ..disk.trace import TraceWriter

    if trace is not None:
        return TraceWriter(trace)
    return open_run() if save else nullcontext()


def ended(record: ViewState | None) -> ViewState:
    """The record of a search that has a result; raises as ``show_search``."""
    from adascale.engine.search.events import SearchFailed

    if record is None:  # interrupted before the search has begun
        raise typer.Exit(INTERRUPTED)
    if isinstance(record.end, SearchFailed):
        raise record.end.error()
    return record
