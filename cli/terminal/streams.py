"""Handles standard streams that are closed, full, or without a reader."""

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
    """Open the streams that the caller has closed: stdin is empty, stdout fails, stderr is discarded.

    Otherwise the next files that are opened would get their numbers, and printed text would go into them.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # it takes the lowest free number
    # Python sets a closed stream to None, which typeshed does not know.
    sys.stdin = sys.stdin or _open_standard(0, "r")
    sys.stdout = sys.stdout or _open_standard(1, "w")
    sys.stderr = sys.stderr or _open_standard(2, "w")


def _open_standard(number: int, mode: str) -> TextIO:
    stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    assert isinstance(stream, io.TextIOWrapper)
    return stream


class _LossyStream(io.TextIOWrapper):
    """A stream that discards everything after its first failed write."""

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
    """Ignore failed writes to stderr, so that a lost status line does not end a run.

    A stream that replaces Python's own is left alone.
    """
    own = sys.__stderr__
    if own is not None and sys.stderr is own:
        binary = open(own.fileno(), "wb", closefd=False)  # noqa: SIM115 - it stays open
        sys.stderr = _LossyStream(binary, own.encoding, own.errors, line_buffering=True)


@contextmanager
def writing_stdout() -> Iterator[None]:
    """Around writes to stdout.

    Raises:
        DiskFullError, UsageError: stdout cannot be written.
        SystemExit: the reader has gone.
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
    """Flush stdout; if that fails, discard the rest, so that it does not fail again at the exit."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    """Discard everything that is written from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
