"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from adascale.engine.types import KindName, Notice, Problem, Schedule
from adascale.models.options import MAX_BRANCHES, SessionOptions
from adascale.models.questions import BadLine, count_lines, read_problems

from ..asking import read_schema
from ..disk.files import check_apart
from ..disk.results import Conditions, Results, open_results, run_conditions, write_table
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
from ..report import FIELDS, answer_record, error_record, run_fields
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
    """Answer many questions, and write the record of each, a line of JSON, as soon as it is done.

    adascale batch questions.jsonl --output answers.jsonl
    cat questions.txt | adascale batch --effort low > answers.jsonl

    The same command continues where it stopped, and asks failed questions again. An output named .csv is a
    table; its records are in a file beside it.
    """
    settings = read_settings(context, *SESSION, *SEARCH, *FALLBACK, "format", "ray")
    path, session = Path(source), settings.session(branches=MAX_BRANCHES)
    answers = "answers.jsonl" if source == "-" else str(path.parent / f"{path.stem}.answers.jsonl")
    check_apart(output, [source, *session.references()], f"--output {shlex.quote(answers)}")
    search = settings.search(schema=read_schema(schema))
    for each in KINDS:
        search.strategy_for(each)  # an error in it costs no loading
    stream = stdin_stream("adascale batch questions.txt") if source == "-" else path
    lines = islice(read_problems(stream, settings.format, field_), limit)
    # Questions with a record are counted too; the length of a pipe is unknown.
    total = None if source == "-" else count_lines(path, settings.format)
    total = total and min(total, limit or total)
    places = at_once or (search.width and 2 * search.width)
    branches = min(at_once or session.branches, session.branches)
    session = replace(session, places=places, branches=branches, patience=search.budget.max_seconds)
    server = open_fallback(settings.other_server())
    # A run continues from records, so a CSV is made of them.
    is_table = output.lower().endswith(".csv")
    records = f"{output}.jsonl" if is_table else output
    with open_results(records, overwrite=overwrite) as results:
        folder = None if traces is None else TraceFolder(traces)
        run = _Run(settings, session, search, output, results, server, folder)
        run.ask_all(_recognised(lines, search, settings.says_how), path.name, total)
        if is_table:
            write_table(Path(records), Path(output))
    _finish(run.tally, output, overwrite=overwrite, quiet=settings.quiet > 0)


def _recognised(
    lines: Iterable[Problem | BadLine], search: SearchRequest, search_all: bool
) -> Iterator[Problem | BadLine]:
    """The questions, each of its kind.

    Args:
        lines: Questions whose kind may not be recognised yet.
        search: How they are searched.
        search_all: Search messages without a checkable answer too, which get a plain reply otherwise.
    """
    for line in lines:
        if isinstance(line, BadLine) or line.kind != "value" or line.meta.get("kind") == "value":
            yield line
        else:
            is_searched = search_all or line.answer is not None
            problem = replace(search, question=line.question, is_searched=is_searched).problem(line.id)
            yield replace(line, kind=problem.kind, why=problem.why, details=problem.details)


