"""How a user stops work: Ctrl-C, SIGTERM and SIGHUP, and Enter while a live view is drawn."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import Any

from .streams import say

_STOPPING = "Stopping... (Ctrl-C again to quit now)"

_SILENT_SECONDS = 1.0
"""Seconds that work may take to stop before a line is written."""

_KEY_SECONDS = 0.05
"""Seconds between two looks at the keyboard."""

# The terminal is closed; on Windows also Ctrl-Break.
if sys.platform == "win32":
    _HANGUP = signal.SIGBREAK
else:
    _HANGUP = signal.SIGHUP
_ENDS = (signal.SIGTERM, _HANGUP)
SIGNALS = (signal.SIGINT, *_ENDS)

_Handler = Callable[[int, FrameType | None], None]


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C under a name of its own.

    If a plain KeyboardInterrupt leaves an ``exec`` of text, as dataclasses use it, ``python -m`` takes it for
    unhandled, and ends by SIGINT instead of with its exit code.
    """


def unwinding() -> AbstractContextManager[None]:
    """Ctrl-C raises KeyboardInterrupt, SIGTERM and a hangup SystemExit, so that a live view is closed.

    Otherwise a hidden cursor would stay hidden.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise _exit_for(number)

    return _handle(dict.fromkeys(SIGNALS, leave))


def leaving() -> AbstractContextManager[None]:
    """Signals end the process at once with 128 + their number, even if threads are waiting.

    For commands with nothing to save and a thread that cannot be woken, such as one that reads stdin.
    """
    return _handle(dict.fromkeys(SIGNALS, lambda number, frame: os._exit(128 + number)))


@contextmanager
def graceful(on_first: Callable[[], None], ends: Sequence[signal.Signals] = _ENDS) -> Iterator[None]:
    """Let work stop by itself: the first signal calls ``on_first``, a second one raises.

    If a SIGINT takes a while, a line on stderr reports that the work is stopping. The first signal raises
    nothing into the block, which may be between two calls into llama.cpp that belong together; after the
    block, a signal of ``ends`` ends the program. ``on_first`` must only set flags: a thread calls it at once,
    because the main thread runs signal handlers only when its call into llama.cpp returns.
    """
    received: list[int] = []
    once = threading.Lock()
    # From a thread: the main one may be in the middle of a write to stderr, or hold a live view's lock.
    notice = threading.Timer(_SILENT_SECONDS, say, (_STOPPING,))
    notice.daemon = True

    def stop_once() -> None:
        if once.acquire(blocking=False):
            on_first()

    def stop(number: int, frame: FrameType | None) -> None:
        if received:
            raise _exit_for(number)
        received.append(number)
        stop_once()
        if number == signal.SIGINT:
            notice.start()

    try:
        with _handle(dict.fromkeys(SIGNALS, stop)), _watch(stop_once):
            yield
    finally:
        notice.cancel()
        if received and received[0] in ends:
            # Also in place of the error that stopping has caused.
            raise _exit_for(received[0]) from None


def _exit_for(number: int) -> BaseException:
    """The exception that ends the program: KeyboardInterrupt for SIGINT, or SystemExit(128 + number)."""
    return _Interrupted() if number == signal.SIGINT else SystemExit(128 + number)


@contextmanager
def _watch(on_signal: Callable[[], None]) -> Iterator[None]:
    """Call ``on_signal`` from a thread as soon as a signal arrives, even if the main thread is busy in C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while arrived := reader.recv(64):
            if any(number in arrived for number in SIGNALS):
                on_signal()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()
        watcher.join()
        reader.close()


@contextmanager
def _handle(handlers: Mapping[signal.Signals, _Handler]) -> Iterator[None]:
    """Install handlers until the block ends; does nothing outside of the main thread, where none can be.

    A signal that the parent has set to be ignored (``nohup``, a background job) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    ours = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    try:
        for number in ours:
            signal.signal(number, handlers[number])
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


@contextmanager
def keyboard(on_enter: Callable[[], None]) -> Iterator[None]:
    """Hide the keys that are pressed meanwhile; Enter alone calls ``on_enter``, from a thread.

    A line that is typed ahead waits for the next reader of stdin. Without a keyboard nothing happens.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        with suppress(OSError):  # the terminal has gone
            while not ended.wait(_KEY_SECONDS):
                if _takes_enter():
                    on_enter()

    watcher = threading.Thread(target=watch, daemon=True)
    with _unechoed():
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


@contextmanager
def _unechoed() -> Iterator[None]:
    if sys.platform == "win32":  # shows only keys that a program reads
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    # Line by line, so that Enter alone can be told from a line that is typed ahead.
    silent = [*before[:3], before[3] & ~termios.ECHO | termios.ICANON, *before[4:]]

    def use(mode: list[Any]) -> None:
        if _is_foreground():
            with suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(sys.stdin, termios.TCSANOW, mode)

    use(silent)
    try:
        yield
    finally:
        use(before)


def _is_foreground() -> bool:
    """True if the terminal may be read and set: a background process would be stopped for it."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # the terminal of another session
        return True


def _takes_enter() -> bool:
    """Take an Enter that stands alone from stdin; a longer line is left there."""
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.kbhit() and msvcrt.getwch() == "\r"
    import fcntl
    import termios

    number = sys.stdin.fileno()
    # Counts the bytes of whole lines.
    waiting = int.from_bytes(fcntl.ioctl(number, termios.FIONREAD, bytes(4)), sys.byteorder)
    return waiting == 1 and _is_foreground() and os.read(number, 1) == b"\n"
