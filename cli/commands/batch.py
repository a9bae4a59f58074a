"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale import __version__
from adascale.engine.answers.checkable import asks_for_answer
from adascale.engine.answers.equality import is_right
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.search.events import Event, SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Request, Settings
from adascale.engine.strategies import Strategy
from adascale.engine.types import Kind, Notice, Problem
from adascale.models.questions import BadLine, count_lines, read_problems

from ..disk.files import check_apart
from ..disk.results import Results, open_results, run_conditions
from ..disk.trace_folder import TraceFolder
from ..exit_codes import INTERRUPTED, PARTIAL
from ..options.flags import CHOOSES_SEARCH
from ..options.flatten import typed_flags, with_options
from ..options.groups import BatchOptions, SearchOptions
from ..render.batch import BatchView, open_batch_view
from ..render.jsonl import JsonBatch
from ..render.renderer import choose_progress
from ..report.answer import FIELDS, answer_record, error_record, run_fields
from ..report.batch_counts import BatchCounts
from ..searching.models import open_cluster, open_worker, settings_for
from ..terminal.console import may_animate, say, show_error, show_warning, stdin_stream
from ..terminal.signals import graceful
from ..terminal.text import plural

if TYPE_CHECKING:
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray import Cluster


_MOST_WARNINGS = 5
"""Failures that get a warning each; the summary counts the others."""


@with_options(BatchOptions)
def batch(
    source: Annotated[
        str,
        typer.Argument(metavar="[FILE|-]", help="JSON Lines, CSV with a header, or one question a line."),
    ] = "-",
    *,
    context: typer.Context,
    options: BatchOptions,
) -> None:
    """Answer many questions; writes one JSON object a line as each is done.

    adascale batch questions.jsonl -o answers.jsonl
    cat questions.txt | adascale batch --effort low > answers.jsonl
    adascale batch questions.jsonl -o answers.jsonl --only-failed

    The same command goes on where it was stopped: what has a record is not asked again, what failed is.
    """
    _check_only_failed(options)
    check_apart(
        options.output,
        [source, *options.session.references()],
        f"-o {shlex.quote(_suggested_output(source))}",
    )
    strategies: dict[Kind, Strategy] = {
        "question": options.search.make_strategy(beside_tasks=True),
        "task": options.search.make_code_strategy(),
    }
    stream = stdin_stream("adascale batch questions.txt") if source == "-" else Path(source)
    lines: Iterator[Problem | BadLine]
    lines = islice(read_problems(stream, options.form, options.question_field), options.limit)
    if CHOOSES_SEARCH.isdisjoint(typed_flags(context)):
        lines = map(_as_chat, lines)
    if options.dry_run:
        _say_plan(lines, strategies, options)
        return
    traces = None if options.traces is None else TraceFolder.create(options.traces)
    counts = BatchCounts()
    with open_results(options.output, overwrite=options.overwrite) as results:
        view = _view(counts, source, options)
        run = _Run(options, strategies, results, traces, source, counts, view)
        run.ask_all(lines)
    run.close()


