"""Traces on the disk: the event log of a search as JSON Lines, folders of them, and the past runs.

The run history are the traces of past questions in the state folder, the newest up to a number and a size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from adascale.engine.errors import AdascaleError, DiskFullError, TraceError, excerpt, is_disk_full, reason_of
from adascale.engine.kind_table import entry_of
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
from adascale.models.storage import state_folder

from ..terminal.errors import show_warning
from ..terminal.streams import json_line
from .files import check_output, is_trace, writing


class TraceWriter:
    """Appends each event to a new file and flushes it, so that a killed run keeps all but its last line.

    Attributes:
        is_full: The disk was full.

    Raises:
        UsageError: the file cannot be created. One that fails later ends with a warning, not the search.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_full = False
        with writing(path):
            self._lines = LineWriter(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; one without an event, as a full disk leaves it, is removed."""
        self._lines.close()
        if self._path.is_file() and not self._path.stat().st_size:
            self._path.unlink()

    def write(self, event: Event) -> None:
        """Append one event."""
        if self._lines.closed:
            return
        try:
            self._lines.append(json_line(to_json(event)))
        except OSError as exc:
            self._lines.close()
            self.is_full = is_disk_full(exc)
            text = f"cannot write {self._path}: {reason_of(exc)}; the search goes on, the trace ends here"
            show_warning(Notice("trace-stopped", text))


def read_trace(path: Path) -> list[Event]:
    """The events of a trace, checked: a view and a tree can be folded from them.

    An incomplete last line, as a killed run leaves it behind, is left out with a warning.

    Raises:
        TraceError: The file cannot be read, or is not a trace; the message names the line.
    """
    return _read(path)[0]


def read_record(path: Path, *, warns: bool = True) -> Record:
    """The search of a trace; errors as in ``read_trace``, and so are incomplete lines if it ``warns``."""
    return _read(path, warns=warns)[1]


def _read(path: Path, *, warns: bool = True) -> tuple[list[Event], Record]:
    """A log and its fold: one search, numbered without gaps, without a node that no event has made."""
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
            except _LINE_ERRORS as exc:
                # Only a line without its newline can be torn; the same text in the middle is an error.
                if line.is_whole or record is None:
                    reason = exc.message if isinstance(exc, TraceError) else f"not valid JSON: {exc}"
                    raise TraceError(f"{path} line {line.number}: {reason}", hint=_OTHERS) from exc
                text = f"{path} line {line.number} is not complete and was left out; the run was killed there"
                if warns:
                    show_warning(Notice("torn-trace", text))
    except OSError as exc:
        text = f"cannot read the trace {path}: {reason_of(exc)}"
        raise TraceError(text, hint=_OTHERS) from exc
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

_LINE_ERRORS = (TraceError, ValueError, RecursionError)
"""Errors of a line that is not an event."""


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
        """Write a log; what cannot be written is a warning, and the searches go on.

        On a full disk it is the last one: none of those that follow could be written.
        """
        if self._is_full:
            return
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", id_)[:80]  # if every file system takes it, the id itself
        digest = hashlib.blake2b(id_.encode("utf-8", "replace"), digest_size=8).hexdigest()
        path = self._path / f"{safe if safe == id_ else f'{safe}-{digest}'}.jsonl"
        try:
            check_output(path, "--traces another-folder", is_ours=is_trace)
            with TraceWriter(path) as writer:
                for event in log:
                    writer.write(event)
                self._is_full = writer.is_full
        except AdascaleError as error:
            self._is_full = isinstance(error, DiskFullError)
            show_warning(Notice(error.slug, f"{error.message}; {id_} has no trace", hint=error.hint))


MAX_RUNS = 100
"""Maximum number of runs in the history."""

MAX_BYTES = 100_000_000
"""Maximum size of all runs together."""

_SUFFIX = ".jsonl"


def runs_dir() -> Path:
    """Folder of the history; it may not exist yet."""
    return state_folder() / "runs"


def past_runs() -> list[Path]:
    """Traces in the history, the newest first."""
    # Names begin with the time, and a listing must not depend on when a file was copied.
    return sorted((path for path in runs_dir().glob(f"*{_SUFFIX}") if path.is_file()), reverse=True)


@contextlib.contextmanager
def open_run() -> Iterator[TraceWriter | None]:
    """Yield a writer for a new run, or None if it cannot be kept; then delete the oldest runs."""
    writer = None
    with contextlib.suppress(OSError, AdascaleError):
        runs_dir().mkdir(parents=True, exist_ok=True)
        runs_dir().chmod(0o700)  # what somebody asked is nobody else's to read
        # The second, and the 65,536th part of it in hexadecimal: names sort as runs were begun.
        now = time.time()
        second = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        writer = TraceWriter(runs_dir() / f"{second}-{int(now % 1 * 0x10000):04x}{_SUFFIX}")
    with writer or contextlib.nullcontext():
        yield writer
    with contextlib.suppress(OSError):
        drop_old(MAX_RUNS, MAX_BYTES)


def drop_old(max_runs: int, max_bytes: int) -> None:
    """Delete the oldest runs beyond a number or a total size; the newest one stays whatever its size."""
    total = 0
    for at, path in enumerate(past_runs()):
        total += path.stat().st_size
        if at and (at >= max_runs or total > max_bytes):
            path.unlink(missing_ok=True)


def trace_path(name: str | None) -> Path:
    """The file of a trace.

    Args:
        name: A file, (the beginning of) the name of a run, or None for the newest run that has ended: another
            one may be under way.

    Raises:
        TraceError: There is no such run, or several names begin like this.
    """
    runs = past_runs()
    if name is None:
        if not runs:
            raise _no_run()
        return next((path for path in runs if (kept := run_record(path)) and kept.end), runs[0])
    # A pipe or a device may never end. Unlike Path.is_file, it takes a name that is too long.
    if os.path.isfile(name):
        return Path(name)
    found = [path for path in runs if path.name.startswith(name)]
    if not found:
        raise TraceError(
            f"{excerpt(name, 80)} is neither a file nor a kept run",
            hint="adascale runs list shows what there is",
        )
    if len(found) > 1:
        names = " ".join(path.stem for path in found[:5])
        raise TraceError(f"{len(found)} runs begin with {name}", hint=f"one of {names}")
    return found[0]


def last_finished() -> Record:
    """The newest run that has a result and can be continued: a code task is no conversation.

    One that is damaged is passed over with a warning.

    Raises:
        TraceError: there is none.
    """
    runs = past_runs()
    for path in runs:
        try:
            record = read_record(path, warns=False)
        except TraceError as error:
            show_warning(Notice(error.slug, f"{error.message}; the run before it goes on"))
            continue
        if record.result is not None and not entry_of(record.started.problem).has_tests:
            return record
    raise _no_run("no kept run of ask or chat has an answer yet") if runs else _no_run()


def _no_run(message: str = "no run is kept yet") -> TraceError:
    return TraceError(message, hint='adascale ask "What is 17 * 23?" makes one')


def run_record(path: Path) -> Record | None:
    """The search of a run, as far as it has come; None if it cannot be read."""
    with contextlib.suppress(TraceError):
        return read_record(path, warns=False)
    return None
