"""The standard streams: stdin has the question, stdout gets the payload, stderr everything else.

Rich does not write to stdout, because it would wrap lines at 80 columns in a pipe. Text of models and files
passes through ``clean`` before it reaches a terminal, because Rich does not remove escape bytes.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import select
import shlex
import shutil
import stat
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

from adascale.engine.errors import (
    AdascaleError,
    DiskFullError,
    UsageError,
    conversion_hint,
    is_disk_full,
    reason_of,
    respell,
)
from adascale.engine.types import Notice

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


_STYLES: Final = {
    "expanded": "blue",
    "running": "bold cyan",
    "waiting": "dim",
    "finished": "green",
    "pruned": "red",
    "best": "bold yellow",
    "guide": "bright_black",
    "faint": "dim",
    "high": "green",
    "middle": "yellow",
    "low": "red",
    "answer": "bold green",
    "failed": "red",
    "error": "dim red",
    "failure": "bold red",
    "warning": "yellow",
    "hint": "cyan",
    "bar.complete": "cyan",
    "bar.finished": "cyan",
    "bar.back": "bright_black",
    "markdown.code": "cyan",
    "markdown.item.bullet": "none",
    "markdown.item.number": "none",
    "markdown.hr": "dim",
    **{f"markdown.h{level}": "bold" for level in range(1, 7)},
}
"""The theme of every console: how each kind of text looks."""

_LONGEST_LINE = 1000
"""Characters of a line of an error."""

ERROR_SCHEMA = "adascale.error/1"

# C0 without tab and newline, DEL, and C1: what a terminal could take for a command. Behind them the marks
# that turn the reading direction: turned text can read as another.
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROL = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{''.join(map(chr, _BIDI))}]")
# Halves of surrogate pairs, which no encoding has, and U+FFFE and U+FFFF, which XML does not allow.
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Model text without control characters and turned directions; half surrogates become U+FFFD."""
    return _NO_CHARACTER.sub("\ufffd", _CONTROL.sub("", text))


_warns = True


def use_warnings(shown: bool) -> None:
    """Set whether warnings are shown at all; ``-qq`` drops them."""
    global _warns
    _warns = shown


def new_console(**settings: Any) -> Console:
    """Create a console that draws in our styles, and takes no text of a model for markup."""
    from rich.console import Console
    from rich.theme import Theme

    return Console(markup=False, emoji=False, highlight=False, theme=Theme(_STYLES), **settings)


@functools.cache
def stderr_console() -> Console:
    """The one console for status, live views, warnings and errors.

    There is only one, because a second console would write through a live view that the first one draws.
    """
    return new_console(stderr=True, soft_wrap=not sys.stderr.isatty(), force_terminal=may_animate())


