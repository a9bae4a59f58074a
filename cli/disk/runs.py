"""The run history: traces of past questions in the state folder, the newest up to a number and a size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from adascale.engine.errors import AdascaleError, TraceError, excerpt
from adascale.engine.kind_table import entry_of
from adascale.engine.search.record import Record
from adascale.engine.types import Notice
from adascale.models.storage import state_folder

from ..terminal.errors import show_warning
from .traces import TraceWriter, read_record

MAX_RUNS = 100
"""Maximum number of runs in the history."""

MAX_BYTES = 100_000_000
"""Maximum size of all runs together."""


def runs_dir() -> Path:
    """Folder of the history; it may not exist yet."""
    return state_folder() / "runs"


def past_runs() -> list[Path]:
    """Traces in the history, the newest first."""
    # Sorted by name, which begins with the time: a copied file has another date.
    return sorted((path for path in runs_dir().glob("*.jsonl") if path.is_file()), reverse=True)


@contextmanager
def open_run() -> Iterator[TraceWriter | None]:
    """Yield a writer for a new run, or None if it cannot be kept; then delete the oldest runs."""
    writer = None
    with suppress(OSError, AdascaleError):
        runs_dir().mkdir(mode=0o700, parents=True, exist_ok=True)  # questions are private
        writer = TraceWriter(runs_dir() / f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}.jsonl")
    with writer or nullcontext():
        yield writer
    with suppress(OSError):
        drop_old()


def drop_old() -> None:
    """Delete the oldest runs beyond the maximum number or size; the newest one stays whatever its size."""
    total = 0
    for count, path in enumerate(past_runs()):
        total += path.stat().st_size
        if count and (count >= MAX_RUNS or total > MAX_BYTES):
            path.unlink(missing_ok=True)


def trace_path(name: str | None) -> Path:
    """The file of a trace.

    Args:
        name: A file, the name of a run or its beginning, or None for the newest run that has ended: another
            one may be under way.

    Raises:
        TraceError: there is no such run, or several names begin like this.
    """
    runs = past_runs()
    if name is None:
        if not runs:
            raise _no_run("no run is kept yet")
        return next((path for path in runs if (record := run_record(path)) and record.end), runs[0])
    # A pipe or a device may never end. Unlike Path.is_file, it takes a name that is too long.
    if os.path.isfile(name):
        return Path(name)
    matches = [path for path in runs if path.name.startswith(name)]
    if not matches:
        hint = "adascale runs list shows what there is"
        raise TraceError(f"{excerpt(name, 80)} is neither a file nor a kept run", hint=hint)
    if len(matches) > 1:
        names = " ".join(path.stem for path in matches[:5])
        raise TraceError(f"{len(matches)} runs begin with {name}", hint=f"one of {names}")
    return matches[0]


def last_finished() -> Record:
    """The newest run that has a result and can be continued: a code task is no conversation.

    A damaged run is skipped with a warning.

    Raises:
        TraceError: there is none.
    """
    for path in past_runs():
        try:
            record = read_record(path, warns=False)
        except TraceError as error:
            show_warning(Notice(error.slug, f"{error.message}; the run before it goes on"))
            continue
        if record.result is not None and not entry_of(record.started.problem).has_tests:
            return record
    raise _no_run("no kept run of ask or chat has an answer yet")


def _no_run(message: str) -> TraceError:
    return TraceError(message, hint='adascale ask "What is 17 * 23?" makes one')


def run_record(path: Path) -> Record | None:
    """The search of a run so far; None if it cannot be read."""
    with suppress(TraceError):
        return read_record(path, warns=False)
    return None