@dataclass(slots=True)
class _Run:
    """One run of the command: asks what has no record yet, and writes a record for each question.

    Attributes:
        options: As typed.
        strategies: For each kind of problem.
        results: Where the records go.
        traces: Where the logs go, with --traces.
        source: File of the questions, or ``-``.
        counts: What has become of the questions so far.
        opening: The view that shows it, to be opened.
    """

    options: BatchOptions
    strategies: Mapping[Kind, Strategy]
    results: Results
    traces: TraceFolder | None
    source: str
    counts: BatchCounts
    opening: AbstractContextManager[BatchView]
    _started: float = field(default_factory=time.monotonic)
    _loaded: float = 0.0

    def ask_all(self, lines: Iterator[Problem | BadLine]) -> None:
        """Ask what has no record yet; without such a question no model is loaded."""
        todo = self._unanswered(lines)
        first = next(todo, None)
        if first is not None:
            self._search(chain([first], todo))
        elif self.counts.read:
            self.results.begin()
        else:
            raise UsageError(f"{self._source_name()} holds no question", slug="no-question")
        if self.options.limit is None and not self.counts.interrupted:
            self.counts.kept = len(self.results.failed)

    def _search(self, todo: Iterator[Problem]) -> None:
        """Open the models and search every question; one that the worker lost is searched once more."""
        with ExitStack() as stack:
            view = stack.enter_context(self.opening)
            worker = stack.enter_context(self._open(view.status))
            search, opened = self._search_with_seed(), worker.open_models
            base = settings_for(self.strategies["question"], search, self.options.terminal, worker)
            settings: dict[str, Settings] = {
                "question": base.in_mode(search.mode, opened.modes),
                "text": base.for_chat(),
                "task": replace(base, strategy=self.strategies["task"]).under(opened.conditions["task"]),
            }
            for notice in settings["question"].warnings:
                self._warn(notice)
            least = search.min_confidence
            fields = {kind: run_fields(each, __version__, least) for kind, each in settings.items()}
            self.results.begin({kind: run_conditions(each) for kind, each in fields.items()})
            self._loaded = time.monotonic() - self._started
            stack.enter_context(graceful(worker.interrupt))

            requests = (Request(problem, settings[_kind_of(problem)]) for problem in todo)
            events = worker.serve(requests, retry=True)
            self._ask(events if self.traces is None else self.traces.keep(events), view)
            self.counts.interrupted = worker.interrupted

    def _source_name(self) -> str:
        return "stdin" if self.source == "-" else Path(self.source).name

    def _open(self, status: Callable[[str], None]) -> AbstractContextManager[Worker | Cluster]:
        """The models in a process of their own, or on every node of a Ray cluster."""
        session, terminal = self.options.session, self.options.terminal
        if self.options.ray is None:
            return open_worker(session, terminal, status)
        return open_cluster(session, terminal, self.options.ray, status)

    def _search_with_seed(self) -> SearchOptions:
        """The seed of the records that are there, unless another one is asked for."""
        search = self.options.search
        return search if search.seed is not None else replace(search, seed=self.results.seed)

    def _ask(self, events: Iterator[tuple[Problem, Event]], view: BatchView) -> None:
        """Show events; write a record for each question as its search ends."""
        records: dict[str, Record] = {}
        for problem, event in events:
            records[problem.id] = Record.after(records.get(problem.id), event)
            if isinstance(event, SearchFinished | SearchFailed):
                self._write_record(problem, records.pop(problem.id))
            view.on(problem.id, event)

    def _unanswered(self, lines: Iterator[Problem | BadLine]) -> Iterator[Problem]:
        """Questions without a record; a line that is none gets its record here."""
        for line in _wanted(lines, self.results, self.counts, self.options):
            if isinstance(line, BadLine):
                stub = Problem(line.id, line.text, meta={"line": line.number})
                record = {**stub.meta, **error_record(stub, line.error, __version__)}
                said = f"{self._source_name()} {line.error.message}"
                self._write_failure(f"line {line.number}", said, record, line.error)
            else:
                yield line

    def _write_record(self, problem: Problem, search: Record) -> None:
        """Write what became of a question."""
        record = {
            **_carried_fields(problem),
            **answer_record(search, self._loaded, __version__, self.options.search.min_confidence),
        }
        if isinstance(search.end, SearchFailed):
            error = search.end.error()
            self._write_failure(problem.id, f"{problem.id}: {error.message}", record, error)
        elif record["status"] != "interrupted":  # what was cut off is asked again: nothing is written for it
            record |= _grade(problem, record["answer"])
            self.counts.add_record(record)
            self.results.write(record)

    def _write_failure(self, name: str, said: str, record: dict[str, Any], error: AdascaleError) -> None:
        """Count a failure and write its record; the first few are warnings too.

        Raises:
            AdascaleError: ``error`` itself, with --fail-on-error.
        """
        self.counts.add_failure(error.slug, name)
        self.results.write(record)
        if self.options.fail_on_error:
            self.results.begin()
            raise error
        if self.counts.failed <= _MOST_WARNINGS:
            self._warn(Notice(error.slug, said, error.facts, error.hint))

    def _warn(self, notice: Notice) -> None:
        if self.options.terminal.quiet < 2:
            show_warning(notice)

    def close(self) -> None:
        """Say what has become of everything, and leave with its exit code."""
        if not self.options.terminal.quiet:
            for line in self.counts.summary():
                say(f"adascale: {line}")
        same = "the same command without --overwrite" if self.options.overwrite else "the same command"
        again = f"mend them and run {same}: only these are asked again"
        failure = self.counts.error(
            again if self._is_resumable else "-o FILE keeps what is done for another run"
        )
        if self.counts.interrupted:
            if failure is not None:
                show_error(failure)
            say(f"adascale: {self._continuation()}")
            raise typer.Exit(INTERRUPTED)
        if failure is not None:
            raise failure

    @property
    def _is_resumable(self) -> bool:
        """Whether the same command can go on, as it can with an output file."""
        return self.options.output != "-"

    def _continuation(self) -> str:
        """Where an interrupted run stopped, and the command that continues it."""
        total = _total(self.source, self.options)
        there = self.counts.done + self.counts.skipped
        at = f"stopped at {there:,}" + (f" of {total:,}" if total is not None else "")
        if not self._is_resumable:
            return f"{at}; with -o FILE it could be continued"
        words = [word for word in sys.argv[1:] if word != "--overwrite"]  # it would throw away what is done
        if self.source == "-":
            without = " without --overwrite" if self.options.overwrite else ""
            return f"{at}; the same pipe into the same command{without} continues it"
        return f"{at}; continue with: {shlex.join(['adascale', *words])}"


