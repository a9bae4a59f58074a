"""``adascale ask``: one question."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from adascale import __version__
from adascale.engine.errors import UsageError
from adascale.engine.search.events import Event, SearchFailed, SearchFinished
from adascale.engine.search.replay import replay
from adascale.engine.types import Problem

from ..disk.files import check_writable
from ..disk.history import open_run
from ..disk.trace import TraceWriter
from ..open_models import open_worker, settings_for
from ..options.flatten import JsonOption, with_options
from ..options.run_options import ExtractOption, RunOptions, SaveOption, ShowTreeOption, TraceOption
from ..render.renderer import choose_progress, make_renderer
from ..report.answer import answer_payload
from ..report.record import answer_record, is_sure
from ..terminal.console import may_animate, read_stdin, say, write_payload
from ..terminal.json_output import write_json
from ..terminal.signals import graceful


@with_options(RunOptions)
def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="[QUESTION|-]",
            show_default=False,
            help="The question; - or nothing reads it from stdin. Put -- before one that begins with a dash.",
        ),
    ] = None,
    show_tree: ShowTreeOption = False,
    extract: ExtractOption = False,
    trace: TraceOption = None,
    save: SaveOption = True,
    json_output: JsonOption = False,
    *,
    options: RunOptions,
) -> None:
    """Answer one question by searching over reasoning steps.

    adascale ask "What is 17 * 23?"
    echo "What is 17 * 23?" | adascale ask -x
    adascale ask -T -g qwen2.5-coder-0.5b --effort high '3 pens cost $2. How many for $18?'
    """
    problem = Problem("1", question_text(question))
    options.limits()  # a wrong value is told before a model is loaded
    if trace is not None:
        check_writable(trace)
    kind = choose_progress(options.progress, options.quiet, may_animate())
    started = time.monotonic()
    with ExitStack() as stack:
        renderer = stack.enter_context(make_renderer(kind, show_tree=show_tree, quiet=options.quiet))
        branches = options.chosen().branches
        worker = stack.enter_context(open_worker(options, branches, renderer.status))
        loaded = time.monotonic() - started
        writer = stack.enter_context(_writer(trace, save))  # where there is no search there is no trace
        log: list[Event] = []
        with graceful(worker.interrupt):
            for _, event in worker.run([problem], settings_for(options, worker)):
                log.append(event)
                if writer is not None:
                    writer.write(event)
                renderer.on(event)
    finish(log, loaded, options, extract=extract, json_output=json_output)


def _writer(trace: Path | None, save: bool) -> AbstractContextManager[TraceWriter | None]:
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


def finish(
    log: list[Event], load_seconds: float, options: RunOptions, *, extract: bool, json_output: bool
) -> None:
    """Write the payload and leave with the exit code of the outcome."""
    last = log[-1]
    if isinstance(last, SearchFailed):
        raise last.error()
    assert isinstance(last, SearchFinished)
    if json_output:
        record = answer_record(log, load_seconds, __version__, options.min_confidence)
        write_json(record)
    elif payload := answer_payload(replay(log), last.result, extract):
        write_payload(payload)
    if last.result.stop_reason == "interrupted":
        raise typer.Exit(130)
    unsure = not is_sure(last.result, options.min_confidence)
    if unsure and last.result.stop_reason != "hopeless" and not options.quiet:
        say(f"adascale: less sure than --min-confidence {options.min_confidence:g}")
    if unsure or last.result.best is None or (extract and last.result.answer is None):
        raise typer.Exit(3)
