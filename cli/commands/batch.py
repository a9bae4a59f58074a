"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from adascale.engine.answer import Answer
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.request import Request
from adascale.engine.search.events import SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.strategies import Strategy
from adascale.engine.types import KindName, Notice, Problem
from adascale.models.questions import BadLine, count_lines, read_problems

from ..disk.files import check_apart
from ..disk.results import Results, open_results, run_conditions
from ..disk.traces import TraceFolder
from ..exit_codes import INTERRUPTED, PARTIAL
from ..options.by_command import BatchOptions, session_for
from ..options.settings import chooses_search, with_options
from ..render.display import choose_progress
from ..render.views import open_batch_view
from ..report.answer import FIELDS, answer_record, error_record, run_fields
from ..report.batch_counts import BatchCounts
from ..searching import (
    choose_seed,
    hand_on,
    open_cluster,
    open_fallback,
    open_worker,
    read_schema,
    request_for,
)
from ..terminal.console import may_animate, say, show_error, show_warning, stdin_stream
from ..terminal.signals import graceful
from ..terminal.text import plural

if TYPE_CHECKING:
    from adascale.models.fallback import Fallback
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray import Cluster

_WIDTH = 4
"""Solutions of a question that run side by side at most: questions fill the batch, and a wider search draws
more."""

_MOST_WARNINGS = 5
"""Failures that get a warning each; the summary counts the others."""


@with_options(BatchOptions)
def batch(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="JSON Lines, CSV with a header, or one question a line."),
    ] = "-",
    *,
    context: typer.Context,
    options: BatchOptions,
) -> None:
    """Answer many questions, and write one JSON object a line as each is done.

    adascale batch questions.jsonl --output answers.jsonl
    cat questions.txt | adascale batch --effort low > answers.jsonl

    The same command continues where it stopped, and asks failed questions again.
    """
    path = Path(source)
    answers = "answers.jsonl" if source == "-" else str(path.parent / f"{path.stem}.answers.jsonl")
    check_apart(options.output, [source, *options.session.references()], f"--output {shlex.quote(answers)}")
    strategies: dict[KindName, Strategy] = {
        kind: options.search.make_code_strategy()
        if kind == "code"
        else options.search.make_strategy(kind, beside_tasks=True)
        for kind in KINDS
    }
    stream = stdin_stream("adascale batch questions.txt") if source == "-" else path
    lines = _read_lines(stream, options, search_all=chooses_search(context))
    if options.dry_run:
        _say_plan(lines, strategies, options)
        return
    fallback = open_fallback(options.fallback)
    with open_results(options.output, overwrite=options.overwrite) as results:
        run = _Run(options, source, strategies, results, fallback)
        run.ask_all(lines)
    _finish(run.counts, source, options)


