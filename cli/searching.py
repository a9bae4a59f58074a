"""How a command runs a search: what is asked, the models that are opened, one search that is shown and kept.

What is not needed before the first line on the screen is imported where it is used.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from adascale.engine.codec import encodable
from adascale.engine.errors import UsageError
from adascale.engine.kind_table import entry_of
from adascale.engine.request import Request, SearchRequest
from adascale.engine.types import Problem, Turn
from adascale.models.options import FallbackOptions, Reporting, SessionOptions

from .disk.files import read_text
from .exit_codes import INTERRUPTED
from .options.command_line import env
from .render.display import open_renderer
from .terminal.console import draws_replies
from .terminal.lines import clean
from .terminal.progress import TransferView, consents
from .terminal.signals import SIGNALS, graceful
from .terminal.streams import read_piped, read_stdin, say, write_piece
from .terminal.text import plural

if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver
    from adascale.engine.search.events import Event
    from adascale.models import AnySession
    from adascale.models.fallback import Fallback
    from adascale.models.files.cache import DownloadPlan, Transfer
    from adascale.models.files.library import ModelFile
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray import Cluster

    from .options.settings import Settings
    from .render.state import ViewState
    from .render.views import SearchView

_FALLBACK_KEY = env("fallback_key")


def question_text(words: Sequence[str] | None, example: str, *, quiet: bool = False) -> str:
    """The question: what was typed, and below it what is piped in; without words, stdin alone.

    Args:
        words: As they were typed, without quotes or as one; ``-`` stands for stdin.
        example: A command that works, for the hint of an error.
        quiet: Say neither that a silent pipe is waited for, nor what was piped in.

    Raises:
        UsageError: the question is empty, or stdin is a terminal.
    """
    if not words and sys.stdin.isatty():
        raise UsageError("no question given", hint=example)
    is_typed = (argument := " ".join(words or ())) not in ("", "-") or words == [""]
    text = argument.strip() if is_typed else read_stdin().strip()
    if not text:
        raise UsageError("the question is empty", hint=example, slug="empty-question")
    piped = read_piped(quiet=quiet) if is_typed else ""
    if piped and not quiet:  # a loop over lines of stdin would lose all that follow
        lines = plural(len(piped.splitlines()), "line")
        say(f"adascale: put {lines} of stdin below the question (< /dev/null leaves stdin alone)")
    return encodable(f"{text}\n\n{piped}" if piped else text)  # type: ignore[no-any-return]


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """The JSON schema of an object in a file; None without a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    if path is None:
        return None
    from adascale.engine.tools.schema import object_schema

    try:
        schema = json.loads(read_text(path))
        json.dumps(schema, allow_nan=False)  # NaN and infinity are Python's, and no trace could hold them
        if not isinstance(schema, dict):
            raise ValueError("it is no object")
        object_schema(schema)
    except (ValueError, RecursionError, UsageError) as error:
        example = '{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}'
        said = f"{path} is no schema of an object: {error}"
        raise UsageError(said, hint=f"for example {example}", slug="bad-schema") from error
    return schema


def last_conversation() -> tuple[Turn, ...]:
    """The conversation of the last run that can be continued, its question and reply included.

    Raises:
        TraceError: no kept run can be continued.
    """
    from adascale.engine.answer import turns_after

    from .disk.traces import last_finished

    return turns_after(last_finished())


def choose_seed(seed: int | None, settings: Settings) -> int:
    """The seed of a run, a random one if none is given; with -v it is shown."""
    chosen = secrets.randbits(31) if seed is None else seed
    if settings.verbose:
        say(f"seed {chosen}")
    return chosen


def read_api_key(text: str, source: str) -> str:
    """An API key without the white space around it.

    Args:
        text: The key, perhaps the content of a file.
        source: The option or variable that sets it, as a user types it.

    Raises:
        UsageError: it is empty, or no HTTP header can carry it.
    """
    key = text.strip()
    if not key:
        raise UsageError("the API key is empty", hint=f"{source} with a key in it")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key has characters that no HTTP header carries", hint="a key of ASCII letters and digits"
        )
    return key


