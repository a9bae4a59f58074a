"""Arrays and texts as compressed blobs, kept in tables of one SQLite file."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import AdascaleError, DiskFullError, UsageError, excerpt, reason_of
from adascale.engine.search.events import ModelDescription

Value = str | int | bytes
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a ``BlobStore``.

    Attributes:
        name: Its name.
        key: Columns of text that together name a row.
        values: SQL type of each column behind the key.
    """

    name: str
    key: tuple[str, ...]
    values: Mapping[str, str]

    def schema(self) -> str:
        """The statement that makes the table if it is missing."""
        columns = [f"{name} TEXT" for name in self.key] + [f"{n} {kind}" for n, kind in self.values.items()]
        typed = ", ".join(f"{column} NOT NULL" for column in columns)
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({typed}, PRIMARY KEY ({', '.join(self.key)}))"


class BlobStore:
    """Rows that are kept for good the moment they are put. Use with ``contextlib.closing``.

    Args:
        path: Created if missing.
        tables: Its tables.

    Raises:
        UsageError: the file cannot be opened or written, or another run holds it; as all methods do.
        DiskFullError: a row cannot be kept.
        AdascaleError: the file is damaged, or is something else (``bad-store``).
    """

    def __init__(self, path: Path, tables: Sequence[Table]) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # questions are nobody else's to read
        except OSError as error:
            raise _unusable(path, reason_of(error)) from error
        with self._translate_errors():
            self._db = sqlite3.connect(path, isolation_level=None)
        try:
            with self._translate_errors():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                for table in tables:
                    self._db.execute(table.schema())
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, table: Table, key: Sequence[str], *values: Value, replace: bool = True) -> None:
        """Keep a row, instead of one with the same key or unless there is one; atomic."""
        row, conflict = (*key, *values), "REPLACE" if replace else "IGNORE"
        places = ", ".join("?" * len(row))
        with self._translate_errors():
            self._db.execute(f"INSERT OR {conflict} INTO {table.name} VALUES ({places})", row)

    def get(self, table: Table, *key: str) -> tuple[Any, ...] | None:
        """The values of the row with this key; None without one."""
        return self._row(
            f"SELECT {', '.join(table.values)} FROM {table.name} WHERE {_key_condition(table)}", key
        )

    def holds(self, table: Table, *key: str) -> bool:
        """True if the table has a row with this key."""
        return self._row(f"SELECT 1 FROM {table.name} WHERE {_key_condition(table)}", key) is not None

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Key and values of every row, in the order in which they were put; a few at a time are in memory."""
        columns = ", ".join((*table.key, *table.values))
        query = f"SELECT {columns} FROM {table.name} ORDER BY rowid"
        with self._translate_errors():
            # Not "yield from", which would close the cursor of a reader that is forgotten behind the file.
            for row in self._db.execute(query):  # noqa: UP028
                yield row

    def count(self, table: Table) -> int:
        """Number of rows of a table."""
        row = self._row(f"SELECT count(*) FROM {table.name}", ())
        assert row is not None, "a count is always there"
        return int(row[0])

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Context of code that makes objects of a row's values.

        Raises:
            AdascaleError: the values are not what was put.
        """
        try:
            yield
        except AdascaleError:
            raise
        except Exception as error:  # numpy, zipfile and json raise nearly anything
            raise _damaged(self._path, f"{type(error).__name__}: {error}") from error

    def _row(self, query: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        with self._translate_errors(), closing(self._db.execute(query, values)) as rows:
            found: tuple[Any, ...] | None = rows.fetchone()
            return found

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _database_error(self._path, error) from error
        except UnicodeDecodeError as error:  # SQLite's own message has bytes of the damaged schema in it
            raise _damaged(self._path, "its schema is no text") from error


_MODELS = Table("models", ("role",), {"description": "TEXT"})
_GENERATOR = "generator"


class DrawnStore:
    """A store of drawn texts in one SQLite file, which knows their generator and sampler.

    Use with ``contextlib.closing``. A subclass names its ``tables``.

    Args:
        path: Created if missing; belongs to one generator, prompt and sampler.
    """

    tables: ClassVar[tuple[Table, ...]]

    def __init__(self, path: Path) -> None:
        self._blobs = BlobStore(path, (*self.tables, _MODELS))

    def close(self) -> None:
        """Close the file."""
        self._blobs.close()

    def put_models(self, models: ModelDescription) -> None:
        """Keep the generator and the sampler; models that judge have no part in a draw."""
        drew = ModelDescription(models.generator, sampling=models.sampling)
        self._blobs.put(_MODELS, [_GENERATOR], json.dumps(to_plain(drew)))

    def models(self) -> ModelDescription:
        """Generator and sampler of the contents; empty if nobody said."""
        row = self._blobs.get(_MODELS, _GENERATOR)
        if row is None:
            return ModelDescription()
        with self._blobs.decoding():
            found: ModelDescription = build(ModelDescription, json.loads(row[0]))
        return found


def _database_error(path: Path, error: sqlite3.DatabaseError) -> AdascaleError:
    """The error for one of SQLite, by its result code (https://sqlite.org/rescode.html)."""
    match getattr(error, "sqlite_errorname", "").split("_")[1:]:
        case ["FULL", *_] | ["IOERR", "SHMSIZE"]:  # the second is of the index beside the log of changes
            return DiskFullError(
                f"{path} cannot grow: the disk is full",
                "every row in it is whole",
                hint="free some space, and run the same command again: it goes on",
            )
        case ["BUSY" | "LOCKED", *_]:
            return UsageError(f"{path} is being written by another run", slug="locked")
        case ["CANTOPEN" | "READONLY" | "IOERR" | "PERM", *_]:
            return _unusable(path, str(error))
        case _:
            return _damaged(path, str(error))


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(f"cannot use {path}: {why.lower()}", slug="unwritable")


def _damaged(path: Path, why: str) -> AdascaleError:
    return AdascaleError(
        f"{path} is damaged",
        excerpt(why),
        hint="move it away; the same command then draws again what it held",
        slug="bad-store",
    )


def _key_condition(table: Table) -> str:
    return " AND ".join(f"{column} = ?" for column in table.key)


def pack(arrays: Arrays) -> bytes:
    """Arrays as one compressed blob."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy types every keyword as its own
    return buffer.getvalue()


def unpack(blob: bytes) -> dict[str, NDArray[Any]]:
    """The inverse of ``pack``."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return dict(arrays)


def pack_texts(texts: Sequence[str]) -> NDArray[np.uint8]:
    """``[bytes]`` of texts, for ``pack``."""
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def unpack_texts(packed: NDArray[np.uint8]) -> tuple[str, ...]:
    """The inverse of ``pack_texts``."""
    return tuple(json.loads(packed.tobytes()))
