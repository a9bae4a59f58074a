"""The run history: traces of past questions in the state folder, the newest up to a number and a size."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.errors import AdascaleError, TraceError, excerpt
from adascale.engine.search.events import SearchFailed, SearchFinished, SearchStarted
from adascale.engine.types import probability_of
from adascale.models.storage import state_folder

from .trace import TraceWriter, event_of

MAX_RUNS = 100
"""Maximum number of runs in the history."""

MAX_BYTES = 100_000_000
"""Maximum size of all runs together."""

SCHEMA = "adascale.run/1"
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


def run_name(path: Path) -> str:
    """Name of a run, by which ``trace_path`` finds it: ``20260131-235959-1a2b``."""
    return path.name.removesuffix(_SUFFIX)


@contextlib.contextmanager
def open_run() -> Iterator[TraceWriter | None]:
    """Yield a writer for a new run, or None if it cannot be kept; then delete the oldest runs."""
    writer = None
    with contextlib.suppress(OSError, AdascaleError):
        runs_dir().mkdir(parents=True, exist_ok=True)
        runs_dir().chmod(0o700)  # what somebody asked is nobody else's to read
        writer = TraceWriter(runs_dir() / f"{_name_of_now()}{_SUFFIX}")
    with writer or contextlib.nullcontext():
        yield writer
    with contextlib.suppress(OSError):
        drop_old(MAX_RUNS, MAX_BYTES)


def _name_of_now() -> str:
    """The second, and the 65,536th part of it in hexadecimal: names sort as runs were begun."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{int(now % 1 * 0x10000):04x}"


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
    with contextlib.suppress(OSError):  # a name can be too long for a file
        if Path(name).exists():
            return Path(name)
    found = [path for path in runs if path.name.startswith(name)]
    if not found:
        raise TraceError(
            f"{excerpt(name, 80)} is neither a file nor a kept run",
            hint="adascale runs list shows what there is",
        )
    if len(found) > 1:
        names = " ".join(map(run_name, found[:5]))
        raise TraceError(f"{len(found)} runs begin with {name}", hint=f"one of {names}")
    return found[0]


def last_finished() -> Path:
    """The newest run that has a result and can be continued: a code task is no conversation.

    Raises:
        TraceError: there is none.
    """
    runs = past_runs()
    for path in runs:
        first, last = _first_and_last(path)
        if first is not None and first.problem.kind != "code" and isinstance(last, SearchFinished):
            return path
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
        "schema": SCHEMA,
        "run": run_name(path),
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
    if result is None or result.answer is None or first is None or first.problem.kind != "code":
        return result.answer if result else None
    return f"passes {result.answer} tests" if result.answer[0].isdecimal() else result.answer


def _first_and_last(path: Path) -> tuple[SearchStarted | None, SearchFinished | SearchFailed | None]:
    """The first and the last event of a trace; None if one is missing or torn, or nobody may read it."""
    first = last = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        first = file.readline()
        file.seek(max(0, path.stat().st_size - _TAIL))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    begin, end = event_of(first), event_of(last)
    return (
        begin if isinstance(begin, SearchStarted) else None,
        end if isinstance(end, SearchFinished | SearchFailed) else None,
    )
