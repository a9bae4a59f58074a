"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale.engine.answer import Answer
from adascale.engine.errors import AdascaleError, PartialError, UsageError
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.request import Request, SearchRequest
from adascale.engine.search.events import SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.types import Notice, Problem, Schedule
from adascale.models.options import MAX_BRANCHES, SessionOptions
from adascale.models.questions import BadLine, count_lines, read_problems

from ..asking import read_schema
from ..disk.files import check_apart
from ..disk.results import Results, open_results, run_conditions, write_table
from ..disk.traces import TraceFolder
from ..exit_codes import INTERRUPTED
from ..opening import open_cluster, open_fallback, open_worker, say_status
from ..options.flags import (
    CalibrationFlag,
    ChoicesFlag,
    EffortFlag,
    FallbackFlag,
    KindFlag,
    ModeFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PrmFlag,
    QuietFlag,
    SchemaFlag,
    SeedFlag,
    StrategyFlag,
    SystemFlag,
    ThinkFlag,
    TimeLimitFlag,
    TracesFlag,
    UnsandboxedFlag,
    VerboseFlag,
    YesFlag,
    flag,
    limit_flag,
)
from ..options.settings import FALLBACK, SEARCH, SESSION, Settings, read_settings
from ..report import FIELDS, BatchCounts, answer_record, error_record, run_fields
from ..searching import choose_seed
from ..terminal.errors import show_error, show_warning
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.streams import say, stdin_stream

if TYPE_CHECKING:
    from adascale.engine.answer import FallbackAnswer
    from adascale.models.fallback import Fallback
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray import Cluster
    from adascale.models.worker.server import ModelsOpened

Opening = Callable[..., AbstractContextManager["Worker | Cluster"]]

_SCHEDULE = Schedule.even(1)
"""Questions fill the batch, so the solutions of each are drawn one after another: that draws the fewest."""

_CALLS = 8
"""Questions that the fallback thinks about at once."""

_MOST_WARNINGS = 5
"""Failures that get a warning each; the summary counts the others."""


