"""The standard streams where they are not as usual: closed, full, or read by nobody."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from adascale.engine.errors import DiskFullError, UsageError, is_disk_full, reason_of

_NO_READER = 128 + 13
"""Exit code of a program that SIGPIPE has ended."""


def open_missing() -> None:
    """Open the streams that the caller has closed: stdin is empty, stdout refuses, stderr goes nowhere.

    Left closed, their numbers would go to the next files that are opened, and what is printed into those.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # it takes the lowest free number
    # None where Python found them closed, whatever typeshed says.
    sys.stdin = sys.stdin or _open_standard(0, "r")
    sys.stdout = sys.stdout or _open_standard(1, "w")
    sys.stderr = sys.stderr or _open_standard(2, "w")


def _open_standard(number: int, mode: str) -> TextIO:
    stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    assert isinstance(stream, io.TextIOWrapper)
    return stream


class _LossyStream(io.TextIOWrapper):
    """A stream that loses what cannot be written, from the first failure on."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            _abandon(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _abandon(self)


def lose_unwritable_stderr() -> None:
    """Let no write to stderr fail: a status line that nobody can read must not end a run.

    A stream that a caller has put in the place of Python's own stays.
    """
    own = sys.__stderr__
    if own is not None and sys.stderr is own:
        binary = open(own.fileno(), "wb", closefd=False)  # noqa: SIM115 - it stays open
        sys.stderr = _LossyStream(binary, own.encoding, own.errors, line_buffering=True)


@contextmanager
def writing_stdout() -> Iterator[None]:
    """Around writes to stdout.

    Raises:
        DiskFullError, UsageError: it cannot be written to.
        SystemExit: nobody reads it any more.
    """
    try:
        yield
    except BrokenPipeError:
        _abandon(sys.stdout)
        raise SystemExit(_NO_READER) from None
    except OSError as error:
        _abandon(sys.stdout)
        kind = DiskFullError if is_disk_full(error) else UsageError
        raise kind(f"cannot write to stdout: {reason_of(error)}", slug="unwritable") from error


def flush_or_abandon() -> None:
    """Write what stdout still holds; what cannot be written must not fail once more at the exit."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    """Lead what is still to be written nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