def _check_only_failed(options: BatchOptions) -> None:
    """Refuse --only-failed where no earlier record is read.

    Raises:
        UsageError: stdout has none, or --overwrite would throw them away.
    """
    if options.only_failed and options.output == "-":
        raise UsageError(
            "--only-failed asks again what failed in the output, and stdout holds no earlier records",
            hint="adascale batch questions.jsonl -o answers.jsonl --only-failed",
        )
    if options.only_failed and options.overwrite:
        raise UsageError(
            "--only-failed keeps the records of an output, and --overwrite throws them away",
            hint="leave out --overwrite",
        )


def _suggested_output(source: str) -> str:
    """A name for an output beside its input."""
    path = Path(source)
    return "answers.jsonl" if source == "-" else str(path.parent / f"{path.stem}.answers.jsonl")


def _view(counts: BatchCounts, source: str, options: BatchOptions) -> AbstractContextManager[BatchView]:
    """What stderr shows of the run; no live picture where records go to the same terminal."""
    kind = choose_progress(options.progress, options.terminal.quiet, may_animate())
    if kind == "json":
        return nullcontext(JsonBatch())
    # Records that go to the same terminal would be written into the picture.
    live = kind == "live" and not (options.output == "-" and sys.stdout.isatty())
    total = _total(source, options) if live else None
    return open_batch_view(counts, total, live=live, show_tree=options.show_tree, quiet=kind == "none")


def _total(source: str, options: BatchOptions) -> int | None:
    """About how many questions a run reads, those with a record too; None for a pipe."""
    total = None if source == "-" else count_lines(Path(source), options.form)
    return total if total is None or options.limit is None else min(total, options.limit)


def _grade(problem: Problem, answer: str | None) -> dict[str, Any]:
    """Whether the answer is right, as fields of a record; nothing where the right answer is not known."""
    if problem.answer is None or problem.task is not None:
        return {}
    return {"expected": problem.answer, "correct": is_right(answer, gold=problem.answer)}


def _say_plan(
    lines: Iterator[Problem | BadLine], strategies: Mapping[Kind, Strategy], options: BatchOptions
) -> None:
    """Read everything and say what a run would do."""
    counts = BatchCounts()
    with open_results(options.output, overwrite=options.overwrite) as results:
        bad: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        for line in _wanted(lines, results, counts, options):
            if isinstance(line, BadLine):
                bad[line.error.message] += 1
            else:
                asked[_kind_of(line)] += 1
    say(f"adascale: {asked.total():,} to ask, {counts.not_asked()}, {bad.total():,} bad lines")
    for message in list(bad)[:10]:
        say(f"adascale: {message}")
    if asked["question"]:
        say(f"adascale: {_limit_text(strategies['question'], 'solution')}")
    if asked["task"]:
        say(f"adascale: {_limit_text(strategies['task'], 'program')}")
    if asked["text"]:
        say(f"adascale: {plural(asked['text'], 'message')} without a checkable answer: one reply each")
    if bad:
        raise typer.Exit(PARTIAL)


def _limit_text(strategy: Strategy, drawn: str) -> str:
    """A strategy and the most that it draws, such as ``vote, at most 16 solutions each``."""
    most = strategy.at_most
    limit = "until every prefix has ended" if most is None else f"at most {plural(most, drawn)} each"
    return f"{strategy.name}, {limit}"


def _as_chat(line: Problem | BadLine) -> Problem | BadLine:
    """The line; a message whose reply nobody can check gets a plain reply."""
    if isinstance(line, BadLine) or line.is_judged or line.task is not None or asks_for_answer(line.question):
        return line
    return replace(line, is_chat=True)


def _kind_of(problem: Problem) -> str:
    """``question``, ``task``, or ``text`` for a message that gets a plain reply."""
    return "text" if problem.is_chat else problem.kind


def _carried_fields(problem: Problem) -> dict[str, Any]:
    """Fields of a question that its record has too: the number of its line, and the user's own."""
    return {name: value for name, value in problem.meta.items() if name == "line" or name not in FIELDS}


def _wanted(
    lines: Iterator[Problem | BadLine], results: Results, counts: BatchCounts, options: BatchOptions
) -> Iterator[Problem | BadLine]:
    """The lines that are to be asked; the others are counted."""
    for line in lines:
        counts.read += 1
        match results.look_up(line):
            case "done":
                counts.skipped += 1
            case "new" if options.only_failed:
                counts.left_out += 1
            case _:
                yield line
