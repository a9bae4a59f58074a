"""The consoles that draw with Rich, and tests of how much a terminal allows.

Rich does not write to a pipe, because it would wrap lines at 80 columns there. Text of models and files
passes through ``clean`` before it reaches a terminal, because Rich does not remove escape bytes.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final

from .streams import writing_stdout

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

_KEY_SECONDS = 0.05
"""Seconds between two looks at the keyboard."""


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
    # Line by line, so that Enter alone can be told from what is typed ahead; but Ctrl-D waits like any key.
    keys = [*before[6]]
    keys[termios.VEOF] = bytes([os.fpathconf(number, "PC_VDISABLE")])
    silent = [*before[:3], before[3] & ~termios.ECHO | termios.ICANON, *before[4:6], keys]

    def use(mode: list[Any]) -> None:
        if _is_in_front(number):
            with suppress(termios.error):  # it has gone
                termios.tcsetattr(number, termios.TCSANOW, mode)

    use(silent)
    try:
        yield
    finally:
        use(before)


def _is_in_front(number: int) -> bool:
    """True if a terminal may be read and set: in the background we would be stopped for it."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except OSError:  # that of another session
        return True


@contextmanager
def calling_on_enter(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act``, from a thread, when Enter alone is pressed on stdin, a terminal that is ``unechoed``."""
    ended = threading.Event()

    def watch() -> None:
        with suppress(OSError):  # the terminal has gone
            while not ended.wait(_KEY_SECONDS):
                if _takes_enter():
                    act()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _takes_enter() -> bool:
    """Take an Enter that stands alone; a line that was typed ahead is left for what reads next."""
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.kbhit() and msvcrt.getwch() == "\r"
    import fcntl
    import termios

    number = sys.stdin.fileno()
    waiting = int.from_bytes(fcntl.ioctl(number, termios.FIONREAD, bytes(4)), sys.byteorder)
    # It counts bytes of whole lines.
    return waiting == 1 and _is_in_front(number) and os.read(number, 1) == b"\n"