@dataclass(slots=True)
class _Run:
    """One run: searches every question without a record, and writes one for each.

    Attributes:
        options: Options of the command.
        source: The input, as it was typed.
        strategies: Strategy of each kind of problem.
        results: Records of earlier runs and of this one.
        fallback: The server that gets questions whose answer is not sure enough; None for none.
        counts: Outcomes so far.
    """

    options: BatchOptions
    source: str
    strategies: Mapping[KindName, Strategy]
    results: Results
    fallback: Fallback | None
    counts: BatchCounts = field(default_factory=BatchCounts)
    _told: set[str] = field(default_factory=set)

    def ask_all(self, lines: Iterator[Problem | BadLine]) -> None:
        """Search what has no record yet; models are opened only if there is such a question.

        Raises:
            UsageError: there is no question, or the output was made under other conditions.
            AdascaleError: the models cannot be opened, or, with ``fail_on_error``, a question failed.
        """
        todo = self._questions(lines)
        first = next(todo, None)
        if first is not None:
            self._search(chain([first], todo))
        elif self.counts.read:
            self.results.begin()
        else:
            hint = 'one on each line, such as {"question": "What is 17 * 23?"}'
            raise UsageError(f"{self._name} holds no question", hint=hint, slug="no-question")
        if self.options.limit is None and not self.counts.interrupted:
            self.counts.kept = len(self.results.failed)

    @property
    def _name(self) -> str:
        return "stdin" if self.source == "-" else Path(self.source).name

    def _questions(self, lines: Iterator[Problem | BadLine]) -> Iterator[Problem]:
        """The questions to search; a line that is no question gets its record here."""
        for line in _wanted(lines, self.results, self.counts):
            if isinstance(line, BadLine):
                stub = Problem(line.id, line.text, meta={"line": line.number})
                record = {**stub.meta, **error_record(stub, line.error)}
                message = f"{self._name} {line.error.message}"
                self._write_failure(f"line {line.number}", message, record, line.error)
            else:
                yield line

    def _search(self, todo: Iterator[Problem]) -> None:
        """Open the models and search; a question that the worker loses is searched once more."""
        options, search, results = self.options, self.options.search, self.results
        traces = None if options.traces is None else TraceFolder(options.traces)
        started = time.monotonic()
        with ExitStack() as stack:
            kind = choose_progress(options.terminal.quiet, may_animate())
            # No live picture if records go to the same terminal.
            live = kind == "live" and not (options.output == "-" and sys.stdout.isatty())
            total = _total(self.source, options) if live else None
            view = stack.enter_context(open_batch_view(self.counts, total, live=live, quiet=kind == "none"))
            models = session_for(search.preset, options.session), options.terminal, view.status
            worker: Worker | Cluster
            if options.ray is None:
                worker = stack.enter_context(open_worker(*models))
            else:
                worker = stack.enter_context(open_cluster(*models, options.ray))
            files = [path for _, path, _ in worker.open_models.files]
            check_apart(options.output, files, "--output another-name.jsonl")
            # The seed is that of the earlier records unless another one is given.
            seed = choose_seed(search.seed if search.seed is not None else results.seed, options.terminal)

            def request(problem: Problem) -> Request:
                strategy = self.strategies[problem.kind]
                found = request_for(problem, strategy, search, seed, worker.open_models)
                settings = found.settings
                if search.width is None and settings.width is not None:
                    before = results.conditions.get(problem.kind, {}).get("width")  # as the seed
                    settings = replace(settings, width=before or min(settings.width, _WIDTH))
                return Request(problem, settings)

            def asking() -> Iterator[Request]:
                for found in map(request, todo):
                    self._warn_once(*found.settings.warnings)
                    yield found

            usual = {kind: request(Problem("", "", kind=kind)).settings for kind in self.strategies}
            fields = {kind: run_fields(each, search.min_confidence) for kind, each in usual.items()}
            results.begin({kind: run_conditions(each) for kind, each in fields.items()})
            load_seconds = time.monotonic() - started
            stack.enter_context(graceful(worker.interrupt))
            served = worker.serve(asking(), retry=True)
            events = served if traces is None else traces.keep(served)
            records: dict[str, Record] = {}
            for problem, event in events:
                record = records[problem.id] = Record.after(records.get(problem.id), event)
                if isinstance(event, SearchFinished | SearchFailed):
                    self._write_record(problem, record, load_seconds, is_last=worker.interrupted)
                    del records[problem.id]
                view.on(problem.id, event)
            self.counts.interrupted = worker.interrupted

    def _write_record(self, problem: Problem, search: Record, load_seconds: float, *, is_last: bool) -> None:
        """Write the record of a search that has ended; an interrupted one is asked again and gets none."""
        handed_on = None if is_last else hand_on(self.fallback, search)
        if isinstance(handed_on, Notice):
            self._warn_once(handed_on)
        # It repeats the number of the line, and the user's own fields.
        carried = {
            name: value for name, value in problem.meta.items() if name == "line" or name not in FIELDS
        }
        least = self.options.search.min_confidence
        if isinstance(search.end, SearchFailed):
            error = search.end.error()
            failed = {**carried, **error_record(search.started.problem, error)}
            self._write_failure(problem.id, f"{problem.id}: {error.message}", failed, error)
            return
        answer = Answer.of(search, least, handed_on)
        if answer.status != "interrupted":
            record: dict[str, Any] = {**carried, **answer_record(answer, load_seconds, least)}
            if problem.answer is not None and KINDS[problem.kind].judged_by == "answer":
                is_right = kind_of(problem).is_right(problem, record["answer"], None, None)
                record |= {"expected": problem.answer, "correct": is_right}
            self.counts.add_record(record)
            self.results.write(record)

    def _warn_once(self, *notices: Notice) -> None:
        """Show what this run has not shown yet."""
        for notice in notices:
            if notice.message not in self._told:
                self._told.add(notice.message)
                show_warning(notice)

    def _write_failure(self, name: str, message: str, record: dict[str, Any], error: AdascaleError) -> None:
        """Count a failure and write its record; the first few are warnings too.

        Raises:
            AdascaleError: ``error`` itself, with ``fail_on_error``.
        """
        self.counts.add_failure(error.slug, name)
        self.results.write(record)
        if self.options.fail_on_error:
            self.results.begin()
            raise error
        if self.counts.failed <= _MOST_WARNINGS:
            show_warning(Notice(error.slug, message, error.facts, error.hint))


