"""A dataset as a file: JSON Lines, or parquet through pyarrow. It appears when it is complete."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, Protocol, get_args, get_origin, get_type_hints, is_typeddict

from adascale.engine.datasets.rows import Row
from adascale.engine.errors import UsageError

from ..storage import atomic_write

FileFormat = Literal["jsonl", "parquet"]

_ROWS = 1000
"""Of a row group: what is in memory before it is written."""


class DatasetWriter(Protocol):
    """A dataset that is being written."""

    def write(self, row: Row) -> None:
        """Append a row."""

    def close(self) -> None:
        """Write what waits."""


class HashedFile(io.RawIOBase):
    """A binary file that is written once from its beginning, and its digest.

    Args:
        file: Where it goes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0
        self._is_abandoned = False

    @property
    def sha256(self) -> str:
        """Lowercase hex digits of what was written so far."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Bytes so far."""
        return self._size

    def write(self, data: Any) -> int:
        """Append bytes."""
        self._digest.update(data)
        if self._is_abandoned:
            return len(data)
        written = self._file.write(data)
        self._size += written
        return written

    def abandon(self) -> None:
        """Drop what is still written: a parquet writer that was not closed writes when it is deleted."""
        self._is_abandoned = True


def _clean(row: Row) -> Row:
    """A row in which "?" stands for half of a surrogate pair: JSON can say it, but Arrow does not read it."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        cleaned: Row = json.loads(text.encode("utf-8", "replace"))
        return cleaned
    return row


class _JsonLines:
    """One row a line, in ASCII: no reader takes a character for the end of a line."""

    def __init__(self, file: HashedFile) -> None:
        self._file = file
        self._encode = json.JSONEncoder(allow_nan=False).encode

    def write(self, row: Row) -> None:
        """Append a row."""
        line = self._encode(row)
        if "\\ud" in line:  # a surrogate, of a pair or alone
            line = self._encode(_clean(row))
        self._file.write(line.encode("ascii") + b"\n")

    def close(self) -> None:
        """Nothing waits."""


class _Parquet:
    """Row groups with the columns of a ``TypedDict``."""

    def __init__(self, file: HashedFile, row: type[Any]) -> None:
        from pyarrow import parquet

        self._schema = parquet_schema(row)
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._waiting: list[Row] = []

    def write(self, row: Row) -> None:
        """Append a row."""
        self._waiting.append(_clean(row))
        if len(self._waiting) == _ROWS:
            self._flush()

    def close(self) -> None:
        """Write the last group and the index."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting.clear()


@contextmanager
def open_dataset(
    path: Path, file_format: FileFormat, row: type[Any]
) -> Iterator[tuple[DatasetWriter, HashedFile]]:
    """A file to write rows to, with its digest; after an error it is not there, or is as it was.

    Args:
        path: Its name.
        file_format: How rows are written.
        row: Their ``TypedDict``.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(path) as file:
        hashed = HashedFile(file)
        writer = _JsonLines(hashed) if file_format == "jsonl" else _Parquet(hashed, row)
        try:
            yield writer, hashed
            writer.close()
        except BaseException:
            hashed.abandon()
            raise


def check_parquet() -> None:
    """Refuse early what could not be written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "parquet is written by pyarrow, which is not installed",
            hint="pip install 'adascale[export]', or an output that ends in .jsonl",
            slug="no-pyarrow",
        )


def parquet_schema(row: type[Any]) -> Any:
    """The ``pyarrow.Schema`` of a ``TypedDict``; a column that may be None is nullable, as all are."""
    import pyarrow

    return pyarrow.schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(row).items()])


def _arrow_type(hint: Any) -> Any:
    import pyarrow

    if is_typeddict(hint):
        return pyarrow.struct([(name, _arrow_type(each)) for name, each in get_type_hints(hint).items()])
    if get_origin(hint) is list:
        return pyarrow.list_(_arrow_type(get_args(hint)[0]))
    if isinstance(hint, UnionType):
        return _arrow_type(next(each for each in get_args(hint) if each is not NoneType))
    if get_origin(hint) is Literal:
        return pyarrow.string()
    plain = {
        str: pyarrow.string(), bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64()
    }  # fmt: skip
    return plain[hint]
