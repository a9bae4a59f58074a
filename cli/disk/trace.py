"""Traces on disk: the event log as JSON Lines, written while the search runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from adascale.engine.errors import TraceError, reason_of
from adascale.engine.search.events import (
    SCHEMA,
    Event,
    SearchStarted,
    from_json,
    to_json,
)
from adascale.engine.search.record import Record
from adascale.engine.types import Notice

from ..terminal.console import json_line, show_warning
from .files import writing


class TraceWriter:
    """Appends each event to a new file and flushes it, so that a killed run keeps all but its last line.

    Raises:
        UsageError: the file cannot be created. One that fails later ends with a warning, not the search.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("w", encoding="ascii", newline="\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()

    def write(self, event: Event) -> None:
        """Append one event."""
        if self._file.closed:
            return
        try:
            self._file.write(json_line(to_json(event)) + "\n")
            self._file.flush()
        except OSError as exc:
            with contextlib.suppress(OSError):
                self._file.close()
            text = f"cannot write {self._path}: {reason_of(exc)}; the search goes on, the trace ends here"
            show_warning(Notice("trace-stopped", text))


def read_trace(path: Path) -> list[Event]:
    """The events of a trace, checked: a view and a tree can be folded from them.

    An incomplete last line, as a killed run leaves it behind, is left out with a warning.

    Raises:
        TraceError: The file cannot be read, or is not a trace; the message names the line.
    """
    events = _parse_events(path)
    _fold(path, events)
    return events


def read_record(path: Path) -> Record:
    """The search of a trace; incomplete lines and errors as in ``read_trace``."""
    return _fold(path, _parse_events(path))


def event_of(line: bytes) -> Event | None:
    """The event of a line; None if it is torn or something else."""
    try:
        return _parse_event(line)
    except _LINE_ERRORS:
        return None


def _parse_events(path: Path) -> list[Event]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        text = f"cannot read the trace {path}: {reason_of(exc)}"
        raise TraceError(text, hint=_OTHERS) from exc
    *lines, rest = data.split(b"\n")
    events: list[Event] = []
    for at, line in enumerate([*lines, rest] if rest else lines, 1):
        try:
            events.append(_parse_event(line))
        except _LINE_ERRORS as exc:
            # Only a line without its newline can be torn; the same text in the middle is an error.
            if at <= len(lines) or not events:
                raise _line_error(path, at, exc) from exc
            text = f"{path} line {at} is not complete and was left out; the run was killed there"
            show_warning(Notice("torn-trace", text))
    return events


def _parse_event(data: bytes) -> Event:
    line = data.decode("utf-8")
    record = _DECODER.decode(line)
    if not isinstance(record, dict):
        raise TraceError("not a JSON object")
    if "seq" not in record and str(record.get("schema")).startswith("adascale.answer/"):
        raise TraceError("an answer, and no event of a search: batch --traces DIR keeps traces")
    return from_json(record, line)


def _line_error(path: Path, line: int, error: Exception) -> TraceError:
    """The error of a line, with its number."""
    match error:
        case TraceError():
            reason = error.message
        case UnicodeDecodeError():
            reason = "not UTF-8 text"
        case _:
            reason = f"not valid JSON: {error}"
    return TraceError(f"{path} line {line}: {reason}", hint=_OTHERS)


_OTHERS = "adascale runs list shows the searches that are kept"

_LINE_ERRORS = (TraceError, ValueError, RecursionError)
"""Errors of a line that is not an event."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
"""Made once: making it takes a fifth of the time of reading a line."""


def _fold(path: Path, events: Sequence[Event]) -> Record:
    """The record of a log: one search, numbered without gaps, without a node that no event has made."""
    record: Record | None = None
    for at, event in enumerate(events):
        try:
            _check_place(at, event)
            record = Record.after(record, event)
        except TraceError as exc:
            raise _line_error(path, at + 1, exc) from exc
    if record is None:
        raise TraceError(f"the trace {path} is empty", hint=_OTHERS)
    return record


def _check_place(at: int, event: Event) -> None:
    """Refuse an event that cannot be number ``at`` of a trace."""
    if isinstance(event, SearchStarted) != (at == 0):
        raise TraceError("a trace is one search, which begins in its first line")
    if isinstance(event, SearchStarted) and event.schema != SCHEMA:
        raise TraceError(f"the trace is {event.schema!r}, this version reads {SCHEMA!r}")
    if event.seq != at:
        raise TraceError(f"event {at} is missing, {event.seq} follows")
