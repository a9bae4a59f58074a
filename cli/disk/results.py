"""The output of a batch: one record a line, each on disk before the next; a run goes on after a crash."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.types import Problem
from adascale.models.questions import BadLine, id_digest, line_id
from adascale.models.storage import atomic_write

from ..terminal.console import JSON_ESCAPES, json_text, write_payload
from .files import ANSWER_SCHEMA, check_writable, unwritable, writing

UNFINISHED = ("error", "interrupted")
"""Statuses of questions that are asked again."""

_BEGIN = b'{"line": '
"""Beginning of every record of a batch, which tells a torn first record from another kind of file."""


class Results:
    """The records of earlier runs, to which new ones are added.

    The output is not touched before ``begin``; records that are written earlier wait until then.

    Attributes:
        done: Kinds of the questions with a record, by the digest of the id; None where a record has none.
        failed: Digests of the ids of failed or interrupted records that have not been replaced.
        conditions: ``run_conditions`` of the earlier records, by kind.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path  # None for stdout
        self._whole = 0  # bytes of the earlier records in the file
        self._has_begun = False
        self._file: FileIO | None = None
        self._held: list[Mapping[str, Any]] = []
        self._lock = threading.Lock()
        self.done: dict[int, str | None] = {}
        self.failed: set[int] = set()
        self.conditions: dict[str, dict[str, Any]] = {}
        self._replaced: set[int] = set()  # digests of ids of failed records that have a successor
        self._failed_lines: set[int] = set()  # digests of ids of lines that were no question

    @property
    def seed(self) -> int | None:
        """Seed of the earlier records; None if there are none."""
        return next((each["seed"] for each in self.conditions.values()), None)

    def read(self, path: Path) -> None:
        """Add the records of earlier runs.

        Raises:
            UsageError: the file cannot be read, or is not the output of a batch.
        """
        with writing(path), path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                record = _record(line)
                if record is None:
                    if not line.endswith(b"\n") and (number > 1 or line.startswith(_BEGIN)):
                        return  # torn by a crash
                    raise UsageError(
                        f"{path} is no output of adascale batch (line {number})",
                        hint="another --output, or --overwrite to replace it",
                        slug="not-results",
                    )
                self._add_earlier(record)
                self._whole += len(line)

    def _add_earlier(self, record: Mapping[str, Any]) -> None:
        key, place = id_digest(str(record["id"])), id_digest(line_id(record.get("line")))
        if record["status"] not in UNFINISHED:
            self._replace(record)
            self.done[key] = record.get("kind")
        else:
            self.failed.add(key)
            if key == place:
                self._failed_lines.add(place)
        if (conditions := run_conditions(record)) is not None:
            self.conditions.setdefault(str(record.get("kind")), conditions)

    def has(self, line: Problem | BadLine) -> bool:
        """True if a line, identified by its id, has a record that is no failure.

        Raises:
            UsageError: it was asked as another kind of question.
        """
        key = id_digest(line.id)
        if key in self.done:
            kind = self.done[key]
            if isinstance(line, Problem) and kind not in (None, line.kind):
                raise _different_run({f"kind of {line.id}": kind}, {f"kind of {line.id}": line.kind})
        return key in self.done

    def begin(self, now: Mapping[str, Mapping[str, Any] | None] = {}) -> None:
        """Make the output ready and write the records that wait; a second call does nothing.

        Args:
            now: ``run_conditions`` of the new records by kind; empty if nothing is searched.

        Raises:
            UsageError: earlier records of a kind were made under other conditions; the facts list the
                differences.
            DiskFullError: the output could not be repaired.
        """
        for kind, before in self.conditions.items():
            if (conditions := now.get(kind)) is not None and conditions != before:
                raise _different_run(before, conditions)
        with self._lock:
            if not self._has_begun:
                if self._path is not None:
                    self._file = _open_to_append(self._path, self._whole)
                self._has_begun = True
                for record in self._held:
                    self._append(record)

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record; after ``begin`` it is on disk when this returns. Safe from any thread.

        Raises:
            DiskFullError, UsageError: it could not be written; no part of it stays in the file.
        """
        with self._lock:
            if self._has_begun:
                self._append(record)
            else:
                self._held.append(record)

    def _append(self, record: Mapping[str, Any]) -> None:
        if self._path is None or self._file is None:
            write_payload(json_text(record))
        else:
            with writing(self._path):
                _append_line(self._file, record)
        self._replace(record)

    def _replace(self, record: Mapping[str, Any]) -> None:
        """Mark the failed records that this one replaces: of its question, or of its line if that was none.

        The record of another text on the same line stays, because it may come from another file.
        """
        of_line = self._failed_lines & {id_digest(line_id(record.get("line")))}
        replaced = self.failed & {id_digest(str(record["id"])), *of_line}
        self.failed -= replaced
        self._replaced |= replaced

    def close(self) -> None:
        """Close the file, and drop the failed records of earlier runs that have a successor.

        Raises:
            DiskFullError, UsageError: it could not be written; the file is as it was.
        """
        if self._path is None or self._file is None:
            return
        self._file.close()
        if not self._replaced:
            return
        # The old file is closed before the rename: Windows replaces none that is open.
        with writing(self._path), atomic_write(self._path) as new, self._path.open("rb") as old:
            while old.tell() < self._whole:
                line = old.readline()
                record = json.loads(line)
                if record["status"] not in UNFINISHED or id_digest(str(record["id"])) not in self._replaced:
                    new.write(line)
            shutil.copyfileobj(old, new)


@contextmanager
def open_results(output: str, *, overwrite: bool = False) -> Iterator[Results]:
    """The records of a file, locked against other runs, or stdout for ``-``.

    When writing begins, a record that a crash has torn is cut off. A failed record stays until its question
    has a new one and the output is closed, so a run that stops early forgets no question.

    Raises:
        UsageError: the file cannot be written, is not the output of a batch, or is written by another run.
    """
    if output == "-":
        yield Results(None)
        return
    path = Path(output)
    check_writable(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UsageError(
            f"cannot write {path}: it is no file, and records are read before they are written",
            hint=f"leave out --output: adascale batch ... > {shlex.quote(output)}",
            slug="unwritable",
        )
    if path.is_symlink():  # two names of a file share a lock, and the link is kept
        path = Path(os.path.realpath(path))
    with _lock(path):
        results = Results(path)
        if path.exists() and not overwrite:
            results.read(path)
        try:
            yield results
        finally:
            results.close()


def run_conditions(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The conditions of a record that are the same for all records of a run.

    Args:
        record: Record of an answered question, or the fields of one that the run decides.

    Returns:
        Version, models by sha256, sampler, search and limits by name; None for a record without a search.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, OverflowError: it is not a record of a batch.
    """
    if "search" not in record:
        return None
    generator, prm, calibration = (record.get(name) or {} for name in ("model", "prm", "calibration"))
    return {
        "version": record["version"],
        "model": generator.get("sha256"),
        "context": generator.get("n_ctx"),
        "prm": prm.get("sha256"),
        "prm format": prm.get("format"),
        "calibration": _calibration_key(calibration),
        "budget": record["budget"]["tokens"]["limit"],
        "time limit": record["budget"]["time_s"]["limit"],
        **(record["sampling"] or {}),
        **record["search"],
        "seed": int(record["search"]["seed"]),
        "min confidence": record.get("min_confidence", 0.0),
    }


