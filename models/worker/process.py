"""A worker process on this machine: its pipes, its last words, and the error for its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import IO

from adascale.engine.errors import WorkerAbortedError, WorkerDiedError, setting

from ..limited_child import NEW_GROUP
from .messages import FromParent, FromWorker, decode, encode

_COMMAND = "from adascale.models.worker.server import main; main()"

_LESS_MEMORY = f"if memory ran out: a smaller {setting('ctx_size')}"

# Exit codes of a process that crashed by itself; SIGILL would mean a library built for another machine.
if sys.platform == "win32":
    _OUT_OF_MEMORY = 0xC0000017
    # abort, access violation, page that cannot be read, division by zero, failed check of the C runtime
    _FAULTS = frozenset({3, 0xC0000005, 0xC0000006, 0xC0000094, 0xC0000409})
else:
    _OUT_OF_MEMORY = -signal.SIGKILL
    _FAULTS = frozenset({-signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGSEGV})

_LAST_WORDS = re.compile(rb"(?:.*/)?([\w.-]+\.(?:cc?|cpp|cuh?|h|hpp|mm?):\d+: .+)|\s+what\(\): (.+)")
"""Lines of C++ and ggml before an abort: an exception, or a failed GGML_ASSERT with its place."""

_LAST_LINES = 8
"""Lines of stderr in which an abort's words are looked for."""

_PATIENCE = 1.0
"""Seconds to wait for the end of a dead worker's stderr, which a child of its own may still hold."""


class WorkerProcess:
    """A worker in a process of its own, spoken to through its stdin and stdout.

    Args:
        deliver: Called from a thread with each message of the worker, and with a WorkerDiedError at last if
            the worker has ended by itself.
    """

    def __init__(self, deliver: Callable[[FromWorker | WorkerDiedError], None]) -> None:
        self._deliver = deliver
        self._process: subprocess.Popen[bytes] | None = None
        self._send_lock = threading.Lock()
        self._stderr: threading.Thread
        self._reader: threading.Thread

    @property
    def running(self) -> bool:
        """True if a worker was started and not stopped; it may have died since."""
        return self._process is not None

    def start(self) -> None:
        """Start the process; none may be running."""
        started: Future[None] = Future()
        self._reader = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._reader.start()
        started.result()

    def stop(self) -> None:
        """Kill the process, if one runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None
        with suppress(OSError):  # what was still to be sent has nobody to read it
            process.stdin.close()
        self._reader.join(_PATIENCE)
        self._stderr.join(_PATIENCE)

    def send(self, message: FromParent) -> None:
        """Send a message; safe from any thread. It is lost if the worker has ended, which is delivered."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        line = encode(message)
        with self._send_lock, suppress(OSError, ValueError):  # its reader has gone, or ``stop`` has closed it
            process.stdin.write(line)
            process.stdin.flush()

    def _run(self, started: Future[None]) -> None:
        """Start the process and read what it sends.

        Both in one thread: PR_SET_PDEATHSIG kills the worker when the thread that started it ends.
        """
        try:
            process = _start_process()
            assert process.stdout is not None
            assert process.stderr is not None
            last: deque[bytes] = deque(maxlen=_LAST_LINES)
            stderr = threading.Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
            stderr.start()
        except BaseException as error:
            started.set_exception(error)
            return
        self._process, self._stderr = process, stderr
        started.set_result(None)
        garbled = ""
        with process.stdout:
            try:
                for line in process.stdout:
                    if line.endswith(b"\n"):  # it may have died in the middle of one
                        self._deliver(decode(line))
            except ValueError as error:
                process.kill()
                garbled = str(error)
        code = process.wait()
        stderr.join(_PATIENCE)
        if self._process is process:
            self._deliver(_death_error(code, (garbled,) if garbled else _last_words(last)))


def _start_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # An abort is told in one line, not by a debugger, unless the user says otherwise.
        env={"GGML_NO_BACKTRACE": "1", **os.environ},
        # Ctrl-C is for the parent, which passes it on as a message.
        start_new_session=True,
        creationflags=NEW_GROUP,
    )


def _death_error(code: int, facts: tuple[str, ...]) -> WorkerDiedError:
    """The error for a worker's exit code."""
    # Most real-time signals have only a number.
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    how = f"was ended by {name}" if code < 0 else f"ended with exit code {code}"
    memory = code == _OUT_OF_MEMORY and not facts
    kind = WorkerAbortedError if code in _FAULTS else WorkerDiedError
    return kind(
        f"the process that runs the models {how}",
        *facts,
        hint=_LESS_MEMORY if memory else "",
    )


def _pass_on(stream: IO[bytes], last: deque[bytes]) -> None:
    """Pass a worker's stderr on as it comes, and keep its last lines."""
    with stream:
        for line in stream:
            last.append(line)
            with suppress(OSError):
                os.write(2, line)


def _last_words(last: Iterable[bytes]) -> tuple[str, ...]:
    """The failed assertion with file and line, or an exception's text; empty if there is none.

    If several threads fail, the abort of one may cut off the line of another, so the first counts.
    """
    matches = filter(None, map(_LAST_WORDS.match, last))
    words = [word.decode("utf-8", "replace").strip() for match in matches for word in match.groups() if word]
    return tuple(words[:1])
