"""A child process that answers requests, each within a limit of processor time.

For computations of which nobody knows whether they end: sympy takes 10^{10^{10}} at its word, and a chat
template is a program. Neither a signal nor another thread stops a single multiplication of integers, signals
reach the main thread alone, and an alarm counts the seconds in which a busy machine ran something else. A
child process has none of these troubles: the kernel ends it when it has used its processor time, whichever
thread waits for it and whatever it computes.
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
"""Processor time of one request; wall time on Windows, which has no such timer."""

# Creation flags of a child that does not get the user's Ctrl-C; elsewhere that takes ``start_new_session``.
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NEW_GROUP = 0

_READY = b"ready\n"


class ChildEndedError(Exception):
    """The child ended instead of replying; its argument is the exit code, negative for a signal."""


class LimitedChild:
    """A child that starts with the first request, stays, and is started again after its end.

    Safe from any thread; requests of several threads wait for each other.

    Args:
        code: Python that calls ``serve``.
        work: Work of the child, for the error of one that does not start: "compares answers".
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
        """Start the child and do not wait for it, so that the first request finds it ready."""
        with self._lock:
            if self._process is None:
                self._start()

    def ask(self, request: Any) -> Any:
        """The reply to a request; both have a JSON form.

        Raises:
            ChildEndedError: the child ended instead, out of time or otherwise.
            AdascaleError: it does not start.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._stop()  # it was ended between two requests, which is no fault of this one
            process = self._process or self._start()
            line = b""
            try:
                self._wait_until_ready(process)
                line = _exchange(process, json.dumps(request).encode() + b"\n")
            finally:
                if not line:  # it does not start, it has ended, or an interrupt came before its reply
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
            # Ctrl-C is for the process that asks.
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
            with suppress(OSError):  # a broken pipe, or on Windows an invalid argument
                pipe.close()


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """The reply to a line; empty if the child ended instead."""
    assert process.stdin is not None
    assert process.stdout is not None
    limit = threading.Timer(CPU_SECONDS, process.kill)
    if sys.platform == "win32":  # a process has no timer of its processor time there
        limit.start()
    try:
        process.stdin.write(line)
        process.stdin.flush()
        reply = process.stdout.readline()
        return reply if reply.endswith(b"\n") else b""  # it may have died in the middle of one
    except OSError:  # as in ``_stop``
        return b""
    finally:
        limit.cancel()


def serve(reply: Callable[[Any], Any]) -> None:
    """The child's life: one line of JSON for every line of JSON, until stdin ends.

    Args:
        reply: Was called before, so that what it imports is not charged to a request.
    """
    out, sys.stdout = sys.stdout.buffer, sys.stderr  # whatever a library prints stays out of the replies
    out.write(_READY)
    out.flush()
    for line in sys.stdin.buffer:
        _limit_time(CPU_SECONDS)
        data = json.dumps(reply(json.loads(line))).encode()
        _limit_time(0.0)
        out.write(data + b"\n")
        out.flush()


def _limit_time(seconds: float) -> None:
    """Let SIGPROF end this process after so much processor time; 0 lifts the limit."""
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


# math-verify, so that every comparison ends: https://github.com/huggingface/Math-Verify

_CHILD = "from adascale.models.limited_child import serve_verdicts; serve_verdicts()"


def ask_math_verify(gold: str, answer: str) -> bool | None:
    """True if ``answer`` is correct given ``gold``; None without a verdict in time.

    Most comparisons take some hundredths of a second; the first one also starts the child process (.7 s: it
    imports sympy). Safe from any thread; questions of several threads wait for each other.

    Raises:
        AdascaleError: the child process does not start.
    """
    try:
        return bool(_child.ask([gold, answer]))
    except ChildEndedError:
        return None


_child = LimitedChild(_CHILD, "compares answers", "math-verify")


def serve_verdicts() -> None:
    """Run as the child: answer every ``[gold, answer]`` with a verdict until stdin ends."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)

    def verdict(gold: str, answer: str) -> bool:
        try:
            known, found = (parse(f"${text}$", parsing_timeout=None) for text in (gold, answer))
            return bool(known and found and verify(known, found, timeout_seconds=None))
        except Exception:  # sympy raises nearly anything on odd input; odd input is not the same answer
            return False

    verdict("1/2", "0.5")  # what it imports is not charged to a request
    serve(lambda pair: verdict(*pair))
