"""The standard streams: stdin has the question, stdout gets the payload, stderr everything else."""

from __future__ import annotations

import io
import json
import os
import select
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from adascale.engine.errors import (
    DiskFullError,
    UsageError,
    conversion_hint,
    is_disk_full,
    reason_of,
)

from .console import new_console, stderr_console
from .text import BIDI, clean, wrapped

if TYPE_CHECKING:
    from rich.console import RenderableType


def stdin_stream(example: str) -> BinaryIO:
    """Open stdin for reading line by line.

    Args:
        example: A command that works, for the hint of an error.

    Raises:
        UsageError: stdin is a terminal.
    """
    if sys.stdin.isatty():
        raise UsageError("no file given and nothing is piped in", hint=example)
    # Not sys.stdin's own buffer: a thread that waits on that one makes Python abort when it ends.
    return open(sys.stdin.fileno(), "rb", closefd=False)


def read_stdin() -> str:
    """All of stdin as UTF-8, without a byte order mark.

    Raises:
        UsageError: it is not UTF-8; the message names the first bad byte.
    """
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"stdin is not UTF-8 (byte {exc.start}, 0x{data[exc.start]:02x})",
            hint=conversion_hint(data),
            slug="not-utf8",
        ) from exc


def read_piped(*, quiet: bool = False) -> str:
    """Text that is piped in with a question, read to its end; empty for a terminal.

    Args:
        quiet: Do not report that the command waits for a silent pipe.

    Raises:
        UsageError: it is not UTF-8.
    """
    if sys.stdin.isatty():
        return ""
    if not quiet:
        _say_if_silent()
    return read_stdin().strip()


def is_piped() -> bool:
    """True if text is piped in; waits for its first byte."""
    if sys.stdin.isatty():
        return False
    _say_if_silent()
    return bool(cast(io.BufferedReader, sys.stdin.buffer).peek(1))


def _say_if_silent() -> None:
    """Report that the command waits for stdin, if it is open and empty."""
    if sys.platform == "win32":
        return
    with suppress(ValueError):  # a stand-in for stdin, which does not wait
        if not select.select([sys.stdin], [], [], 0)[0]:
            say("adascale: reading stdin ... (< /dev/null if nothing comes)")


def write_payload(text: str) -> None:
    """Write the answer or JSON to stdout, with exactly one newline at its end; errors as ``write_piece``."""
    write_piece(clean(text).rstrip("\n") + "\n")


def write_piece(text: str) -> None:
    """Write a part of the answer to stdout, without control characters.

    Raises:
        DiskFullError, UsageError: it cannot be written.
        SystemExit: the reader has gone, as after ``| head -1``.
    """
    usual = sys.stdout.encoding or "utf-8"
    with _writing_stdout():
        sys.stdout.write(clean(text).encode(usual, errors="replace").decode(usual))
        sys.stdout.flush()


_UNSAFE = (*range(0x7F, 0xA0), 0x2028, 0x2029, *BIDI, 0xFFFE, 0xFFFF)

JSON_ESCAPES = {code: f"\\u{code:04x}" for code in _UNSAFE}
"""Characters that JSON allows in a string, but a terminal takes for a command or a reader for a line end."""


def json_line(data: Mapping[str, Any]) -> str:
    """One line of ASCII without its newline: safe for any encoding, terminal and line splitter.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def json_text(data: Any, indent: int | None = None) -> str:
    """A JSON value for stdout; non-ASCII characters are escaped unless stdout is UTF-8.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    is_utf8 = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    return json.dumps(data, ensure_ascii=not is_utf8, allow_nan=False, indent=indent).translate(JSON_ESCAPES)


def write_json(data: Mapping[str, Any]) -> None:
    """Write one object to stdout: indented on a terminal, one line in a pipe."""
    write_payload(json_text(data, 2 if sys.stdout.isatty() else None))


def write_json_lines(records: Iterable[Mapping[str, Any]]) -> None:
    """Write one object a line to stdout."""
    if lines := "\n".join(map(json_text, records)):
        write_payload(lines)


def say(text: str, label_style: str = "") -> None:
    """Write lines for people to stderr; if that fails, they and all later ones are discarded.

    Args:
        text: The lines, which a terminal wraps between words.
        label_style: Style of the label of an error or a warning, such as ``error[usage]``.
    """
    lines = wrapped(clean(text), sys.stderr)
    try:
        if label_style:
            from rich.text import Text

            styled = Text(lines)
            styled.highlight_regex(r"^\w+\[[\w-]+\]", label_style)
            styled.highlight_regex("(?m)^hint: ", "hint")
            stderr_console().print(styled, soft_wrap=True)
        else:
            sys.stderr.write(f"{lines}\n")
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)


def open_missing() -> None:
    """Open the streams that the caller has closed: stdin is empty, stdout fails, stderr is discarded.

    Otherwise the next files that are opened would get their numbers, and printed text would go into them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # It gets the lowest free number, which is the stream's own.
            os.set_inheritable(os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY), True)
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def write_screen(renderable: RenderableType) -> None:
    """Draw on stdout, a terminal; errors as ``write_payload``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may have another encoding
    with _writing_stdout():
        new_console().print(renderable)
        sys.stdout.flush()


@contextmanager
def _writing_stdout() -> Iterator[None]:
    """Around writes to stdout.

    Raises:
        DiskFullError, UsageError: stdout cannot be written.
        SystemExit: the reader has gone.
    """
    try:
        yield
    except BrokenPipeError:
        _abandon(sys.stdout)
        raise SystemExit(0) from None  # head -1 has read enough
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
