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
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.events import Event, SearchFailed, SearchFinished
from adascale.engine.types import Problem

from .console import clean, say
from .options import RunOptions, with_run_options
from .record import answer_record, error_record
from .stdin import decode, read_stdin
from .wire import MAX_BRANCHES, open_session, settings_for, stoppable


@dataclass(slots=True)
class _Tally:
    done: int = 0
    failed: int = 0
    interrupted: bool = False


@with_run_options
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
                for problem, event in driver.run(problems, settings_for(options, session)):
                    logs.setdefault(problem.id, []).append(event)
                    if isinstance(event, SearchFinished | SearchFailed):
                        _done(logs.pop(problem.id), problem, tally, loaded, write)
                        _progress(tally, len(problems) + len(bad), options)
    if tally.interrupted:
        raise typer.Exit(130)
    if tally.failed:
        say(f"adascale: {tally.done} answered, {tally.failed} failed")
        raise typer.Exit(6)


def read_problems(source: str) -> tuple[list[Problem], list[tuple[Problem, AdascaleError]]]:
    """Problems of a file or stdin, and lines that are none, each with its error.

    Raises:
        UsageError: the file cannot be read or holds no question.
    """
    if source == "-":
        if sys.stdin.isatty():
            raise UsageError("no file given and nothing is piped in", hint="adascale batch questions.txt")
        text = read_stdin()
    else:
        try:
            text = decode(Path(source).read_bytes(), source)
        except OSError as exc:
            raise UsageError(f"{source} cannot be read: {exc.strerror or exc}") from exc
    problems: list[Problem] = []
    bad: list[tuple[Problem, AdascaleError]] = []
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            problem = _problem(number, line.strip(), seen)
        except UsageError as error:
            bad.append((Problem(str(number), line.strip(), meta={"line": number}), error))
        else:
            problems.append(problem)
    if not problems and not bad:
        raise UsageError(f"{'stdin' if source == '-' else source} holds no question")
    return problems, bad


def _problem(number: int, line: str, seen: set[str]) -> Problem:
    data: dict[str, Any] = {"question": line}
    if line.startswith("{"):
        try:
            data = json.loads(line)
        except ValueError as exc:
            raise UsageError(f"line {number} is not valid JSON: {exc}", slug="bad-line") from exc
    question = data.get("question")
    if not isinstance(question, str) or not question.strip():
        raise UsageError(f'line {number} has no text in its field "question"', slug="bad-line")
    id_ = str(data.get("id", number))
    if id_ in seen:
        raise UsageError(f'line {number} repeats the id "{id_}"', slug="bad-line")
    seen.add(id_)
    answer = data.get("answer")
    meta = {"line": number, **{k: v for k, v in data.items() if k not in ("id", "question", "answer")}}
    return Problem(id_, question.strip(), str(answer) if answer is not None else None, meta)


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
    loaded: float,
    write: Callable[[dict[str, Any]], None],
) -> None:
    last = log[-1]
    if isinstance(last, SearchFinished) and last.result.stop_reason == "interrupted":
        tally.interrupted = True  # a question that was cut off is not answered: nothing is written for it
        return
    record = answer_record(log, loaded, __version__)
    write({**problem.meta, **record})
    tally.done += record["status"] != "error"
    tally.failed += record["status"] == "error"


def _progress(tally: _Tally, total: int, options: RunOptions) -> None:
    if not options.quiet:
        say(f"adascale: {tally.done + tally.failed}/{total} done, {tally.failed} failed")


def _status(text: str) -> None:
    say(f"adascale: {clean(text)}")