def _calibration_key(calibration: Mapping[str, Any]) -> str | None:
    """Name of a calibration and a hash of its description, without the path; None without a calibration."""
    described = {name: value for name, value in calibration.items() if name != "file"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return f"{described.get('name')} {digest[:12]}" if described else None


def _different_run(before: Mapping[str, Any], now: Mapping[str, Any]) -> UsageError:
    """The error for an output that was made under other conditions, with the differences."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return UsageError(
        "the output was made by another run",
        *(f"{name}: {_shown(before.get(name))} there, {_shown(now.get(name))} now" for name in names),
        hint="another --output, or --overwrite to start again",
        slug="other-run",
    )


def _shown(value: Any) -> str:
    return "nothing" if value is None else excerpt(str(value), 40)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of an output.

    Raises:
        UsageError: another run holds it, or no lock can be made.
    """
    from filelock import FileLock, Timeout

    check_writable(path)
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{path} is being written by another run",
            hint="wait until it has ended, or name another --output",
            slug="locked",
        ) from None
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            os.unlink(lock.lock_file)  # while it is held: a lock on a file without a name is taken for none
        lock.release()


def _open_to_append(path: Path, whole: int) -> FileIO:
    """Open an output that is truncated to its whole records, the last of which ends with a newline."""
    with writing(path):
        with path.open("a+b") as file:
            file.truncate(whole)
            if whole:
                file.seek(whole - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
        # Unbuffered: what a full disk did not take must not come back when the file is closed.
        return path.open("ab", buffering=0)


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None if the line is not a record of a batch."""
    try:
        record = json.loads(line)
        is_ours = record["schema"] == ANSWER_SCHEMA and {"id", "status"} <= record.keys()
        run_conditions(record)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError, OverflowError):
        return None
    return record if is_ours else None


def _append_line(out: FileIO, record: Mapping[str, Any]) -> None:
    """Write a record and its newline to the disk; a partly written record is cut off again."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False).translate(JSON_ESCAPES)
    data = text.encode("utf-8", "replace") + b"\n"
    before = os.fstat(out.fileno()).st_size
    try:
        while data:
            data = data[out.write(data) :]
        os.fsync(out.fileno())
    except OSError:
        with suppress(OSError):  # if it stays, the next run cuts it off
            out.truncate(before)
        raise