def is_one_screen() -> bool:
    """True if stdout and stderr are terminals, so that what stands on one need not stand on the other."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def draws_replies(quiet: int) -> bool:
    """True if a reply is drawn on the one screen while it is written, not printed piece by piece."""
    return not quiet and is_one_screen() and may_animate()


def write_screen(drawn: RenderableType) -> None:
    """Draw on stdout, a terminal; errors as ``write_payload``."""
    console = new_console()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may have another encoding
    with writing_stdout():
        console.print(drawn)
        sys.stdout.flush()


def plain_text(drawn: RenderableType, width: int) -> str:
    """Draw as plain lines of at most ``width`` cells, for a pipe or a file."""
    file = io.StringIO()
    new_console(file=file, width=width, color_system=None, legacy_windows=False).print(drawn)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def plain_width() -> int:
    """Width of plain lines: ``COLUMNS``, that of the terminal, or 100 for a pipe or a file."""
    usual = (100, 24)
    with suppress(OSError):
        usual = os.get_terminal_size(sys.stderr.fileno())
    return shutil.get_terminal_size(usual).columns


def may_animate() -> bool:
    """True if the cursor may be moved on stderr; FORCE_COLOR has no effect."""
    env = os.environ
    usual = "windows" if sys.platform == "win32" else ""  # whose consoles set no TERM
    return (
        sys.stderr.isatty()
        and (env.get("TERM") or usual) not in ("", "dumb", "unknown")
        and not env.get("CI")
        and env.get("TTY_INTERACTIVE") != "0"
    )


@contextmanager
def unechoed() -> Iterator[None]:
    """Keys that are pressed meanwhile do not show in a picture on stderr: they wait for what reads next."""
    if sys.platform == "win32" or not sys.stderr.isatty():
        yield
        return
    import termios

    number = sys.stderr.fileno()
    before = termios.tcgetattr(number)
    # Not line by line either: the terminal would take Ctrl-D for itself.
    silent = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:]]

    def use(mode: list[Any]) -> None:
        try:
            is_ours = os.tcgetpgrp(number) == os.getpgrp()
        except OSError:  # that of another session
            is_ours = True
        if is_ours:  # in the background we would be stopped for it
            with suppress(termios.error):  # it has gone
                termios.tcsetattr(number, termios.TCSANOW, mode)

    use(silent)
    try:
        yield
    finally:
        use(before)


def stdin_stream(example: str) -> BinaryIO:
    """Stdin, to be read line by line.

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
        quiet: Do not say that a silent pipe is waited for.

    Raises:
        UsageError: it is not UTF-8.
    """
    if sys.stdin.isatty():
        return ""
    if not quiet:
        _say_if_silent()
    return read_stdin().strip()


def is_piped() -> bool:
    """True if text is piped in; waits for its beginning."""
    if sys.stdin.isatty():
        return False
    _say_if_silent()
    return bool(cast(BufferedReader, sys.stdin.buffer).peek(1))


def _say_if_silent() -> None:
    """Say that a pipe or socket is waited for which is open, and from which nothing has come."""
    try:
        number = sys.stdin.fileno()
    except OSError:  # a stand-in for stdin, which does not wait
        return
    mode = os.fstat(number).st_mode
    may_wait = sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
    if may_wait and not select.select([number], [], [], 0)[0]:
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
    with writing_stdout():
        sys.stdout.write(clean(text).encode(usual, errors="replace").decode(usual))
        sys.stdout.flush()


_UNSAFE = (*range(0x7F, 0xA0), 0x2028, 0x2029, *_BIDI, 0xFFFE, 0xFFFF)
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
    indent = 2 if sys.stdout.isatty() else None
    write_payload(json_text(data, indent))


def write_json_lines(records: Iterable[Mapping[str, Any]]) -> None:
    """Write one object a line to stdout."""
    if lines := "\n".join(map(json_text, records)):
        write_payload(lines)


def error_fields(error: AdascaleError) -> dict[str, Any]:
    """The fields ``code``, ``message`` and ``hint`` of an error in JSON."""
    return {"code": error.slug, "message": as_typed(error.message), "hint": as_typed(error.hint)}


def write_error(error: AdascaleError) -> None:
    """Write an error to stdout as the object of ``--json``, with its facts."""
    facts = [as_typed(fact) for fact in error.facts]
    write_json({"schema": ERROR_SCHEMA, "status": "error", "error": {**error_fields(error), "facts": facts}})


def say(text: str) -> None:
    """Write plain status lines to stderr."""
    sys.stderr.write(wrapped(clean(text), sys.stderr) + "\n")
    sys.stderr.flush()


_COMMAND = re.compile(r"(?:hint|fix): (?!.*(?:[,;:] | says | shows ))")
"""A fix that is a command alone."""
_LEAST_WIDTH = 20


def wrapped(text: str, stream: TextIO, beside: int = 0) -> str:
    """Lines that a terminal does not break inside of words; in a pipe they are whole.

    A word that is longer than a line, such as a path, and a command stay whole, since they are pasted.

    Args:
        text: Lines; the parts of one are indented as it is.
        stream: Where they are written.
        beside: Cells that something else takes.
    """
    if not stream.isatty():
        return text
    width = max(_LEAST_WIDTH, plain_width() - beside)

    def broken(line: str) -> str:
        if _COMMAND.match(line):
            return line
        indent = line[: len(line) - len(line.lstrip())]
        parts = textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(parts)

    return "\n".join(map(broken, text.split("\n")))


def short_path(path: Path) -> str:
    """A path for people, with ``~`` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


_OPTIONS = {
    "adapt",
    "beams",
    "branching",
    "confidence",
    "ctx_size",
    "fallback_calls",
    "force",
    "gpu_layers",
    "lead",
    "max_tokens",
    "samples",
    "size",
    "width",
}
"""Settings that errors name and ``-o`` sets; each other one is a flag."""


def as_typed(text: str) -> str:
    """The text of an error or a warning, with settings as they are typed: ``-o ctx_size 1024``."""

    def spell(name: str, value: str | None) -> str:
        if name in _OPTIONS:
            return (
                f"-o {name}"
                if value is None
                else f"-o {name} {'true' if value == 'True' else shlex.quote(value)}"
            )
        flag = "--model" if name == "generator" else f"--{name.replace('_', '-')}"
        return flag if value in (None, "True") else f"{flag} {shlex.quote(value)}"

    return respell(text, spell)


def show_warning(notice: Notice) -> None:
    """Write a warning, unless ``-qq`` was given."""
    if _warns:
        _write_labelled("warning", "warning", notice.code, notice.message, notice.facts, notice.hint)


def show_error(error: AdascaleError) -> None:
    """Write an error: its message, the facts and a hint."""
    _write_labelled("error", "failure", error.slug, error.message, error.facts, error.hint)


def _write_labelled(
    kind: str, style: str, slug: str, message: str, facts: tuple[str, ...], hint: str
) -> None:
    """``error[slug]: message``, a line for each fact, and ``hint: ...``, the fix, at the end."""
    from rich.text import Text

    label = f"{kind}[{slug}]"
    lines = "\n  ".join([f"{label}: {_shown(message)}", *map(_shown, facts)])
    lines += f"\nhint: {_shown(hint)}" if hint else ""
    text = Text(wrapped(lines, sys.stderr))
    text.stylize(style, 0, len(label))
    text.highlight_regex("(?m)^hint: ", "hint")
    stderr_console().print(text, soft_wrap=True)


def _shown(text: str) -> str:
    """A part of a message; what it names may be of any length, and is cut."""
    shown = clean(as_typed(text))
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."


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
