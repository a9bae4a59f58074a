"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from adascale import __version__
from adascale.engine.errors import UsageError
from adascale.engine.events import Event, SearchFailed, SearchFinished
from adascale.engine.types import Problem

from .console import clean, say
from .options import RunOptions
from .problems import read_problems
from .record import answer_record, error_record
from .shared import with_options
from .wire import MAX_BRANCHES, open_session, settings_for, stoppable


@dataclass(slots=True)
class _Tally:
    done: int = 0
    failed: int = 0
    interrupted: bool = False


@with_options(RunOptions)
def batch(
    source: Annotated[
        str,
        typer.Argument(metavar="[FILE|-]", help="JSON Lines with a question field, or one question a line."),
    ] = "-",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Where the JSON Lines go.")
    ] = "-",
    *,
    options: RunOptions,
) -> None:
    """Answer many questions; writes one JSON object a line as each is done."""
    problems, bad = read_problems(source)
    options.limits()
    tally = _Tally(failed=len(bad))
    started = time.monotonic()
    with ExitStack() as stack:
        write = stack.enter_context(_writer(output))
        for problem, error in bad:
            write(error_record(problem, error, __version__))
        if problems:
            status: Callable[[str], None] = (lambda text: None) if options.quiet else _status
            session = stack.enter_context(open_session(options, MAX_BRANCHES, status))
            loaded = time.monotonic() - started
            with stoppable(session) as driver:
                logs: dict[str, list[Event]] = {}
                for problem, event in driver.run(problems, settings_for(options, session, alone=False)):
                    logs.setdefault(problem.id, []).append(event)
                    if isinstance(event, SearchFinished | SearchFailed):
                        _done(logs.pop(problem.id), problem, tally, options, loaded, write)
                        _progress(tally, len(problems) + len(bad), options)
    if tally.interrupted:
        raise typer.Exit(130)
    if tally.failed:
        say(f"adascale: {tally.done} answered, {tally.failed} failed")
        raise typer.Exit(6)


@contextmanager
def _writer(output: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes one record as a whole line, at once."""

    def write(stream: TextIO, record: dict[str, Any]) -> None:
        stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        stream.flush()

    if output == "-":
        yield lambda record: write(sys.stdout, record)
        return
    with _opened(output) as stream:
        yield lambda record: write(stream, record)


def _opened(output: str) -> TextIO:
    try:
        return Path(output).open("w", encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}") from exc


def _done(
    log: list[Event],
    problem: Problem,
    tally: _Tally,
    options: RunOptions,
    loaded: float,
    write: Callable[[dict[str, Any]], None],
) -> None:
    last = log[-1]
    if isinstance(last, SearchFinished) and last.result.stop_reason == "interrupted":
        tally.interrupted = True  # a question that was cut off is not answered: nothing is written for it
        return
    record = answer_record(log, loaded, __version__, options.min_confidence)
    write({**problem.meta, **record})
    tally.done += record["status"] != "error"
    tally.failed += record["status"] == "error"


def _progress(tally: _Tally, total: int, options: RunOptions) -> None:
    if not options.quiet:
        say(f"adascale: {tally.done + tally.failed}/{total} done, {tally.failed} failed")


def _status(text: str) -> None:
    say(f"adascale: {clean(text)}")
