"""Traces on disk: the event log as JSON Lines, written while the search runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adascale.engine.errors import TraceError
from adascale.engine.search.events import (
    SCHEMA,
    AllocationDecided,
    AnswersJudged,
    BranchGrew,
    BudgetSpent,
    Event,
    SearchStarted,
    from_json,
    to_json,
)
from adascale.engine.search.record import Record
from adascale.engine.types import Notice

from ..terminal.console import json_line, show_warning
from .files import reason_of, unwritable

_ABOUT_NO_NODE = tuple(
    f'{{"kind":"{cls.kind}"'.encode() for cls in (AllocationDecided, AnswersJudged, BranchGrew, BudgetSpent)
)
"""How lines begin that change neither a node nor what its search answers."""


class TraceWriter:
    """Appends each event to a new file and flushes it, so that a killed run keeps all but its last line.

    Raises:
        UsageError: the file cannot be created. One that fails later ends with a warning, not the search.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("w", encoding="ascii", newline="\n")
        except OSError as exc:
            raise unwritable(path, exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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


def warn_torn(path: Path, line: int) -> None:
    """Say that a trace ends in the middle of a line."""
    text = f"{path} line {line} is not complete and was left out; the run was killed there"
    show_warning(Notice("torn-trace", text))


def read_trace(path: Path, on_torn: Callable[[Path, int], None] = warn_torn) -> list[Event]:
    """The events of a trace, checked: a view and a tree can be folded from them.

    Args:
        path: A file that ``TraceWriter`` wrote.
        on_torn: Told when the last line is incomplete, which is all that a killed run leaves behind.

    Raises:
        TraceError: the file cannot be read, or is no trace; the message names the line.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise TraceError(f"cannot read the trace {path}: {reason_of(exc)}") from exc
    *lines, rest = data.split(b"\n")
    events = [_parse_event(path, at, line) for at, line in enumerate(lines, 1)]
    if rest:
        # Only a line without its newline can be torn; the same text in the middle is an error.
        try:
            events.append(_parse_event(path, len(lines) + 1, rest))
        except TraceError:
            if not events:
                raise
            on_torn(path, len(lines) + 1)
    if not events:
        raise TraceError(f"the trace {path} is empty")
    _check_order(path, events)
    return events


def read_tree(path: Path, on_torn: Callable[[Path, int], None] = warn_torn) -> Record:
    """The tree, the answers and the notices of a trace; lines that say nothing of them are not parsed.

    Those are most of a trace. Arguments and errors are as of ``read_trace``.
    """
    record: Record | None = None
    try:
        with path.open("rb") as file:
            for at, line in enumerate(file):
                if line.startswith(_ABOUT_NO_NODE):
                    continue
                try:
                    event = _parse_event(path, at + 1, line)
                except TraceError:
                    if record is None or line.endswith(b"\n"):
                        raise
                    on_torn(path, at + 1)
                    break
                record = _after(path, at, record, event)
    except OSError as exc:
        raise TraceError(f"cannot read the trace {path}: {reason_of(exc)}") from exc
    if record is None:
        raise TraceError(f"the trace {path} is empty")
    return record


def _parse_event(path: Path, line: int, data: bytes) -> Event:
    try:
        record = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
        if not isinstance(record, dict):
            raise TraceError("not a JSON object")
        return from_json(record)
    except TraceError as exc:
        raise TraceError(f"{path} line {line}: {exc.message}") from exc
    except UnicodeDecodeError as exc:
        raise TraceError(f"{path} line {line}: not UTF-8 text") from exc
    except (ValueError, RecursionError) as exc:
        raise TraceError(f"{path} line {line}: not valid JSON: {exc}") from exc


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _check_order(path: Path, events: list[Event]) -> None:
    """Fold the log once: numbered without gaps, one search, no node that it has not made."""
    record: Record | None = None
    for at, event in enumerate(events):
        record = _after(path, at, record, event)


def _after(path: Path, at: int, record: Record | None, event: Event) -> Record:
    """The record after event ``at`` of a trace, which has to be its event of this number."""
    where = f"{path} line {at + 1}"
    if isinstance(event, SearchStarted) != (at == 0):
        raise TraceError(f"{where}: a trace is one search, which begins in its first line")
    if isinstance(event, SearchStarted) and event.schema != SCHEMA:
        raise TraceError(f"{where}: the trace is {event.schema!r}, this version reads {SCHEMA!r}")
    if event.seq != at:
        raise TraceError(f"{where}: event {at} is missing, {event.seq} follows")
    try:
        return Record.after(record, event)
    except TraceError as exc:
        raise TraceError(f"{where}: {exc.message}") from exc