def open_fallback(options: FallbackOptions) -> Fallback | None:
    """The server that was chosen; None without one.

    Raises:
        UsageError: its URL or key cannot be used.
    """
    key = os.environ.pop(_FALLBACK_KEY, None)  # no process of ours inherits it
    if options.url is None:
        return None
    from adascale.models.fallback import Fallback

    return Fallback(options, None if key is None else read_api_key(key, _FALLBACK_KEY))


def say_status(settings: Settings) -> Callable[[str], None]:
    """A function that writes each status as a line on stderr, unless -q was given."""

    def say_line(text: str) -> None:
        if text and not settings.quiet:
            say(f"adascale: {text}")

    return say_line


@contextmanager
def reporting(
    options: SessionOptions, settings: Settings, status: Callable[[str], None]
) -> Iterator[Reporting]:
    """Callbacks of a session. The bars of downloads end at the first status: one of both has the terminal."""
    set_offline(options.offline)
    with ExitStack() as transferring:
        transfers = transferring.enter_context(TransferView())

        def tell(text: str) -> None:
            transferring.close()
            status(text)

        def consent(plan: DownloadPlan) -> bool:
            status("")
            return consents(plan, asks=not settings.yes)

        def show(transfer: Transfer) -> None:
            status("")
            transfers.on_progress(transfer)

        log = (lambda text: print(clean(text), end="", file=sys.stderr)) if settings.verbose > 1 else None
        yield Reporting(tell, None if settings.quiet else show, consent, log)


def _say_files(settings: Settings, files: Sequence[tuple[str, Path, str]]) -> None:
    if settings.verbose:
        for label, path, sha256 in files:
            say(f"{label} {path} sha256 {sha256[:12]}")


@contextmanager
def open_worker(
    options: SessionOptions, settings: Settings, status: Callable[[str], None]
) -> Iterator[Worker]:
    """Open the models of a run in a process of their own.

    Args:
        options: The models.
        settings: Those of the command.
        status: Shows a status line; an empty one frees the terminal.
    """
    with reporting(options, settings, status) as report:
        from adascale.models.worker.client import Worker

        with Worker(options, report, settings.keep_alive) as worker:
            _say_files(settings, worker.open_models.files)
            yield worker


@contextmanager
def open_cluster(
    options: SessionOptions, settings: Settings, status: Callable[[str], None]
) -> Iterator[Cluster]:
    """Open the models of a run on every node of a Ray cluster; as ``open_worker``."""
    set_offline(options.offline)
    from adascale.models.worker.ray import Cluster

    with Cluster(str(settings.ray), options, status) as cluster:
        _say_files(settings, cluster.open_models.files)
        yield cluster


@contextmanager
def open_session(options: SessionOptions, settings: Settings) -> Iterator[AnySession]:
    """Fetch, check and load the models of a calibration, in this process."""
    with reporting(options, settings, say_status(settings)) as report, ExitStack() as stack:
        from adascale import models

        session = models.open_session(options, report)
        files = session.listing()  # downloads what is missing
        # A signal in the middle of loading waits for the call into llama.cpp; a measurement is cut short.
        with graceful(session.abort.set, ends=SIGNALS):
            stack.enter_context(session)
        _say_files(settings, files)
        yield session


@contextmanager
def stoppable(session: AnySession, driver: Driver) -> Iterator[Driver]:
    """The driver; the first Ctrl-C stops it in the middle of a decode batch."""

    def stop() -> None:
        driver.interrupt()
        session.abort.set()

    with graceful(stop):
        yield driver