@dataclass(slots=True)
class Tally:
    """Counts of one run.

    Attributes:
        skipped: Lines that had a record already.
        done: Questions whose search has ended.
        outcomes: Number of these by status, and of answers of the ``fallback``.
        graded, correct: Number of questions with a known answer, and number of these answered correctly.
        tokens: Generated tokens.
        failures: Failed questions and lines by the slug of the error.
        interrupted: The run was stopped.
    """

    skipped: int = 0
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    graded: int = 0
    correct: int = 0
    tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False

    @property
    def settled(self) -> int:
        """Number of questions and lines that need nothing more in this run."""
        return self.done + self.failures.total() + self.skipped

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a search that has ended, by its record."""
        self.done += 1
        self.outcomes[record["status"]] += 1
        self.outcomes.update(["fallback"] if "fallback" in record else [])
        self.graded += "correct" in record
        self.correct += record.get("correct", False)
        self.tokens += record["usage"]["generated_tokens"]

    def facts(self) -> list[str]:
        """Failures, share of correct answers and tokens a question, if there are any."""
        facts = [f"{self.failures.total():,} failed"] if self.failures else []
        if self.graded:
            facts.append(f"{100 * self.correct / self.graded:.0f} % correct")
        if self.done:
            facts.append(f"{self.tokens / self.done:,.0f} tokens a question")
        return facts


@dataclass(slots=True)
class _Run:
    """One run: searches every question without a record, and writes one for each.

    Attributes:
        settings: Settings of the command.
        session: The models.
        search: How questions are searched.
        output: File for the records, or ``-``.
        results: Records of earlier runs and of this one.
        fallback: The server for questions whose answer is not sure enough; None for none.
        traces: Folder of traces; None for none.
        tally: Counts so far.
    """

    settings: Settings
    session: SessionOptions
    search: SearchRequest
    output: str
    results: Results
    fallback: Fallback | None
    traces: TraceFolder | None
    tally: Tally = field(default_factory=Tally)
    _warned: set[str] = field(default_factory=set)
    _writing: Lock = field(default_factory=Lock)

    def ask_all(self, lines: Iterator[Problem | BadLine], name: str, total: int | None) -> None:
        """Search every question without a record; models are opened only if there is one.

        Args:
            lines: All lines of the input.
            name: Its name, for errors.
            total: Number of its lines, if known.

        Raises:
            UsageError: there is no question, or the output was made under other conditions.
            AdascaleError: the models cannot be opened.
        """
        new = filter(self._is_new, lines)
        bad: list[BadLine] = []
        for line in new:
            if isinstance(line, Problem):
                self._search(chain(bad, [line], new), total)
                return
            bad.append(line)
        if not bad and not self.tally.skipped:
            hint = 'one on each line, such as {"question": "What is 17 * 23?"}'
            name = "stdin" if name == "-" else name
            raise UsageError(f"{name} holds no question", hint=hint, slug="no-question")
        self.results.begin()
        for line in bad:
            self._write_bad_line(line)

    def _is_new(self, line: Problem | BadLine) -> bool:
        """True if a line has no record yet; the others are counted."""
        has_record = self.results.has(line)
        self.tally.skipped += has_record
        return not has_record

    def _search(self, lines: Iterator[Problem | BadLine], total: int | None) -> None:
        """Open the models and search; a question that the worker loses is searched once more."""
        with ExitStack() as stack:
            # Records on the same terminal show the progress themselves.
            on_screen = self.output == "-" and sys.stdout.isatty()
            progress = stack.enter_context(Progress("questions", quiet=self.settings.quiet > 0 or on_screen))
            opening: Opening = open_worker if self.settings.ray is None else open_cluster
            worker = stack.enter_context(opening(self.session, self.settings, say_status(self.settings)))
            requests = self._requests(lines, worker.open_models)
            progress.show("answering", self.tally.settled, total)
            stack.enter_context(graceful(worker.interrupt))
            pool = stack.enter_context(ThreadPoolExecutor(_CALLS))
            calls: list[Future[None]] = []
            events = worker.serve(requests, retry=True)
            records: dict[str, Record] = {}
            for problem, event in events if self.traces is None else self.traces.keep(events):
                record = records[problem.id] = Record.after(records.get(problem.id), event)
                if isinstance(event, SearchFinished | SearchFailed):
                    is_unsure = self.fallback is not None and self.fallback.is_for(record)
                    if is_unsure and not worker.interrupted:
                        calls.append(pool.submit(self._ask_fallback, problem, record, worker))
                    else:
                        self._write_record(problem, record)
                    del records[problem.id]
                    progress.show("answering", self.tally.settled, total, *self.tally.facts())
            for call in calls:
                call.result()
            self.tally.interrupted = worker.interrupted

    def _requests(self, lines: Iterator[Problem | BadLine], opened: ModelsOpened) -> Iterator[Request]:
        """The questions with their settings; without ``--seed`` they use the seed of earlier records.

        Raises:
            UsageError: the output is one of the models, or was made under other conditions.
        """
        check_apart(self.output, [path for _, path, _ in opened.files], "--output another-name.jsonl")
        seed = self.results.seed if self.search.seed is None else self.search.seed
        search = replace(self.search, seed=choose_seed(seed, self.settings))

        def request(problem: Problem) -> Request:
            conditions = replace(opened.conditions[problem.kind], schedule=_SCHEDULE)
            return Request(problem, search.settings(problem, conditions, opened.modes))

        def conditions(kind: KindName) -> Conditions:
            stub = Problem("", "", kind=kind)
            started = request(stub).settings.first_event(stub)
            return run_conditions(run_fields(started, search.min_confidence))

        self.results.begin({kind: conditions(kind) for kind in KINDS})

        def requests() -> Iterator[Request]:
            for line in lines:
                if isinstance(line, BadLine):
                    self._write_bad_line(line)
                else:
                    new = request(line)
                    self._warn_once(*new.settings.warnings)
                    yield new

        return requests()

    def _ask_fallback(self, problem: Problem, search: Record, worker: Worker | Cluster) -> None:
        """Ask the other server, while the searches of other questions go on, and write the record."""
        assert self.fallback is not None, "it is unsure of the answer"
        reply = self.fallback.ask(search.started.problem, lambda: worker.interrupted)
        if isinstance(reply, Notice):
            self._warn_once(reply)
        self._write_record(problem, search, reply)

    def _write_record(
        self, problem: Problem, search: Record, reply: FallbackAnswer | Notice | None = None
    ) -> None:
        """Write the record of a search that has ended; an interrupted one gets none, and is asked again."""
        if isinstance(search.end, SearchFailed):
            self._write_failure(problem, search.end.error(), problem.id)
            return
        answer = Answer.of(search, self.search.min_confidence, reply)
        if answer.status != "interrupted":
            record = _own_fields(problem) | answer_record(answer, self.search.min_confidence)
            if problem.answer is not None and KINDS[problem.kind].judged_by == "answer":
                is_right = kind_of(problem).is_right(problem, record["answer"], None, None)
                record |= {"expected": problem.answer, "correct": is_right}
            with self._writing:
                self.tally.add(record)
                self.results.write(record)

    def _warn_once(self, *notices: Notice) -> None:
        """Show the warnings that this run has not shown yet."""
        for notice in notices:
            if notice.message not in self._warned:
                self._warned.add(notice.message)
                show_warning(notice)

    def _write_bad_line(self, line: BadLine) -> None:
        self._write_failure(Problem(line.id, line.text, meta={"line": line.number}), line.error, "input")

    def _write_failure(self, problem: Problem, error: AdascaleError, where: str) -> None:
        """Count a failure and write its record; the first few are warnings too."""
        with self._writing:
            self.tally.failures[error.slug] += 1
            self.results.write(_own_fields(problem) | error_record(problem, error))
        if self.tally.failures.total() <= _MOST_WARNINGS:
            show_warning(Notice(error.slug, f"{where}: {error.message}", error.facts, error.hint))


def _own_fields(problem: Problem) -> dict[str, Any]:
    """Fields that a record repeats: the number of the line, and the user's own."""
    return {name: value for name, value in problem.meta.items() if name == "line" or name not in FIELDS}


def _finish(tally: Tally, output: str, *, overwrite: bool, quiet: bool) -> None:
    """Print the summary, and leave with the exit code of the run."""
    if not quiet:
        outcomes = [f"{count:,} {name}" for name, count in tally.outcomes.items() if name != "answered"]
        skipped = [f"{tally.skipped:,} there already"] if tally.skipped else []
        say(f"adascale: {', '.join([f'{tally.done:,} done', *outcomes, *tally.facts(), *skipped])}")
    without = " without --overwrite" if overwrite else ""
    hint = f"the same command{without} asks only the questions that have no answer"
    failure = PartialError(
        f"{tally.done + tally.skipped:,} of {tally.settled:,} are done, {tally.failures.total():,} failed",
        *(f"{slug}: {count:,}" for slug, count in tally.failures.most_common()),
        hint="--output FILE keeps the answers for another run" if output == "-" else hint,
    )
    if tally.interrupted:
        if tally.failures:
            show_error(failure)
        say(f"adascale: stopped; {failure.hint}")
        raise typer.Exit(INTERRUPTED)
    if tally.failures:
        raise failure
