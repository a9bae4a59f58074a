"""Arrays and texts as compressed blobs, kept by key in one SQLite file."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import AdascaleError, DiskFullError, UsageError, excerpt, reason_of
from adascale.engine.search.events import ModelDescription

Arrays = Mapping[str, NDArray[Any]]

_MODELS = "models"
_GENERATOR = "generator"


class BlobStore:
    """Blobs by key in a few tables, each kept for good the moment it is put; the file knows its generator.

    Use with ``contextlib.closing``. A subclass names its ``tables``.

    Args:
        path: Created if missing; belongs to one generator, prompt and sampler.

    Raises:
        UsageError: the file cannot be opened or written, or another run holds it; as all methods do.
        DiskFullError: a blob cannot be kept.
        AdascaleError: the file is damaged, or is something else (``bad-store``).
    """

    tables: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path) -> None:
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
                for table in (*self.tables, _MODELS):
                    columns = "key TEXT NOT NULL PRIMARY KEY, blob BLOB NOT NULL"
                    self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put_models(self, models: ModelDescription) -> None:
        """Keep the generator and the sampler; models that judge have no part in a draw."""
        drew = ModelDescription(models.generator, sampling=models.sampling)
        self._put(_MODELS, _GENERATOR, json.dumps(to_plain(drew)).encode())

    def models(self) -> ModelDescription:
        """Generator and sampler of the contents; empty if nobody said."""
        blob = self._get(_MODELS, _GENERATOR)
        if blob is None:
            return ModelDescription()
        with self._decoding():
            found: ModelDescription = build(ModelDescription, json.loads(blob))
        return found

    def _put(self, table: str, key: str, blob: bytes, *, replace: bool = True) -> None:
        """Keep a blob, instead of one with the same key or unless there is one; atomic."""
        conflict = "REPLACE" if replace else "IGNORE"
        with self._translate_errors():
            self._db.execute(f"INSERT OR {conflict} INTO {table} VALUES (?, ?)", (key, blob))

    def _get(self, table: str, key: str) -> bytes | None:
        """The blob with this key; None without one."""
        row = self._row(f"SELECT blob FROM {table} WHERE key = ?", key)
        return None if row is None else row[0]

    def _holds(self, table: str, key: str) -> bool:
        """True if the table has a blob with this key."""
        return self._row(f"SELECT 1 FROM {table} WHERE key = ?", key) is not None

    def _every(self, table: str) -> Iterator[bytes]:
        """Every blob, in the order in which they were put; a few at a time are in memory."""
        with self._translate_errors():
            # Not "yield from", which would close the cursor of a reader that is forgotten behind the file.
            for (blob,) in self._db.execute(f"SELECT blob FROM {table} ORDER BY rowid"):
                yield blob

    def _count(self, table: str) -> int:
        """Number of blobs of a table."""
        row = self._row(f"SELECT count(*) FROM {table}")
        assert row is not None, "a count is always there"
        return int(row[0])

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Context of code that makes objects of a blob.

        Raises:
            AdascaleError: it is not what was put.
        """
        try:
            yield
        except AdascaleError:
            raise
        except Exception as error:  # numpy, zipfile and json raise nearly anything
            raise _damaged(self._path, f"{type(error).__name__}: {error}") from error

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
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


def pack(arrays: Arrays) -> bytes:
    """Arrays as one compressed blob."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy types every keyword as its own
    return buffer.getvalue()


def unpack(blob: bytes) -> dict[str, NDArray[Any]]:
    """The inverse of ``pack``."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return dict(arrays)


def pack_json(value: object) -> NDArray[np.uint8]:
    """``[bytes]`` of a value as JSON, for ``pack``."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def unpack_json(packed: NDArray[np.uint8]) -> Any:
    """The inverse of ``pack_json``."""
    return json.loads(packed.tobytes())