def set_offline(offline: bool) -> None:
    """Keep huggingface_hub off the network if ``offline``; call it before the import."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported


def fetch(reference: str, *, yes: bool, offline: bool, again: bool = False) -> ModelFile:
    """Find and check the file of a model, after a download if need be, and open nothing.

    Raises:
        ModelError, DiskFullError: it is not available.
    """
    set_offline(offline)
    from adascale.models.files.library import resolve

    with TransferView() as view:
        return resolve(
            reference, again=again, on_progress=view.on_progress, confirm=partial(consents, asks=not yes)
        )


def search_one(
    problem: Problem,
    search: SearchRequest,
    options: SessionOptions,
    settings: Settings,
    *,
    prints_reply: bool = False,
) -> ViewState:
    """Search one problem with models of this machine, show it and keep it.

    Args:
        problem: The question or task.
        search: How it is searched; an error in it costs no download.
        options: The models and their settings.
        settings: How the search is shown and kept.
        prints_reply: As of ``follow_search``.

    Returns:
        The record of a search that has a result.

    Raises:
        typer.Exit: it was interrupted before it began.
        AdascaleError: it could not run.
    """
    from adascale.engine.search.computed import computed_log

    # A model that stays open has places for whatever is asked next.
    session = options.for_one(search.strategy_for("value" if settings.keep_alive else problem.kind), search)
    with open_renderer(settings.quiet, show_tree=settings.show_tree) as renderer:
        if log := computed_log(Request(problem, search.settings(problem))):
            return ended(show_events(log, renderer, settings))
        with open_worker(session, settings, renderer.status) as worker:
            record = follow_search(worker, problem, search, renderer, settings, prints_reply=prints_reply)
    return ended(record)


def follow_search(
    worker: Worker,
    problem: Problem,
    search: SearchRequest,
    renderer: SearchView,
    settings: Settings,
    *,
    prints_reply: bool = False,
) -> ViewState | None:
    """Search with open models, show it and keep it; returns what the renderer has of it.

    Args:
        worker: The models.
        problem: The question or task.
        search: How it is searched.
        renderer: Shows it.
        settings: How it is kept.
        prints_reply: Write the reply to a chat message to stdout, piece by piece while it is generated; where
            one screen shows both, it is drawn instead.
    """
    seeded = replace(search, seed=choose_seed(search.seed, settings))
    opened = worker.open_models
    request = Request(problem, seeded.settings(problem, opened.conditions[problem.kind], opened.modes))
    is_printed = prints_reply and entry_of(problem).is_reply and not draws_replies(settings.quiet)
    renderer.take = partial(worker.cancel, problem.id, takes_answer=True)
    with graceful(worker.interrupt), closing(worker.serve([request])) as run:
        return show_events((event for _, event in run), renderer, settings, is_printed=is_printed)


def show_events(
    events: Iterable[Event], renderer: SearchView, settings: Settings, *, is_printed: bool = False
) -> ViewState | None:
    """Show the events of a search as they come, and keep them.

    Args:
        events: The log.
        renderer: Shows them.
        settings: How they are kept.
        is_printed: Write the reply to stdout, piece by piece.
    """
    from adascale.engine.answer import GrowingReply
    from adascale.engine.search.events import SearchFailed, SearchFinished

    from .disk.traces import open_run

    reply = GrowingReply()
    # Opened late: where there is no search there is no trace.
    trace = open_run() if settings.save else nullcontext()
    with trace as writer:
        for event in events:
            if writer is not None:
                writer.write(event)
            if is_printed and isinstance(event, SearchFinished | SearchFailed):
                write_piece("\n" if reply.sent else "")
            elif is_printed and (piece := reply.take(event)):
                renderer.status("")  # the terminal is free
                write_piece(piece)
            renderer.on(event)
    return renderer.record


def ended(record: ViewState | None) -> ViewState:
    """The record of a search that has a result; raises as ``search_one``."""
    from adascale.engine.search.events import SearchFailed

    if record is None:  # interrupted before the search has begun
        raise typer.Exit(INTERRUPTED)
    if isinstance(record.end, SearchFailed):
        raise record.end.error()
    return record
