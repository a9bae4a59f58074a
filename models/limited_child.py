"""A child process that answers requests, each within a limit of processor time.

It is for computations that may not end: sympy evaluates 10^{10^{10}}, and a chat template is a program. No
signal and no other thread stops a single multiplication of integers, signals reach only the main thread, and
an alarm also counts the time of other processes. The kernel ends a child at its limit of processor time,
whatever it computes and whichever thread waits for it.
"""

from __future__ import annotations

import atexit
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from adascale.engine.errors import AdascaleError

CPU_SECONDS = 2.0
"""Processor time of one request; wall time on Windows."""

# Flags that keep the user's Ctrl-C from the child; ``start_new_session`` does so on other systems.
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NEW_GROUP = 0

_READY = b"ready\n"


class ChildEndedError(Exception):
    """The child ended without a reply; the argument is its exit code, negative for a signal."""


class LimitedChild:
    """A child that starts with the first request and stays; if it ends, the next request starts another.

    Any thread may use it; one request runs at a time.

    Args:
        code: Python code that calls ``serve``.
        work: The child's work, such as "compares answers", for the error if it does not start.
        package: Package that the child needs.
    """

    def __init__(self, code: str, work: str, package: str) -> None:
        self._code = code
        self._work = work
        self._package = package
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Start the child without waiting for it, so that it is ready for the first request."""
        with self._lock:
            if self._process is None:
                self._start()

    def ask(self, request: Any) -> Any:
        """The reply to a request; both are JSON values.

        Raises:
            ChildEndedError: the child ended without a reply, out of time or otherwise.
            AdascaleError: it does not start.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._stop()  # it ended between two requests
            process = self._process or self._start()
            line = b""
            try:
                self._wait_until_ready(process)
                line = _exchange(process, json.dumps(request).encode() + b"\n")
            finally:
                if not line:  # it did not start, it ended, or Ctrl-C came before its reply
                    self._stop()
        if not line:
            raise ChildEndedError(process.returncode)
        return json.loads(line)

    def _start(self) -> subprocess.Popen[bytes]:
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", self._code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            creationflags=_NEW_GROUP,
        )
        self._ready = False
        atexit.register(self._stop)
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._ready = self._ready or process.stdout.readline() == _READY
        if not self._ready:
            raise AdascaleError(
                f"the process that {self._work} does not start",
                f"it is {sys.executable} with {self._package}",
                hint=f"pip install --force-reinstall {self._package}",
            )

    def _stop(self) -> None:
        atexit.unregister(self._stop)
        if (process := self._process) is None:
            return
        self._process = None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):  # a broken pipe; on Windows an invalid argument
                pipe.close()


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """The reply to a line; empty if the child ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    limit = threading.Timer(CPU_SECONDS, process.kill)
    if sys.platform == "win32":  # which has no timer of processor time
        limit.start()
    try:
        process.stdin.write(line)
        process.stdin.flush()
        reply = process.stdout.readline()
        return reply if reply.endswith(b"\n") else b""  # a child may end in the middle of a line
    except OSError:  # a broken pipe
        return b""
    finally:
        limit.cancel()


def serve(reply: Callable[[Any], Any]) -> None:
    """Main loop of the child: reply to each line of JSON with a line of JSON, until stdin ends.

    Args:
        reply: Computes a reply. Call it once before, so that no request pays for its imports.
    """
    out, sys.stdout = sys.stdout.buffer, sys.stderr  # libraries may print
    out.write(_READY)
    out.flush()
    for line in sys.stdin.buffer:
        _limit_time(CPU_SECONDS)
        data = json.dumps(reply(json.loads(line))).encode()
        _limit_time(0.0)
        out.write(data + b"\n")
        out.flush()


def _limit_time(seconds: float) -> None:
    """Let SIGPROF end this process after this processor time; 0 lifts the limit."""
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


# math-verify: https://github.com/huggingface/Math-Verify


def ask_math_verify(gold: str, answer: str) -> bool | None:
    """True if ``answer`` is correct given ``gold``; None without a verdict in time.

    Most comparisons take some hundredths of a second; the first one also starts the child process, which
    imports sympy (.7 s). Any thread may call it; one comparison runs at a time.

    Raises:
        AdascaleError: the child process does not start.
    """
    try:
        return bool(_child.ask([gold, answer]))
    except ChildEndedError:
        return None


_child = LimitedChild(
    "from adascale.models.limited_child import serve_verdicts; serve_verdicts()",
    "compares answers",
    "math-verify",
)


def serve_verdicts() -> None:
    """Main loop of the child: reply to each ``[gold, answer]`` with a verdict."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)

    def verdict(gold: str, answer: str) -> bool:
        try:
            first, second = (parse(f"${text}$", parsing_timeout=None) for text in (gold, answer))
            return bool(first and second and verify(first, second, timeout_seconds=None))
        except Exception:  # sympy raises nearly anything on odd input, which is no correct answer
            return False

    verdict("1/2", "0.5")  # no request pays for the imports
    serve(lambda pair: verdict(*pair))
