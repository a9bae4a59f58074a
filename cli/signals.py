"""Signals as exits: the first Ctrl-C asks, the second one insists; SIGTERM and SIGHUP unwind."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from .console import say

STOPPING = "Stopping... (Ctrl-C again to quit now)"


_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP raise SystemExit with 128 + their number, so that a live view is closed.

    Without it a hidden cursor would stay hidden.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handling({signal.SIGTERM: leave, signal.SIGHUP: leave}):
        yield


@contextmanager
def graceful(on_first: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT calls ``on_first`` and says so on stderr, the second raises KeyboardInterrupt.

    ``on_first`` must only set flags: it is called at once from a thread, because the main thread runs signal
    handlers only when its call into llama.cpp returns. Includes ``unwinding``.
    """
    asked: list[threading.Thread] = []
    once = threading.Lock()

    def ask() -> None:
        if once.acquire(blocking=False):
            on_first()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        ask()
        # From a thread: this one may be in the middle of a write to stderr or hold the lock of a live view.
        asked.append(threading.Thread(target=say, args=(STOPPING,), daemon=True))
        asked[0].start()

    try:
        with unwinding(), _handling({signal.SIGINT: interrupt}), _watching(signal.SIGINT, ask):
            yield
    finally:
        for thread in asked:
            thread.join(timeout=1)


@contextmanager
def _watching(number: signal.Signals, on_signal: Callable[[], None]) -> Iterator[None]:
    """Call ``on_signal`` from a thread as soon as the signal arrives, whatever the main thread does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while arrived := reader.recv(64):
            if number in arrived:
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
def _handling(handlers: Mapping[signal.Signals, _Handler]) -> Iterator[None]:
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
