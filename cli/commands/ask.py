"""``adascale ask``: one question."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale import __version__
from adascale.engine.errors import UsageError
from adascale.engine.types import Problem

from ..disk.files import check_writable
from ..exit_codes import INTERRUPTED, NO_ANSWER
from ..options.flatten import with_options
from ..options.groups import MAX_BRANCHES, AskOptions
from ..render.renderer import choose_progress, open_renderer
from ..terminal.console import may_animate, read_stdin, say, write_json, write_payload
from ..terminal.signals import graceful

if TYPE_CHECKING:
    from adascale.engine.search.record import Record

    from ..disk.trace import TraceWriter


@with_options(AskOptions)
def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="[QUESTION|-]",
            show_default=False,
            help="The question; - or nothing reads it from stdin. Put -- before one that begins with a dash.",
        ),
    ] = None,
    *,
    options: AskOptions,
) -> None:
    """Answer one question by searching over reasoning steps.

    adascale ask "What is 17 * 23?"
    echo "What is 17 * 23?" | adascale ask -x
    adascale ask -T -g qwen2.5-coder-0.5b --effort high '3 pens cost $2. How many for $18?'
    """
    problem = Problem("1", question_text(question))
    if options.trace is not None:
        check_writable(options.trace)
    search, terminal = options.search, options.terminal
    branches = min(search.make_strategy().branches, MAX_BRANCHES)
    session = replace(options.session, branches=branches)
    kind = choose_progress(options.progress, terminal.quiet, may_animate())
    started = time.monotonic()
    with ExitStack() as stack:
        renderer = stack.enter_context(open_renderer(kind, show_tree=options.show_tree, quiet=terminal.quiet))
        # Imported below the first line, as is all that is not needed to draw it.
        from ..open_models import open_worker, settings_for

        worker = stack.enter_context(open_worker(session, terminal, renderer.status))
        loaded = time.monotonic() - started
        # Opened late: where there is no search there is no trace.
        writer = stack.enter_context(_writer(options.trace, options.save))
        with graceful(worker.interrupt):
            for _, event in worker.run([problem], settings_for(search, terminal, worker)):
                if writer is not None:
                    writer.write(event)
                renderer.on(event)
    finish(renderer.record, loaded, options)


def _writer(trace: Path | None, save: bool) -> AbstractContextManager[TraceWriter | None]:
    from ..disk.history import open_run
    from ..disk.trace import TraceWriter

    if trace is not None:
        return TraceWriter(trace)
    return open_run() if save else nullcontext()


def question_text(argument: str | None) -> str:
    """The question from the argument or stdin.

    Raises:
        UsageError: it is empty, or there is nobody to read it from.
    """
    if argument is None and sys.stdin.isatty():
        raise UsageError(
            "no question given",
            hint='adascale ask "What is 17 * 23?"   or   echo "What is 17 * 23?" | adascale ask',
        )
    text = read_stdin() if argument in (None, "-") else argument
    if not text or not text.strip():
        raise UsageError(
            "the question is empty", hint='adascale ask "What is 17 * 23?"', slug="empty-question"
        )
    return text.strip()


def finish(record: Record | None, load_seconds: float, options: AskOptions) -> None:
    """Write the payload and leave with the exit code of the outcome."""
    from adascale.engine.search.events import SearchFailed

    from ..report.answer import answer_payload, answer_record, is_sure

    if record is None:  # interrupted before the search has begun
        raise typer.Exit(INTERRUPTED)
    if isinstance(record.end, SearchFailed):
        raise record.end.error()
    result = record.result
    assert result is not None, "a search that was run to its end has a result"
    min_confidence = options.search.min_confidence
    if options.json_output:
        write_json(answer_record(record, load_seconds, __version__, min_confidence))
    elif payload := answer_payload(record, options.extract):
        write_payload(payload)
    if result.stop_reason == "interrupted":
        raise typer.Exit(INTERRUPTED)
    unsure = not is_sure(result, min_confidence)
    if unsure and result.stop_reason != "hopeless" and not options.terminal.quiet:
        say(f"adascale: less sure than --min-confidence {min_confidence:g}")
    if unsure or result.best is None or (options.extract and result.answer is None):
        raise typer.Exit(NO_ANSWER)