def batch(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="JSON Lines, CSV with a header, or one question a line."),
    ] = "-",
    output: Annotated[
        str, flag("--output", "File for the records: JSON Lines, or a table (answers.csv).", "FILE|-")
    ] = "-",
    overwrite: Annotated[
        bool, flag("--overwrite", "Start with an empty output instead of continuing it.")
    ] = False,
    field_: Annotated[str, flag("--field", "Field that holds the question.", "NAME")] = "question",
    limit: Annotated[int | None, limit_flag("questions")] = None,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    calibration: CalibrationFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    unsandboxed: UnsandboxedFlag = False,
    kind: KindFlag = None,
    choices: ChoicesFlag = None,
    strategy: StrategyFlag = None,
    effort: EffortFlag = None,
    mode: ModeFlag = None,
    time_limit: TimeLimitFlag = None,
    seed: SeedFlag = None,
    schema: SchemaFlag = None,
    fallback: FallbackFlag = None,
    traces: TracesFlag = None,
    at_once: Annotated[
        int | None,
        flag(
            "--at-once",
            "Solutions that are written at once, of all questions.",
            "N",
            min=1,
            max=1024,
        ),
    ] = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Answer many questions, and write one JSON object a line as each is done.

    adascale batch questions.jsonl --output answers.jsonl
    cat questions.txt | adascale batch --effort low > answers.jsonl

    The same command continues where it stopped, and asks failed questions again. An output named .csv is a
    table, with the records beside it.
    """
    settings = read_settings(context, *SESSION, *SEARCH, *FALLBACK, "format", "ray")
    path, session = Path(source), settings.session(branches=MAX_BRANCHES)
    answers = "answers.jsonl" if source == "-" else str(path.parent / f"{path.stem}.answers.jsonl")
    check_apart(output, [source, *session.references()], f"--output {shlex.quote(answers)}")
    search = settings.search(schema=read_schema(schema))
    for each in KINDS:
        search.strategy_for(each)  # an error in it costs no loading
    stream = stdin_stream("adascale batch questions.txt") if source == "-" else path
    lines = _of_kinds(
        islice(read_problems(stream, settings.format, field_), limit), search, settings.says_how
    )
    # Those with a record are counted too; nobody knows how many a pipe has.
    total = None if source == "-" else count_lines(path, settings.format)
    total = total and min(total, limit or total)
    width, seconds = search.width, search.budget.max_seconds
    session = replace(session, places=width and 2 * width, patience=seconds)
    if at_once is not None:
        session = replace(session, places=at_once, branches=min(at_once, session.branches))
    server = open_fallback(settings.other_server())
    # A CSV is made of records, by which a run goes on.
    table = Path(output) if output.lower().endswith(".csv") else None
    records = output if table is None else f"{output}.jsonl"
    with open_results(records, overwrite=overwrite) as results:
        folder = None if traces is None else TraceFolder(traces)
        run = _Run(settings, session, search, output, results, server, folder)
        run.ask_all(lines, "stdin" if source == "-" else path.name, total)
        if table is not None:
            write_table(Path(records), table)
    _finish(run.counts, output, overwrite=overwrite, quiet=settings.quiet > 0)


def _of_kinds(
    lines: Iterator[Problem | BadLine], search: SearchRequest, search_all: bool
) -> Iterator[Problem | BadLine]:
    """Questions, each of its kind.

    Args:
        lines: The questions as they are written.
        search: Says how they are taken.
        search_all: Search messages without a checkable answer too, which get a plain reply otherwise.
    """
    for line in lines:
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
        settings: Those of the command.
        session: The models.
        search: How questions are searched.
        output: File for the records, or ``-``.
        results: Records of earlier runs and of this one.
        fallback: The server that gets questions whose answer is not sure enough; None for none.
        traces: Folder of event logs; None for none.
        counts: Outcomes so far.
    """

    settings: Settings
    session: SessionOptions
    search: SearchRequest
    output: str
    results: Results
    fallback: Fallback | None
    traces: TraceFolder | None
    counts: BatchCounts = field(default_factory=BatchCounts)
    _told: set[str] = field(default_factory=set)
    _writing: Lock = field(default_factory=Lock)

    def ask_all(self, lines: Iterator[Problem | BadLine], name: str, total: int | None) -> None:
        """Search what has no record yet; models are opened only if there is such a question.

        Raises:
            UsageError: there is no question, or the output was made under other conditions.
            AdascaleError: the models cannot be opened.
        """
        todo = self._questions(lines, name)
        first = next(todo, None)
        if first is not None:
            self._search(chain([first], todo), total)
        elif self.counts.read:
            self.results.begin()
        else:
            hint = 'one on each line, such as {"question": "What is 17 * 23?"}'
            raise UsageError(f"{name} holds no question", hint=hint, slug="no-question")

    def _questions(self, lines: Iterator[Problem | BadLine], name: str) -> Iterator[Problem]:
        """The questions to search; a line that is no question gets its record here."""
        for line in _wanted(lines, self.results, self.counts):
            if isinstance(line, BadLine):
                stub = Problem(line.id, line.text, meta={"line": line.number})
                self._write_failure(stub, line.error, name)
            else:
                yield line

    def _search(self, todo: Iterator[Problem], total: int | None) -> None:
        """Open the models and search; a question that the worker loses is searched once more."""
        with ExitStack() as stack:
            # Records that go to the same terminal say how far it is.
            on_screen = self.output == "-" and sys.stdout.isatty()
            progress = stack.enter_context(Progress("questions", quiet=self.settings.quiet > 0 or on_screen))
            opening: Opening = open_worker if self.settings.ray is None else open_cluster
            worker = stack.enter_context(opening(self.session, self.settings, say_status(self.settings)))
            requests = self._requests(todo, worker.open_models)
            progress.show("answering", self.counts.settled, total)
            stack.enter_context(graceful(worker.interrupt))
            pool = stack.enter_context(ThreadPoolExecutor(_CALLS))
            calls: list[Future[None]] = []
            served = worker.serve(requests, retry=True)
            records: dict[str, Record] = {}
            for problem, event in served if self.traces is None else self.traces.keep(served):
                record = records[problem.id] = Record.after(records.get(problem.id), event)
                if isinstance(event, SearchFinished | SearchFailed):
                    is_unsure = self.fallback is not None and self.fallback.is_for(record)
                    if is_unsure and not worker.interrupted:
                        calls.append(pool.submit(self._hand_on, problem, record, worker))
                    else:
                        self._write_record(problem, record)
                    del records[problem.id]
                    progress.show("answering", self.counts.settled, total, *self.counts.facts())
            for call in calls:
                call.result()
            self.counts.interrupted = worker.interrupted

    def _requests(self, todo: Iterator[Problem], opened: ModelsOpened) -> Iterator[Request]:
        """The questions with their settings; seed and schedule are those of earlier records if none is given.

        Raises:
            UsageError: the output is one of the models, or was made under other conditions.
        """
        results, seed = self.results, self.search.seed
        check_apart(self.output, [path for _, path, _ in opened.files], "--output another-name.jsonl")
        chosen = choose_seed(results.seed if seed is None else seed, self.settings)
        search = replace(self.search, seed=chosen)

        def request(problem: Problem) -> Request:
            before = results.conditions.get(problem.kind, {}).get("schedule")
            schedule = Schedule(*before) if before else _SCHEDULE
            conditions = replace(opened.conditions[problem.kind], schedule=schedule)
            return Request(problem, search.settings(problem, conditions, opened.modes))

        conditions: dict[str, Any] = {}
        for kind in KINDS:
            stub = Problem("", "", kind=kind)
            begun = request(stub).settings.first_event(stub)
            conditions[kind] = run_conditions(run_fields(begun, search.min_confidence))
        results.begin(conditions)

        def asked() -> Iterator[Request]:
            for problem in todo:
                found = request(problem)
                self._warn_once(*found.settings.warnings)
                yield found

        return asked()

    def _hand_on(self, problem: Problem, search: Record, worker: Worker | Cluster) -> None:
        """Ask the other server, while the searches of other questions go on, and write the record."""
        assert self.fallback is not None, "it is unsure of the answer"
        handed_on = self.fallback.ask(search.started.problem, lambda: worker.interrupted)
        self._write_record(problem, search, handed_on)

    def _write_record(
        self, problem: Problem, search: Record, handed_on: FallbackAnswer | Notice | None = None
    ) -> None:
        """Write the record of a search that has ended; an interrupted one is asked again and gets none."""
        if isinstance(handed_on, Notice):
            self._warn_once(handed_on)
        if isinstance(search.end, SearchFailed):
            self._write_failure(problem, search.end.error(), f"{problem.id}:")
            return
        answer = Answer.of(search, self.search.min_confidence, handed_on)
        if answer.status != "interrupted":
            record = _carried(problem) | answer_record(answer, self.search.min_confidence)
            if problem.answer is not None and KINDS[problem.kind].judged_by == "answer":
                is_right = kind_of(problem).is_right(problem, record["answer"], None, None)
                record |= {"expected": problem.answer, "correct": is_right}
            with self._writing:
                self.counts.add_record(record)
                self.results.write(record)

    def _warn_once(self, *notices: Notice) -> None:
        """Show what this run has not shown yet."""
        for notice in notices:
            if notice.message not in self._told:
                self._told.add(notice.message)
                show_warning(notice)

    def _write_failure(self, problem: Problem, error: AdascaleError, where: str) -> None:
        """Count a failure and write its record; the first few are warnings too."""
        with self._writing:
            self.counts.failures[error.slug] += 1
            self.results.write(_carried(problem) | error_record(problem, error))
        if self.counts.failed <= _MOST_WARNINGS:
            show_warning(Notice(error.slug, f"{where} {error.message}", error.facts, error.hint))


