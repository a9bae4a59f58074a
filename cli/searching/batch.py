"""Many questions by one set of models: each search ends in a record, and what became of all is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.kinds.messages import problem_of
from adascale.engine.search.events import SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Request, Settings
from adascale.engine.strategies import Strategy
from adascale.engine.types import KindName, Notice, Problem
from adascale.models.questions import BadLine, read_problems

from ..disk.files import check_apart
from ..disk.results import Results, run_conditions
from ..disk.trace_folder import TraceFolder
from ..options.by_command import BatchOptions
from ..options.parts import session_for
from ..render.batch import BatchView
from ..report.answer import FIELDS, answer_record, error_record, run_fields
from ..report.batch_counts import BatchCounts
from ..terminal.console import show_warning
from ..terminal.signals import graceful
from .asking import read_schema
from .fallback import hand_on
from .models import choose_seed, open_cluster, open_worker, settings_of_kind

if TYPE_CHECKING:
    from adascale.models.fallback import Fallback, FallbackAnswer
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray import Cluster

_WIDTH = 4
"""Solutions of a question that run side by side at most: questions fill the batch, and more of each draw more
(by a simulation of 40 questions a width of 2 takes 13 % longer, one of 8 takes 9 % more tokens)."""

_MOST_WARNINGS = 5
"""Failures that get a warning each; the summary counts the others."""

OpenView = Callable[[], AbstractContextManager[BatchView]]


@dataclass(slots=True)
class BatchRun:
    """One run: searches every question without a record, and writes one for each.

    Attributes:
        options: Options of the command.
        source: Name of the input, for messages.
        strategies: Strategy of each kind of problem.
        results: Records of earlier runs and of this one.
        open_view: Opens the progress display.
        counts: Outcomes so far.
        fallback: The server that gets questions whose answer is not sure enough; None for none.
    """

    options: BatchOptions
    source: str
    strategies: Mapping[KindName, Strategy]
    results: Results
    open_view: OpenView
    counts: BatchCounts
    fallback: Fallback | None = None
    _started: float = field(default_factory=time.monotonic)
    _load_seconds: float = 0.0
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
            raise UsageError(f"{self.source} holds no question", hint=hint, slug="no-question")
        if self.options.limit is None and not self.counts.interrupted:
            self.counts.kept = len(self.results.failed)

    def _questions(self, lines: Iterator[Problem | BadLine]) -> Iterator[Problem]:
        """The questions to search; a line that is no question gets its record here."""
        for line in wanted(lines, self.results, self.counts):
            if isinstance(line, BadLine):
                stub = Problem(line.id, line.text, meta={"line": line.number})
                record = {**stub.meta, **error_record(stub, line.error)}
                message = f"{self.source} {line.error.message}"
                self._write_failure(f"line {line.number}", message, record, line.error)
            else:
                yield line

    def _search(self, todo: Iterator[Problem]) -> None:
        """Open the models and search; a question that the worker loses is searched once more."""
        traces = None if self.options.traces is None else TraceFolder(self.options.traces)
        with ExitStack() as stack:
            view = stack.enter_context(self.open_view())
            worker = stack.enter_context(self._open_models(view.status))
            check_apart(
                self.options.output,
                [path for _, path, _ in worker.open_models.files],
                "--output another-name.jsonl",
            )
            settings = self._settings(worker)

            def suited(problem: Problem) -> Settings:
                among = worker.open_models.modes
                return settings[problem.kind].for_problem(problem, self.options.search.mode, among)

            def asked(problem: Problem) -> Request:
                request = Request(problem, suited(problem))
                self._warn_once(*request.settings.warnings)
                return request

            usual = {kind: suited(Problem("", "", kind=kind)) for kind in settings}
            least = self.options.search.min_confidence
            fields = {kind: run_fields(each, least) for kind, each in usual.items()}
            self.results.begin({kind: run_conditions(each) for kind, each in fields.items()})
            self._load_seconds = time.monotonic() - self._started
            stack.enter_context(graceful(worker.interrupt))
            events = worker.serve(map(asked, todo), retry=True)
            if traces is not None:
                events = traces.keep(events)
            records: dict[str, Record] = {}
            for problem, event in events:
                record = records[problem.id] = Record.after(records.get(problem.id), event)
                if isinstance(event, SearchFinished | SearchFailed):
                    handed_on = None if worker.interrupted else hand_on(self.fallback, record)
                    self._write_record(problem, record, handed_on)
                    del records[problem.id]
                view.on(problem.id, event)
            self.counts.interrupted = worker.interrupted

    def _open_models(self, status: Callable[[str], None]) -> AbstractContextManager[Worker | Cluster]:
        """The models in a process of their own, or on every node of a Ray cluster."""
        session = session_for(self.options.search.preset, self.options.session)
        terminal = self.options.terminal
        if self.options.ray is None:
            return open_worker(session, terminal, status)
        return open_cluster(session, terminal, self.options.ray, status)

    def _settings(self, worker: Worker | Cluster) -> dict[KindName, Settings]:
        """Settings by kind; the seed is that of the earlier records unless another one is given."""
        search = self.options.search
        if search.seed is None:
            search = replace(search, seed=self.results.seed)
        seed = choose_seed(search, self.options.terminal)
        found = {
            kind: settings_of_kind(kind, strategy, search, seed, worker)
            for kind, strategy in self.strategies.items()
        }
        if search.width is not None:
            return found
        return {
            kind: replace(each, width=each.width and min(each.width, _WIDTH)) for kind, each in found.items()
        }

    def _write_record(
        self, problem: Problem, search: Record, handed_on: FallbackAnswer | Notice | None
    ) -> None:
        """Write the record of a search that has ended; an interrupted one is asked again and gets none."""
        if isinstance(handed_on, Notice):
            self._warn_once(handed_on)
        record = _carried_fields(problem) | answer_record(
            search, self._load_seconds, self.options.search.min_confidence, handed_on
        )
        if isinstance(search.end, SearchFailed):
            error = search.end.error()
            self._write_failure(problem.id, f"{problem.id}: {error.message}", record, error)
        elif record["status"] != "interrupted":
            record |= _grade(problem, record["answer"])
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


def read_lines(
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


def wanted(
    lines: Iterator[Problem | BadLine], results: Results, counts: BatchCounts
) -> Iterator[Problem | BadLine]:
    """The lines to ask; the others are counted."""
    for line in lines:
        counts.read += 1
        if results.has(line):
            counts.skipped += 1
        else:
            yield line


def _carried_fields(problem: Problem) -> dict[str, Any]:
    """Fields of a question that its record repeats: the number of its line, and the user's own."""
    return {name: value for name, value in problem.meta.items() if name == "line" or name not in FIELDS}


def _grade(problem: Problem, answer: str | None) -> dict[str, Any]:
    """Fields that say whether the answer is correct; empty if the correct answer is not known."""
    if problem.answer is None or KINDS[problem.kind].judged_by != "answer":
        return {}
    is_right = kind_of(problem).is_right(problem, answer, None, None)
    return {"expected": problem.answer, "correct": is_right}
