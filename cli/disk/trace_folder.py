"""A folder of traces: the event log of each search, under its question's id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from adascale.engine.errors import AdascaleError
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted
from adascale.engine.types import Notice, Problem
from adascale.models.questions import id_digest

from ..terminal.console import show_warning
from .files import is_trace, writing
from .trace import TraceWriter


class TraceFolder:
    """Writes traces into one folder, which it creates if it is missing, and replaces only traces.

    Raises:
        UsageError: the folder cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)

    def keep(self, events: Iterable[tuple[Problem, Event]]) -> Iterator[tuple[Problem, Event]]:
        """Pass the events of many searches on; the log of each is written as its end comes."""
        logs: dict[str, list[Event]] = {}
        for problem, event in events:
            if isinstance(event, SearchStarted):  # again, where its search was lost
                logs[problem.id] = []
            logs[problem.id].append(event)
            if isinstance(event, SearchFinished | SearchFailed):
                self._write(problem.id, logs.pop(problem.id))
            yield problem, event

    def _write(self, id_: str, log: Sequence[Event]) -> None:
        """Write a log; what cannot be written is a warning, and the searches go on."""
        path = self._path / f"{_file_name(id_)}.jsonl"
        if path.exists() and not is_trace(path):
            show_warning(
                Notice("not-a-trace", f"{path} is not a trace and stays as it is; no trace of {id_} is kept")
            )
            return
        try:
            with TraceWriter(path) as writer:
                for event in log:
                    writer.write(event)
        except AdascaleError as error:
            show_warning(Notice(error.slug, f"{error.message}; {id_} has no trace", hint=error.hint))


def _file_name(id_: str) -> str:
    """The id if every file system takes it, or its harmless characters and a hash."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", id_)[:80]
    return safe if safe == id_ else f"{safe}-{id_digest(id_):016x}"
