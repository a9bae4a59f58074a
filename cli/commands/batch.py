"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from adascale.engine.answer import Answer
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.request import Request, SearchRequest, Settings
from adascale.engine.search.events import SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.strategies import Strategy
from adascale.engine.types import KindName, Notice, Problem
from adascale.models.questions import BadLine, count_lines, read_problems

from ..disk.files import check_apart
from ..disk.results import Results, open_results, run_conditions
from ..disk.traces import TraceFolder
from ..exit_codes import INTERRUPTED, PARTIAL
from ..options.by_command import BatchOptions
from ..options.settings import chooses_search, with_options
from ..render.views import open_batch_view
from ..report import FIELDS, BatchCounts, answer_record, error_record, run_fields
from ..searching import (
    choose_seed,
    hand_on,
    open_cluster,
    open_fallback,
    open_worker,
    read_schema,
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
    search = replace(options.search, schema=read_schema(options.schema))
    strategies = {kind: search.strategy_for(kind) for kind in KINDS}
    stream = stdin_stream("adascale batch questions.txt") if source == "-" else path
    lines = _read_lines(stream, options, search, search_all=chooses_search(context))
    fallback = None if options.dry_run else open_fallback(options.fallback)
    with open_results(options.output, overwrite=options.overwrite) as results:
        if options.dry_run:
            _say_plan(lines, strategies, results)
            return
        run = _Run(options, search, source, results, fallback)
        run.ask_all(lines)
    _finish(run.counts, source, options)


def _read_lines(
    source: Path | BinaryIO, options: BatchOptions, search: SearchRequest, *, search_all: bool
) -> Iterator[Problem | BadLine]:
    """The questions of a file or stream, up to --limit, each of its kind.

    Args:
        source: File or stream.
        options: Say how questions are written.
        search: Says how they are taken.
        search_all: Search messages without a checkable answer too, which get a plain reply otherwise.
    """
    for line in islice(read_problems(source, options.form, options.question_field), options.limit):
        if isinstance(line, BadLine) or line.kind != "value" or line.meta.get("kind") == "value":
            yield line
        else:
            known = search_all or line.answer is not None
            stated = replace(search, question=line.question, is_searched=known).problem(line.id)
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


@dataclass(slots=True)
class _Run:
    """One run: searches every question without a record, and writes one for each.

    Attributes:
        options: Options of the command.
        search: How questions are searched.
        source: The input, as it was typed.
        results: Records of earlier runs and of this one.
        fallback: The server that gets questions whose answer is not sure enough; None for none.
        counts: Outcomes so far.
    """

    options: BatchOptions
    search: SearchRequest
    source: str
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
        name = "stdin" if self.source == "-" else Path(self.source).name
        todo = self._questions(lines, name)
        first = next(todo, None)
        if first is not None:
            self._search(chain([first], todo))
        elif self.counts.read:
            self.results.begin()
        else:
            hint = 'one on each line, such as {"question": "What is 17 * 23?"}'
            raise UsageError(f"{name} holds no question", hint=hint, slug="no-question")

    def _questions(self, lines: Iterator[Problem | BadLine], name: str) -> Iterator[Problem]:
        """The questions to search; a line that is no question gets its record here."""
        for line in _wanted(lines, self.results, self.counts):
            if isinstance(line, BadLine):
                stub, where = Problem(line.id, line.text, meta={"line": line.number}), f"line {line.number}"
                self._write_failure(stub, line.error, where, f"{name} {line.error.message}")
            else:
                yield line

    def _search(self, todo: Iterator[Problem]) -> None:
        """Open the models and search; a question that the worker loses is searched once more."""
        options, results = self.options, self.results
        traces = None if options.traces is None else TraceFolder(options.traces)
        started = time.monotonic()
        with ExitStack() as stack:
            quiet = bool(options.terminal.quiet)
            # No live picture if records go to the same terminal.
            live = not quiet and may_animate() and not (options.output == "-" and sys.stdout.isatty())
            total = _total(self.source, options) if live else None
            view = stack.enter_context(open_batch_view(self.counts, total, live=live, quiet=quiet))
            models = options.session, options.terminal, view.status
            opening: AbstractContextManager[Worker | Cluster] = (
                open_worker(*models) if options.ray is None else open_cluster(*models, options.ray)
            )
            worker = stack.enter_context(opening)
            opened = worker.open_models
            files = [path for _, path, _ in opened.files]
            check_apart(options.output, files, "--output another-name.jsonl")
            # Seed and width are those of the earlier records unless others are given.
            given = self.search.seed
            seed = choose_seed(results.seed if given is None else given, options.terminal)
            search = replace(self.search, seed=seed)

            def settings(problem: Problem) -> Settings:
                usual = opened.conditions[problem.kind]
                before = results.conditions.get(problem.kind, {}).get("width")
                width = before or (usual.width and min(usual.width, _WIDTH))
                return search.settings(problem, replace(usual, width=width), opened.modes)

            def asking() -> Iterator[Request]:
                for problem in todo:
                    found = Request(problem, settings(problem))
                    self._warn_once(*found.settings.warnings)
                    yield found

            fields = {
                kind: run_fields(settings(Problem("", "", kind=kind)), search.min_confidence)
                for kind in KINDS
            }
            results.begin({kind: run_conditions(each) for kind, each in fields.items()})
            load_seconds = time.monotonic() - started
            stack.enter_context(graceful(worker.interrupt))
            served = worker.serve(asking(), retry=True)
            records: dict[str, Record] = {}
            for problem, event in served if traces is None else traces.keep(served):
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
        if isinstance(search.end, SearchFailed):
            error = search.end.error()
            self._write_failure(problem, error, problem.id, f"{problem.id}: {error.message}")
            return
        answer = Answer.of(search, self.search.min_confidence, handed_on)
        if answer.status != "interrupted":
            record = _carried(problem) | answer_record(answer, load_seconds, self.search.min_confidence)
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

    def _write_failure(self, problem: Problem, error: AdascaleError, name: str, message: str) -> None:
        """Count a failure by a name and write its record; the first few are warnings too.

        Raises:
            AdascaleError: ``error`` itself, with ``fail_on_error``.
        """
        self.counts.add_failure(error.slug, name)
        self.results.write(_carried(problem) | error_record(problem, error))
        if self.options.fail_on_error:
            self.results.begin()
            raise error
        if self.counts.failed <= _MOST_WARNINGS:
            show_warning(Notice(error.slug, message, error.facts, error.hint))


def _carried(problem: Problem) -> dict[str, Any]:
    """What a record repeats: the number of the line, and the user's own fields."""
    return {name: value for name, value in problem.meta.items() if name == "line" or name not in FIELDS}


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
    is_kept = options.output != "-"
    again = f"mend them and run {same}: only these are asked again"
    failure = counts.error(again if is_kept else "--output FILE keeps what is done for another run")
    if counts.interrupted:
        if failure is not None:
            show_error(failure)
        total = _total(source, options)
        done = f"{counts.done + counts.skipped:,}" + (f" of {total:,}" if total is not None else "")
        goes_on = f"{same} continues it" if is_kept else "with --output FILE it could be continued"
        say(f"adascale: stopped at {done}; {goes_on}")
        raise typer.Exit(INTERRUPTED)
    if failure is not None:
        raise failure


def _say_plan(
    lines: Iterator[Problem | BadLine], strategies: Mapping[KindName, Strategy], results: Results
) -> None:
    """Read everything and say what a run would do.

    Raises:
        typer.Exit: some lines are no questions.
    """
    counts = BatchCounts()
    bad: Counter[str] = Counter()
    asked: Counter[KindName] = Counter()
    for line in _wanted(lines, results, counts):
        if isinstance(line, BadLine):
            bad[line.error.message] += 1
        else:
            asked[line.kind] += 1
    say(f"adascale: {asked.total():,} to ask, {counts.not_asked()}, {plural(bad.total(), 'bad line')}")
    for message in list(bad)[:10]:
        say(f"adascale: {message}")
    for kind, number in asked.items():
        strategy = strategies[kind]
        most = (
            "" if strategy.at_most is None else f", at most {plural(strategy.at_most, KINDS[kind].noun)} each"
        )
        say(f"adascale: {number:,} {kind}: {'one reply each' if kind == 'text' else strategy.name + most}")
    if bad:
        raise typer.Exit(PARTIAL)
