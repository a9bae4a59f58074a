"""Signals: the first Ctrl-C stops the work, the second one the program; SIGTERM and SIGHUP unwind it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from .streams import say

_STOPPING = "Stopping... (Ctrl-C again to quit now)"

_SOON = 1.0
"""Seconds within which work stops without a word."""

# The terminal is closed; on Windows also Ctrl-Break.
if sys.platform == "win32":
    _HANGUP = signal.SIGBREAK
else:
    _HANGUP = signal.SIGHUP
_ENDS = (signal.SIGTERM, _HANGUP)
SIGNALS = (signal.SIGINT, *_ENDS)

_Handler = Callable[[int, FrameType | None], None]


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C, by a name of ours.

    ``python -m`` takes a KeyboardInterrupt that leaves an ``exec`` of text, such as a dataclass is made by,
    for unhandled, and ends by SIGINT in place of its exit code.
    """


def unwinding() -> AbstractContextManager[None]:
    """Ctrl-C raises KeyboardInterrupt, SIGTERM and a hangup SystemExit, so that a live view is closed.

    Without it a hidden cursor would stay hidden.
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
    """Let work stop by itself: the first signal calls ``on_first``, a second one insists.

    A first SIGINT says so on stderr where that takes a while. Nothing is raised into the block before the
    second signal, since it may be between two calls into llama.cpp that belong together; when the block
    is done, a signal of ``ends`` ends the program. ``on_first`` must only set flags: it is called at once
    from a thread, because the main thread runs signal handlers only when its call into llama.cpp returns.
    """
    received: list[int] = []
    timers: list[threading.Timer] = []
    once = threading.Lock()

    def ask() -> None:
        if once.acquire(blocking=False):
            on_first()

    def stop(number: int, frame: FrameType | None) -> None:
        if received:
            raise _exit_for(number)
        received.append(number)
        ask()
        if number == signal.SIGINT:
            # From a thread: this one may be in the middle of a write to stderr, or hold a live view's lock.
            timers.append(threading.Timer(_SOON, say, (_STOPPING,)))
            timers[-1].daemon = True
            timers[-1].start()

    try:
        with _handle(dict.fromkeys(SIGNALS, stop)), _watch(ask):
            yield
    finally:
        for timer in timers:
            timer.cancel()
            timer.join(timeout=1)
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
