"""Arrays and texts as compressed blobs, kept in tables of one SQLite file."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Value = str | int | bytes
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a ``BlobStore``.

    Attributes:
        name: Its name.
        key: Columns of text that together name a row.
        values: SQL type of each other column.
    """

    name: str
    key: tuple[str, ...]
    values: Mapping[str, str]

    def schema(self) -> str:
        """The statement that makes the table where it is missing."""
        columns = [f"{name} TEXT" for name in self.key] + [f"{n} {kind}" for n, kind in self.values.items()]
        typed = ", ".join(f"{column} NOT NULL" for column in columns)
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({typed}, PRIMARY KEY ({', '.join(self.key)}))"


class BlobStore:
    """Rows that are kept for good the moment they are put. Use with ``contextlib.closing``.

    Args:
        path: Created if missing.
        tables: Its tables; those of an older version with the same columns are read as they are.
    """

    def __init__(self, path: Path, tables: Sequence[Table]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        for table in tables:
            self._db.execute(table.schema())

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, table: Table, key: Sequence[str], *values: Value) -> None:
        """Keep a row in the place of one with the same key; atomic."""
        self._insert("REPLACE", table, (*key, *values))

    def add(self, table: Table, key: Sequence[str], *values: Value) -> None:
        """Keep a row where none has its key; atomic."""
        self._insert("IGNORE", table, (*key, *values))

    def get(self, table: Table, *key: str) -> tuple[Any, ...] | None:
        """The values of the row with this key; None without one."""
        return self._row(
            f"SELECT {', '.join(table.values)} FROM {table.name} WHERE {_key_condition(table)}", key
        )

    def holds(self, table: Table, *key: str) -> bool:
        """Whether the table has a row with this key."""
        return self._row(f"SELECT 1 FROM {table.name} WHERE {_key_condition(table)}", key) is not None

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Key and values of every row, in the order in which they were put; a few at a time are in memory."""
        columns = ", ".join((*table.key, *table.values))
        with closing(self._db.execute(f"SELECT {columns} FROM {table.name} ORDER BY rowid")) as rows:
            yield from rows

    def count(self, table: Table) -> int:
        """Number of rows of a table."""
        row = self._row(f"SELECT count(*) FROM {table.name}", ())
        assert row is not None, "a count is always there"
        return int(row[0])

    def _insert(self, conflict: str, table: Table, row: tuple[Value, ...]) -> None:
        places = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR {conflict} INTO {table.name} VALUES ({places})", row)

    def _row(self, query: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        with closing(self._db.execute(query, values)) as rows:
            found: tuple[Any, ...] | None = rows.fetchone()
            return found


def _key_condition(table: Table) -> str:
    return " AND ".join(f"{column} = ?" for column in table.key)


def pack(arrays: Arrays) -> bytes:
    """Arrays as one compressed blob."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy types every keyword as its own
    return buffer.getvalue()


def unpack(blob: bytes) -> dict[str, NDArray[Any]]:
    """The inverse of ``pack``; blobs that older versions did not compress are read too."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return dict(arrays)


def pack_texts(texts: Sequence[str]) -> NDArray[np.uint8]:
    """``[bytes]`` of texts, for ``pack``."""
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def unpack_texts(packed: NDArray[np.uint8]) -> tuple[str, ...]:
    """The inverse of ``pack_texts``."""
    return tuple(json.loads(packed.tobytes()))
