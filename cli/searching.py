"""How a command runs one search: it is followed, shown and kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from adascale.engine.kind_table import entry_of
from adascale.engine.request import Request, SearchRequest
from adascale.engine.types import Notice, Problem
from adascale.models.options import SessionOptions

from .exit_codes import INTERRUPTED, NO_ANSWER
from .opening import open_worker
from .render.views import SearchView
from .terminal.console import draws_replies
from .terminal.signals import graceful
from .terminal.streams import say, write_json, write_payload, write_piece

if TYPE_CHECKING:
    from adascale.engine.answer import FallbackAnswer
    from adascale.engine.search.events import Event
    from adascale.models.worker.client import Worker

    from .options.settings import Settings
    from .render.state import ViewState


def choose_seed(seed: int | None, settings: Settings) -> int:
    """The seed of a run, a random one if none is given; with -v it is shown."""
    chosen = secrets.randbits(31) if seed is None else seed
    if settings.verbose:
        say(f"seed {chosen}")
    return chosen


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
    from adascale.engine.search.judging import computed_log

    # A model that stays open has places for whatever is asked next.
    session = options.for_one(search.strategy_for("value" if settings.keep_alive else problem.kind), search)
    with SearchView(settings.quiet, show_tree=settings.show_tree) as renderer:
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
    """Search with open models, show it and keep it; returns the renderer's state.

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

    from .disk.runs import open_run

    reply = GrowingReply()
    # Opened late: without a search there is no trace.
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


def finish(
    record: ViewState,
    settings: Settings,
    handed_on: FallbackAnswer | Notice | None = None,
    *,
    json_output: bool,
    prints: bool = True,
) -> None:
    """Write the answer of a command, and how likely it is.

    Args:
        record: The search of the question or task.
        settings: How the search is shown.
        handed_on: The answer of another server, or the reason why there is none.
        json_output: Write a JSON record.
        prints: Otherwise write the answer as text.

    Raises:
        Exit: The search was interrupted, or its answer is missing, unlikely or wrong.
    """
    from adascale.engine.answer import Answer

    from .render.closing import say_end, say_handed_on, write_answer
    from .report import answer_payload, answer_record

    least, verbose, kind = settings.min_confidence, settings.verbose, record.kind
    answer = Answer.of(record, least, handed_on)
    if json_output:
        write_json(answer_record(answer, least))
    elif answer.fallback is not None:
        write_payload(answer_payload(answer, verbose))
    elif prints and (not kind.is_reply or draws_replies(settings.quiet)):
        write_answer(record, says_end=not settings.quiet, verbose=verbose)
    if not settings.quiet:
        if answer.fallback is not None:
            say_handed_on(record, answer.fallback)
        say_end(record, verbose, advises=answer.fallback is None and not kind.has_tests)
        if answer.status == "low_confidence" and not answer.is_guess:
            say(f"adascale: less sure than -o min_confidence {least:g}")
    if answer.status != "answered":
        raise typer.Exit(INTERRUPTED if answer.status == "interrupted" else NO_ANSWER)
