"""Traces: the event log of a search as JSON Lines, and folders of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from adascale.engine.errors import AdascaleError, DiskFullError, TraceError, reason_of
from adascale.engine.search.events import (
    SCHEMA,
    Event,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    from_json,
    to_json,
)
from adascale.engine.search.record import Record
from adascale.engine.types import Notice, Problem
from adascale.models.lines import LineWriter, read_lines

from ..terminal.errors import show_warning
from ..terminal.streams import json_line
from .files import check_output, write_file, writing


class TraceWriter:
    """Appends events to a new file, each at once, so that a killed run loses at most its last line.

    Raises:
        UsageError: the file cannot be created. A later failure ends the trace with a warning, not the search.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._lines = LineWriter(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and remove it if it has no event."""
        self._lines.close()
        if not self._path.stat().st_size:
            self._path.unlink()

    def write(self, event: Event) -> None:
        """Append one event."""
        if self._lines.closed:
            return
        try:
            self._lines.append(json_line(to_json(event)))
        except OSError as error:
            self._lines.close()
            text = f"cannot write {self._path}: {reason_of(error)}; the search goes on, the trace ends here"
            show_warning(Notice("trace-stopped", text))


def read_trace(path: Path) -> list[Event]:
    """The events of a trace, checked: views and trees can be folded from them.

    The incomplete last line of a killed run is left out with a warning.

    Raises:
        TraceError: the file cannot be read, or is not a trace; the message names the line.
    """
    return _read(path)[0]


def read_record(path: Path, *, warns: bool = True) -> Record:
    """The search of a trace; errors as of ``read_trace``, and its warning if ``warns``."""
    return _read(path, warns=warns)[1]


def _read(path: Path, *, warns: bool = True) -> tuple[list[Event], Record]:
    """The events of one search, numbered without gaps, and their fold."""
    events: list[Event] = []
    record: Record | None = None
    try:
        for line in read_lines(path):
            try:
                event = _parse_event(line.data)
                if isinstance(event, SearchStarted) != (record is None):
                    raise TraceError("a trace is one search, which begins in its first line")
                if isinstance(event, SearchStarted) and event.schema != SCHEMA:
                    raise TraceError(f"the trace is {event.schema!r}, this version reads {SCHEMA!r}")
                if event.seq != len(events):
                    raise TraceError(f"event {len(events)} is missing, {event.seq} follows")
                record = Record.after(record, event)
                events.append(event)
            except (TraceError, ValueError, RecursionError) as error:
                # A kill tears only the last line, which then has no newline.
                if line.is_whole or record is None:
                    reason = error.message if isinstance(error, TraceError) else f"not valid JSON: {error}"
                    raise TraceError(f"{path} line {line.number}: {reason}", hint=_OTHERS) from error
                if warns:
                    text = f"{path} line {line.number} is not complete and was left out"
                    show_warning(Notice("torn-trace", f"{text}; the run was killed there"))
    except OSError as error:
        raise TraceError(f"cannot read the trace {path}: {reason_of(error)}", hint=_OTHERS) from error
    if record is None:
        raise TraceError(f"the trace {path} is empty", hint=_OTHERS)
    return events, record


def _parse_event(data: bytes) -> Event:
    line = data.decode("utf-8")
    record = json.loads(line)
    if not isinstance(record, dict):
        raise TraceError("not a JSON object")
    if "seq" not in record and str(record.get("schema")).startswith("adascale.answer/"):
        raise TraceError("an answer, and no event of a search: batch --traces DIR keeps traces")
    return from_json(record, line)


_OTHERS = "adascale runs list shows the searches that are kept"


class TraceFolder:
    """Writes traces into one folder, which it creates if it is missing, and replaces only traces.

    Raises:
        UsageError: the folder cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_full = False
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)

    def keep(self, events: Iterable[tuple[Problem, Event]]) -> Iterator[tuple[Problem, Event]]:
        """Pass on the events of many searches, and write the trace of each when it ends."""
        logs: dict[str, list[Event]] = {}
        for problem, event in events:
            if isinstance(event, SearchStarted):  # a lost search starts again
                logs[problem.id] = []
            logs[problem.id].append(event)
            if isinstance(event, SearchFinished | SearchFailed):
                self._write(problem.id, logs.pop(problem.id))
            yield problem, event

    def _write(self, id_: str, events: Sequence[Event]) -> None:
        """Write a trace; a failure is a warning, and after a full disk nothing more is written."""
        if self._is_full:
            return
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", id_)[:80]  # the id itself, if every file system takes it
        digest = hashlib.blake2b(id_.encode("utf-8", "replace"), digest_size=8).hexdigest()
        path = self._path / f"{safe if safe == id_ else f'{safe}-{digest}'}.jsonl"
        try:
            check_output(path, "--traces another-folder", overwrite=_is_trace(path))
            write_file(path, "".join(f"{json_line(to_json(event))}\n" for event in events))
        except AdascaleError as error:
            self._is_full = isinstance(error, DiskFullError)
            show_warning(Notice(error.slug, f"{error.message}; {id_} has no trace", hint=error.hint))


_TRACE_BEGIN = b'{"kind":"search_started"'


def _is_trace(path: Path) -> bool:
    """True for a readable file that begins as every trace does."""
    try:
        with path.open("rb") as file:
            return file.read(len(_TRACE_BEGIN)) == _TRACE_BEGIN
    except OSError:
        return False
