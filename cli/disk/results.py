"""The output of a batch: one record a line, each on disk before the next; a run goes on after a crash."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.types import Problem
from adascale.models.lines import LineWriter, locked, read_lines
from adascale.models.questions import BadLine
from adascale.models.storage import atomic_write

from ..terminal.streams import JSON_ESCAPES, json_text, write_payload
from .files import ANSWER_SCHEMA, check_writable, write_file, writing

_BEGIN = b'{"line": '
"""Beginning of every record of a batch, which tells a torn first record from another kind of file."""


class Results:
    """The records of earlier runs, to which new ones are added.

    The output is not touched before ``begin``, which drops the records of questions that failed, since they
    are asked again; records that are written earlier wait until then.

    Attributes:
        done: Kinds of the questions with a record, by id; None where a record has none.
        conditions: ``run_conditions`` of the earlier records, by kind.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path  # None for stdout
        self._whole = 0  # bytes of the earlier records in the file
        self._has_begun = False
        self._writer: LineWriter | None = None
        self._held: list[Mapping[str, Any]] = []
        self._lock = threading.Lock()
        self.done: dict[str, str | None] = {}
        self.conditions: dict[str, dict[str, Any]] = {}
        self._failed: set[int] = set()  # numbers of the lines of failed records

    @property
    def seed(self) -> int | None:
        """Seed of the earlier records; None if there are none."""
        return next((each["seed"] for each in self.conditions.values()), None)

    def read(self, path: Path) -> None:
        """Add the records of earlier runs.

        Raises:
            UsageError: the file cannot be read, or is not the output of a batch.
        """
        with writing(path):
            for line in read_lines(path):
                record = _record(line.data)
                if record is None:
                    if not line.is_whole and (line.number > 1 or line.data.startswith(_BEGIN)):
                        return  # torn by a crash
                    raise UsageError(
                        f"{path} is no output of adascale batch (line {line.number})",
                        hint="another --output, or --overwrite to replace it",
                        slug="not-results",
                    )
                self._whole = line.end
                if record["status"] in ("error", "interrupted"):
                    self._failed.add(line.number)
                else:
                    self.done[str(record["id"])] = record.get("kind")
                if (conditions := run_conditions(record)) is not None:
                    self.conditions.setdefault(str(record.get("kind")), conditions)

    def has(self, line: Problem | BadLine) -> bool:
        """True if a line, identified by its id, has a record that is no failure.

        Raises:
            UsageError: it was asked as another kind of question.
        """
        kind = self.done.get(line.id)
        if isinstance(line, Problem) and kind not in (None, line.kind):
            raise _different_run({f"kind of {line.id}": kind}, {f"kind of {line.id}": line.kind})
        return line.id in self.done

    def begin(self, now: Mapping[str, Mapping[str, Any] | None] = {}) -> None:
        """Make the output ready and write the records that wait; a second call does nothing.

        Args:
            now: ``run_conditions`` of the new records by kind; empty if nothing is searched.

        Raises:
            UsageError: earlier records of a kind were made under other conditions; the facts list the
                differences.
            DiskFullError: the output could not be made ready; it is as it was.
        """
        for kind, before in self.conditions.items():
            if (conditions := now.get(kind)) is not None and conditions != before:
                raise _different_run(before, conditions)
        with self._lock:
            if not self._has_begun:
                if self._path is not None:
                    with writing(self._path):
                        if self._failed:
                            self._drop_failed(self._path)
                        self._writer = LineWriter(self._path, self._whole)
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
        if self._path is None or self._writer is None:
            write_payload(json_text(record))
        else:
            text = json.dumps(record, ensure_ascii=False, allow_nan=False).translate(JSON_ESCAPES)
            with writing(self._path):
                self._writer.append(text, sync=True)

    def _drop_failed(self, path: Path) -> None:
        """Replace the output by one without failed and torn records, at one stroke."""
        with atomic_write(path) as new:
            for line in read_lines(path):
                if line.end <= self._whole and line.number not in self._failed:
                    new.write(line.data + b"\n")
            self._whole = new.tell()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def open_results(output: str, *, overwrite: bool = False) -> Iterator[Results]:
    """The records of a file, locked against other runs, or stdout for ``-``.

    When writing begins, a record that a crash has torn is cut off.

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
    with ExitStack() as stack:
        with writing(path):
            stack.enter_context(locked(path, "wait until it has ended, or name another --output"))
        results = Results(path)
        if path.exists() and not overwrite:
            results.read(path)
        stack.callback(results.close)
        yield results


_COLUMNS = ("status", "answer", "probability", "band")


def write_table(records: Path, path: Path) -> None:
    """Write the records of a batch as a CSV: id, question, the user's own fields, and the answer.

    Raises:
        DiskFullError, UsageError: it cannot be written.
    """
    rows = []
    for line in read_lines(records):
        record = json.loads(line.data)
        confidence = record.get("confidence") or {}
        before = itertools.takewhile(lambda item: item[0] != "schema", record.items())
        row = {"id": record["id"], "question": record.get("question"), **dict(before)}
        row |= {"status": record["status"], "answer": record.get("answer")}
        rows.append(row | {"probability": confidence.get("p"), "band": confidence.get("band")})
    names = dict.fromkeys(name for row in rows for name in row if name not in (*_COLUMNS, "line"))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*names, *_COLUMNS], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, text.getvalue().encode("utf-8", "replace"))


def run_conditions(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The conditions of a record that are the same for all records of a run.

    Args:
        record: Record of an answered question, or the fields of one that the run decides.

    Returns:
        Version, models by sha256 or by a server's name for one, sampler, search and limits by name; None for
        a record without a search.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, OverflowError: it is not a record of a batch.
    """
    if "search" not in record:
        return None
    generator, prm, calibration = (record.get(name) or {} for name in ("model", "prm", "calibration"))
    digest = generator.get("sha256")  # a server's model has none, and a context that nobody here sets
    return {
        "version": record["version"],
        "model": digest or generator.get("name"),
        "context": generator.get("n_ctx") if digest else None,
        "prm": prm.get("sha256"),
        "prm format": prm.get("format"),
        "calibration": _calibration_key(calibration),
        "budget": record["budget"]["tokens"],
        "time limit": record["budget"]["time_s"],
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


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None if the line is not a record of a batch."""
    try:
        record = json.loads(line)
        is_ours = record["schema"] == ANSWER_SCHEMA and {"id", "status"} <= record.keys()
        run_conditions(record)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError, OverflowError):
        return None
    return record if is_ours else None