def _read_lines(
    source: Path | BinaryIO, options: BatchOptions, *, search_all: bool
) -> Iterator[Problem | BadLine]:
    """The questions of a file or stream, up to --limit, each of its kind.

    Args:
        source: File or stream.
        options: Say how questions are written.
        search_all: Search messages without a checkable answer too, which get a plain reply otherwise.
    """
    search, schema = options.search, read_schema(options.schema)
    lines = islice(read_problems(source, options.form, options.question_field), options.limit)
    for line in lines:
        if isinstance(line, BadLine) or line.kind != "value" or line.meta.get("kind") == "value":
            yield line
            continue
        known = search_all or line.answer is not None
        stated = problem_of(
            line.id,
            line.question,
            kind=search.kind,
            choices=search.options,
            is_searched=known,
            schema=schema,
        )
        yield replace(line, kind=stated.kind, why=stated.why, details=stated.details)


def _wanted(
    lines: Iterator[Problem | BadLine], results: Results, counts: BatchCounts
) -> Iterator[Problem | BadLine]:
    """The lines to ask; the others are counted."""
    for line in lines:
        counts.read += 1
        if results.has(line):
            counts.skipped += 1
        else:
            yield line


def _total(source: str, options: BatchOptions) -> int | None:
    """Approximate number of questions, those with a record included; None for a pipe."""
    total = None if source == "-" else count_lines(Path(source), options.form)
    return total if total is None or options.limit is None else min(total, options.limit)


def _finish(counts: BatchCounts, source: str, options: BatchOptions) -> None:
    """Print the summary, and leave with the exit code of the run."""
    if not options.terminal.quiet:
        for line in counts.summary():
            say(f"adascale: {line}")
    same = "the same command without --overwrite" if options.overwrite else "the same command"
    again = f"mend them and run {same}: only these are asked again"
    failure = counts.error(
        "--output FILE keeps what is done for another run" if options.output == "-" else again
    )
    if counts.interrupted:
        if failure is not None:
            show_error(failure)
        total = _total(source, options)
        done = f"{counts.done + counts.skipped:,}" + (f" of {total:,}" if total is not None else "")
        goes_on = (
            "with --output FILE it could be continued" if options.output == "-" else f"{same} continues it"
        )
        say(f"adascale: stopped at {done}; {goes_on}")
        raise typer.Exit(INTERRUPTED)
    if failure is not None:
        raise failure


def _say_plan(
    lines: Iterator[Problem | BadLine], strategies: Mapping[KindName, Strategy], options: BatchOptions
) -> None:
    """Read everything and say what a run would do.

    Raises:
        typer.Exit: some lines are no questions.
    """
    counts = BatchCounts()
    bad: Counter[str] = Counter()
    asked: Counter[KindName] = Counter()
    with open_results(options.output, overwrite=options.overwrite) as results:
        for line in _wanted(lines, results, counts):
            if isinstance(line, BadLine):
                bad[line.error.message] += 1
            else:
                asked[line.kind] += 1
    say(f"adascale: {asked.total():,} to ask, {counts.not_asked()}, {plural(bad.total(), 'bad line')}")
    for message in list(bad)[:10]:
        say(f"adascale: {message}")
    for kind, number in asked.items():
        name, most = strategies[kind].name, strategies[kind].at_most
        limit = name if most is None else f"{name}, at most {plural(most, KINDS[kind].noun)} each"
        say(f"adascale: {number:,} {kind}: {'one reply each' if kind == 'text' else limit}")
    if bad:
        raise typer.Exit(PARTIAL)
