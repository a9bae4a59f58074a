"""Files of JSON lines that only grow: whatever kills a run, its earlier lines are there and whole.

``LineWriter`` appends a line, ``read_lines`` reads them back and recognises a line that a kill has torn, and
``locked`` holds a file for one run. ``KeyedLines`` are records by key, with arrays beside them in numpy's own
format.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from adascale.engine.errors import AdascaleError, DiskFullError, UsageError, excerpt, is_disk_full, reason_of

if TYPE_CHECKING:  # numpy itself is imported only for arrays: a trace has none
    from numpy.typing import NDArray

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"

Made = TypeVar("Made")


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        number: Number, from 1.
        start, end: Bytes of the file before it, and with it.
        data: Bytes of it, without the newline.
        is_whole: True with a newline; the last line of a killed run may have none.
    """

    number: int
    start: int
    end: int
    data: bytes
    is_whole: bool


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file.

    Raises:
        OSError: the file cannot be read.
    """
    end = 0
    with path.open("rb") as file:
        for number, data in enumerate(file, start=1):
            start, end = end, end + len(data)
            yield Line(number, start, end, data.removesuffix(b"\n"), data.endswith(b"\n"))


class LineWriter:
    """Appends lines to a file; each is in the file when ``append`` returns, whatever happens to the process.

    Args:
        path: The file; it may be a pipe or a device.
        keep: Bytes that stay; a torn line of a killed run behind them is cut off.

    Raises:
        OSError: the file cannot be written, as ``append`` does.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        # Unbuffered: bytes that a full disk refused must not come back when the file is closed.
        self._file = path.open("r+b" if keep else "wb", buffering=0)
        self._size = keep
        if keep:
            self._file.truncate(keep)
            self._file.seek(keep - 1)
            if self._file.read(1) != b"\n":
                self.append("")

    def append(self, line: str, *, sync: bool = False) -> int:
        """Add a line, with ``sync`` to the disk itself; of one that does not fit nothing stays.

        Returns:
            Bytes of the file before it.
        """
        start, data = self._size, line.encode("utf-8", "replace") + b"\n"
        try:
            while data:
                count = self._file.write(data)
                self._size, data = self._size + count, data[count:]
            if sync:
                os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):  # if it stays, the next run cuts it off
                self._file.truncate(start)
                self._file.seek(start)
            self._size = start
            raise
        return start

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._file.closed

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def locked(path: Path, hint: str = "wait until it has ended") -> Iterator[None]:
    """Hold the lock of a file against other runs; two names of it by a link are two files.

    Raises:
        UsageError: another run holds it.
        OSError: no lock can be made beside it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{path} is being written by another run",
            hint=hint,
            slug="locked",
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            os.unlink(lock.lock_file)  # while it is held: a lock on a file without a name is taken for none
        lock.release()


BEGIN = b'{"table": '
"""Beginning of every file of ``KeyedLines``."""


class KeyedLines:
    """Records by table and key, each kept for good the moment it is put; of two the later one counts.

    Use with ``contextlib.closing``. Arrays lie in a second file, one behind the other in numpy's format, and
    are written before the line that has their places.

    Args:
        path: Created if missing, held against other runs, and cut after its last whole line.
        read_only: Reads existing lines, and locks nothing.

    Raises:
        UsageError: the file cannot be opened or written, or another run holds it; as all methods do.
        DiskFullError: a record cannot be kept.
        AdascaleError: the file is damaged, or is something else (``bad-store``).
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._arrays_path = path.with_suffix(".npy")
        self._places: dict[str, dict[str, int]] = {}  # of the line, by table and key
        with ExitStack() as stack, self._translate_errors():
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(path))
                for file in (path, self._arrays_path):  # questions are nobody else's to read
                    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            whole = 0
            for line in read_lines(path):
                try:
                    record = json.loads(line.data)
                    self._places.setdefault(record["table"], {})[record["key"]] = line.start
                    whole = line.end
                except (ValueError, LookupError, TypeError, RecursionError) as error:
                    is_ours = line.number > 1 or BEGIN.startswith(line.data[: len(BEGIN)])
                    if line.is_whole or not is_ours:
                        raise self._damaged(error) from error
            if not read_only:
                self._writer = LineWriter(path, whole)
                stack.callback(self._writer.close)
            self._lines = stack.enter_context(path.open("rb"))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def keep(self, table: str, key: str, value: object, arrays: Arrays | None = None) -> None:
        """Keep a JSON value and arrays, instead of those with the same key."""
        record: dict[str, Any] = {"table": table, "key": key, "value": value}
        with self._translate_errors():
            if arrays:
                import numpy as np

                places = record["arrays"] = {}
                with self._arrays_path.open("ab") as file:
                    for name, array in arrays.items():
                        places[name] = file.tell()
                        np.save(file, array, allow_pickle=False)
            place = self._writer.append(json.dumps(record, allow_nan=False))
        self._places.setdefault(table, {})[key] = place

    def read(self, table: str, key: str, make: Callable[[Any, Arrays], Made]) -> Made | None:
        """What ``make`` makes of the value and the arrays with this key; None without them."""
        if not self.has(table, key):
            return None
        with self.decoding():
            record = self._record(self._places[table][key])
            arrays = {}
            if "arrays" in record:
                import numpy as np

                with self._arrays_path.open("rb") as file:
                    for name, place in record["arrays"].items():
                        file.seek(place)
                        arrays[name] = np.load(file, allow_pickle=False)
            return make(record["value"], arrays)

    def values(self, table: str) -> Iterator[Any]:
        """Every value, in the order in which they were first put, one in memory at a time."""
        for place in self._places.get(table, {}).values():
            yield self._record(place)["value"]

    def _record(self, place: int) -> Any:
        with self._translate_errors():
            self._lines.seek(place)
            return json.loads(self._lines.readline())

    def has(self, table: str, key: str) -> bool:
        """True if the table has a record with this key."""
        return key in self._places.get(table, {})

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Context of code that makes objects of a value.

        Raises:
            AdascaleError: it differs from the line that was put.
        """
        try:
            yield
        except AdascaleError:
            raise
        except Exception as error:  # numpy and json raise nearly anything
            raise self._damaged(error) from error

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(
                    f"{self._path} cannot grow: the disk is full",
                    "every line in it is whole",
                    hint="free some space, and run the same command again: it goes on",
                ) from error
            text = f"cannot use {self._path}: {reason_of(error)}"
            raise UsageError(text, slug="unwritable") from error

    def _damaged(self, error: Exception) -> AdascaleError:
        return AdascaleError(
            f"{self._path} is damaged",
            excerpt(f"{type(error).__name__}: {error}"),
            hint="move it away; the same command then draws its contents again",
            slug="bad-store",
        )
