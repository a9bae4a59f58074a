"""The output of a batch: one record a line, each on disk before the next; a run continues after a crash."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import UsageError, excerpt
from adascale.models.lines import LineWriter, locked, read_lines
from adascale.models.questions import BadLine
from adascale.models.rows import csv_text
from adascale.models.storage import atomic_write

from ..report import ANSWER_SCHEMA, FIELDS, RUN_FIELDS
from ..terminal.streams import JSON_ESCAPES, json_text, write_payload
from .files import check_writable, write_file, writing

if TYPE_CHECKING:
    from adascale.engine.types import Problem

_BEGIN = b'{"line": '
"""Beginning of every record of a batch, by which a torn first record is told from another kind of file."""

Conditions = Mapping[str, Any]
"""Settings that all records of a run share, by dotted name, such as ``search.seed``."""


class Results:
    """The records of earlier runs, to which new ones are added; a context manager.

    Args:
        path: The file, which is not touched before ``begin``; None for stdout.

    Attributes:
        kinds: Kinds of the questions with a record, by id; a failed question has none.
        conditions: Conditions of the earlier records, by kind.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._size = 0  # bytes of whole records in the file
        self._failed: set[int] = set()  # numbers of the lines of failed records
        self._writer: LineWriter | None = None
        self.kinds: dict[str, str | None] = {}
        self.conditions: dict[str, Conditions] = {}

    @property
    def seed(self) -> int | None:
        """Seed of the earlier records; None if there are none."""
        return next((each["search.seed"] for each in self.conditions.values()), None)

    def read(self, path: Path) -> None:
        """Add the records of earlier runs.

        Raises:
            UsageError: the file cannot be read, or is not the output of a batch.
        """
        with writing(path):
            for line in read_lines(path):
                try:
                    record = json.loads(line.data)
                    if record["schema"] != ANSWER_SCHEMA:
                        raise ValueError
                    id_, status, kind = str(record["id"]), record["status"], record.get("kind")
                    if "search" in record:
                        self.conditions.setdefault(kind, run_conditions(record))
                except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
                    if not line.is_whole and (line.number > 1 or line.data.startswith(_BEGIN)):
                        return  # torn by a crash
                    raise UsageError(
                        f"{path} is no output of adascale batch (line {line.number})",
                        hint="another --output, or --overwrite to replace it",
                        slug="not-results",
                    ) from error
                self._size = line.end
                if status in ("error", "interrupted"):
                    self._failed.add(line.number)
                else:
                    self.kinds[id_] = kind

    def has(self, line: Problem | BadLine) -> bool:
        """True if a line has a record, by its id, that is no failure.

        Raises:
            UsageError: it was asked as another kind of question.
        """
        kind = self.kinds.get(line.id)
        if not isinstance(line, BadLine) and kind not in (None, line.kind):
            name = f"kind of {line.id}"
            raise _other_run({name: kind}, {name: line.kind})
        return line.id in self.kinds

    def begin(self, conditions: Mapping[str, Conditions] = {}) -> None:
        """Open the output, without the records of failed questions, since they are asked again.

        Args:
            conditions: Conditions of the new records by kind; empty if nothing is searched.

        Raises:
            UsageError: earlier records of a kind have other conditions; the facts list the differences.
            DiskFullError: the output cannot be opened; it is unchanged.
        """
        for kind, before in self.conditions.items():
            if conditions and before != conditions[kind]:
                raise _other_run(before, conditions[kind])
        if self._path is not None:
            with writing(self._path):
                if self._failed:
                    self._drop_failed(self._path)
                self._writer = LineWriter(self._path, self._size)

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record, which is on disk when this returns.

        Raises:
            DiskFullError, UsageError: it could not be written; no part of it stays in the file.
        """
        if self._path is None or self._writer is None:
            write_payload(json_text(record))
        else:
            text = json.dumps(record, ensure_ascii=False, allow_nan=False).translate(JSON_ESCAPES)
            with writing(self._path):
                self._writer.append(text, sync=True)

    def _drop_failed(self, path: Path) -> None:
        """Replace the output atomically by one without failed and torn records."""
        with atomic_write(path) as new:
            for line in read_lines(path):
                if line.end <= self._size and line.number not in self._failed:
                    new.write(line.data + b"\n")
            self._size = new.tell()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def open_results(output: str, *, overwrite: bool = False) -> Iterator[Results]:
    """The records of a file, locked against other runs, or stdout for ``-``.

    Raises:
        UsageError: the file cannot be written, is not the output of a batch, or is written by another run.
    """
    if output == "-":
        yield Results(None)
        return
    path = Path(output)
    check_writable(path)
    if path.exists() and not path.is_file():
        raise UsageError(
            f"cannot write {path}: it is no file, and records are read before they are written",
            hint=f"leave out --output: adascale batch ... > {shlex.quote(output)}",
            slug="unwritable",
        )
    path = Path(os.path.realpath(path))  # a link is kept, and shares the lock of its file
    with ExitStack() as stack:
        with writing(path):
            stack.enter_context(locked(path, "wait until it has ended, or name another --output"))
        results = Results(path)
        if path.exists() and not overwrite:
            results.read(path)
        stack.callback(results.close)
        yield results


def write_table(records: Path, path: Path) -> None:
    """Write the records of a batch as a CSV: id, question, the user's fields, and the answer.

    Raises:
        DiskFullError, UsageError: it cannot be written.
    """
    rows: list[dict[str, Any]] = []
    own: dict[str, None] = {}  # names of the user's fields
    for line in read_lines(records):
        record = json.loads(line.data)
        confidence = record.get("confidence") or {}
        rows.append({**record, "probability": confidence.get("p"), "band": confidence.get("band")})
        own |= dict.fromkeys(name for name in record if name not in (*FIELDS, "probability", "band"))
    columns = ["id", "question", *own, "status", "answer", "probability", "band"]
    write_file(path, csv_text(columns, rows))


def run_conditions(record: Mapping[str, Any]) -> Conditions:
    """The conditions of a record, or of ``report.run_fields``.

    A model with a digest may have another name, and every file may be moved.

    Raises:
        KeyError: a field is missing.
    """
    conditions: dict[str, Any] = {}
    for field in RUN_FIELDS:
        value = record[field]
        if isinstance(value, Mapping):
            ignored = {"file", "name"} if value.get("sha256") else {"file"}
            conditions |= {f"{field}.{name}": value[name] for name in value if name not in ignored}
        else:
            conditions[field] = value
    plain: Conditions = json.loads(json.dumps(conditions))
    return plain


def _other_run(before: Conditions, now: Conditions) -> UsageError:
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
