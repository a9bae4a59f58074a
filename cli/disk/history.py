"""Traces of what was asked, kept in the state folder: the newest ones, up to a number and a size."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from adascale.engine.errors import TraceError
from adascale.models.kept import state_folder

from .trace import TraceWriter

MOST = 100
"""Runs that are kept."""

MOST_BYTES = 100_000_000
"""Size of all of them together."""

_SUFFIX = ".jsonl"


def runs_dir() -> Path:
    """Where they are."""
    return state_folder() / "runs"


def kept_runs() -> list[Path]:
    """What is kept, the newest first."""
    # Names begin with the time, and a listing must not depend on when a file was copied.
    return sorted(runs_dir().glob(f"*{_SUFFIX}"), reverse=True)


def name_of(path: Path) -> str:
    """What a kept run is called."""
    return path.name.removesuffix(_SUFFIX)


@contextlib.contextmanager
def keeping() -> Iterator[TraceWriter | None]:
    """A writer for a new run, after which old ones go; None where the folder cannot be written."""
    with contextlib.ExitStack() as stack:
        writer = None
        with contextlib.suppress(OSError, TraceError):
            runs_dir().mkdir(parents=True, exist_ok=True)
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}{_SUFFIX}"
            writer = stack.enter_context(TraceWriter(runs_dir() / name))
        yield writer
    with contextlib.suppress(OSError):
        drop_old(MOST, MOST_BYTES)


def drop_old(most: int, most_bytes: int) -> None:
    """Delete the oldest runs beyond a number or a total size; the newest one stays whatever its size."""
    total = 0
    for at, path in enumerate(kept_runs()):
        total += path.stat().st_size
        if at and (at >= most or total > most_bytes):
            path.unlink(missing_ok=True)


def trace_path(name: str | None) -> Path:
    """The file of a trace: itself, a kept run by (the beginning of) its name, or the newest run.

    Raises:
        TraceError: there is none, or more than one begins like this.
    """
    runs = kept_runs()
    if name is None:
        if not runs:
            raise TraceError("no run is kept yet", hint='adascale ask "What is 17 * 23?" makes one')
        return runs[0]
    if Path(name).exists():
        return Path(name)
    found = [path for path in runs if path.name.startswith(name)]
    if not found:
        raise TraceError(
            f"{name} is neither a file nor a kept run", hint="adascale runs list shows what there is"
        )
    if len(found) > 1:
        names = " ".join(map(name_of, found[:5]))
        raise TraceError(f"{len(found)} runs begin with {name}", hint=f"one of {names}")
    return found[0]