def _carried(problem: Problem) -> dict[str, Any]:
    """Fields that a record repeats: the number of the line, and the user's own."""
    return {name: value for name, value in problem.meta.items() if name == "line" or name not in FIELDS}


def _finish(counts: BatchCounts, output: str, *, overwrite: bool, quiet: bool) -> None:
    """Print the summary, and leave with the exit code of the run."""
    if not quiet:
        there = f", {counts.skipped:,} there already" if counts.skipped else ""
        say(f"adascale: {', '.join([f'{counts.done:,} done', *counts.facts()])}{there}")
        for remark, count in counts.remarks.items():
            say(f"adascale: {count:,} of them {remark}")
    same = "the same command without --overwrite" if overwrite else "the same command"
    is_kept = output != "-"
    failure = PartialError(
        f"{counts.done + counts.skipped:,} of {counts.settled:,} are done, {counts.failed:,} failed",
        *(f"{slug}: {count:,}" for slug, count in counts.failures.most_common()),
        hint=f"mend them and run {same}: only these are asked again"
        if is_kept
        else "--output FILE keeps what is done for another run",
    )
    if counts.interrupted:
        if counts.failures:
            show_error(failure)
        goes_on = f"{same} continues it" if is_kept else "with --output FILE it could be continued"
        say(f"adascale: stopped; {goes_on}")
        raise typer.Exit(INTERRUPTED)
    if counts.failures:
        raise failure
