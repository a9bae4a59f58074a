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
from typing import Any, Self

from adascale.engine.answers.choosing import SearchResult
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
from adascale.engine.types import Notice, Problem, probability_of
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


def read_record(path: Path) -> Record:
    """The search of a trace; incomplete lines and errors as in ``read_trace``."""
    return _read(path)[1]


def _read(path: Path) -> tuple[list[Event], Record]:
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

RUN_SCHEMA = "adascale.run/1"
"""Schema of the record of a run."""

_SUFFIX = ".jsonl"

_TAIL = 1 << 18
"""Bytes that are read at the end of a trace; a longer last event has answers of many thousand solutions."""


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
        return next((path for path in runs if _first_and_last(path)[1] is not None), runs[0])
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
        first, last = _first_and_last(path)
        if first is None or entry_of(first.problem).has_tests or not isinstance(last, SearchFinished):
            continue
        try:
            return read_record(path)
        except TraceError as error:
            show_warning(Notice(error.slug, f"{error.message}; the run before it goes on"))
    raise _no_run("no kept run of ask or chat has an answer yet") if runs else _no_run()


def _no_run(message: str = "no run is kept yet") -> TraceError:
    return TraceError(message, hint='adascale ask "What is 17 * 23?" makes one')


def run_records(limit: int) -> list[dict[str, Any]]:
    """The records (``adascale.run/1``) of the newest runs, without those that another command deletes."""
    records = []
    for path in past_runs()[:limit]:
        with contextlib.suppress(FileNotFoundError):
            records.append(_run_record(path))
    return records


def _run_record(path: Path) -> dict[str, Any]:
    """The record of a run, from its first and last event; unknown is None."""
    first, last = _first_and_last(path)
    result = last.result if isinstance(last, SearchFinished) else None
    return {
        "schema": RUN_SCHEMA,
        "run": path.stem,
        "question": first.problem.question if first else None,
        "kind": first.problem.kind if first else None,
        "strategy": first.strategy if first else None,
        "answer": _answer(first, result),
        "p": probability_of(result.confidence) if result else None,
        "error": last.notice.code if isinstance(last, SearchFailed) else None,
        "stop_reason": result.stop_reason if result else None,
        "generated_tokens": last.usage.generated_tokens if isinstance(last, SearchFinished) else None,
        "seconds": round(last.t, 3) if isinstance(last, SearchFinished) else None,
        "bytes": path.stat().st_size,
    }


def _answer(first: SearchStarted | None, result: SearchResult | None) -> str | None:
    """The answer; for a code task, whose program is not in the last event, the tests that it passes."""
    if result is None or result.answer is None or first is None or not entry_of(first.problem).has_tests:
        return result.answer if result else None
    return f"passes {result.answer} tests" if result.answer[0].isdecimal() else result.answer


def _first_and_last(path: Path) -> tuple[SearchStarted | None, SearchFinished | SearchFailed | None]:
    """The first and the last event of a trace; None if one is missing or torn, or nobody may read it."""
    first = last = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        first = file.readline()
        file.seek(max(0, path.stat().st_size - _TAIL))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    begin = end = None
    with contextlib.suppress(*_LINE_ERRORS):
        begin = _parse_event(first)
    with contextlib.suppress(*_LINE_ERRORS):
        end = _parse_event(last)
    return (
        begin if isinstance(begin, SearchStarted) else None,
        end if isinstance(end, SearchFinished | SearchFailed) else None,
    )
