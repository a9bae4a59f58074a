"""math-verify in a process of its own, so that every comparison of two answers ends.

sympy takes 10^{10^{10}} at its word. Neither a signal nor another thread stops a single multiplication of
integers, signals reach the main thread alone, and an alarm counts the seconds in which a busy machine ran
something else. A child process has none of these troubles: the kernel ends it when it has used its processor
time, whichever thread waits for it and whatever it computes. To the engine a comparison remains a function of
two texts: no file, clock or random number comes into it.

https://github.com/huggingface/Math-Verify
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

from ..errors import AdascaleError

CPU_SECONDS = 2.0
"""Processor time of one comparison; most take some hundredths of a second."""

_CHILD = "import sys; from adascale.engine.answers.verifier import serve; serve(float(sys.argv[1]))"
_READY = "ready"


class Verifier:
    """Asks a child process, which starts with the first question (.7 s: it imports sympy) and then stays.

    Safe from any thread; questions of several threads wait for each other.

    Args:
        cpu_seconds: Processor time of one comparison.
    """

    def __init__(self, cpu_seconds: float = CPU_SECONDS) -> None:
        self._cpu_seconds = cpu_seconds
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __call__(self, gold: str, answer: str) -> bool | None:
        """Whether ``answer`` is right where ``gold`` is; None without a verdict in time.

        Raises:
            AdascaleError: the child process does not start.
        """
        with self._lock:
            child = self._child or self._start()
            reply = ""
            try:
                reply = _exchange(child, json.dumps([gold, answer]))
            finally:
                if not reply:  # it ran out of time, or an interrupt came before its reply
                    self._stop()
            return bool(json.loads(reply)) if reply else None

    def _start(self) -> subprocess.Popen[str]:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD, str(self._cpu_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the process that asks
        )
        atexit.register(self._stop)
        assert self._child.stdout is not None
        if self._child.stdout.readline().strip() != _READY:
            self._stop()
            raise AdascaleError(
                "the process that compares answers does not start",
                f"it is {sys.executable} with math-verify",
                hint="pip install --force-reinstall math-verify",
            )
        return self._child

    def _stop(self) -> None:
        atexit.unregister(self._stop)
        if (child := self._child) is None:
            return
        self._child = None
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def _exchange(child: subprocess.Popen[str], line: str) -> str:
    """The reply to a line; empty where the child ended instead."""
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(BrokenPipeError):
        child.stdin.write(f"{line}\n")
        child.stdin.flush()
    return child.stdout.readline()


def serve(cpu_seconds: float) -> None:
    """The child's life: one line with a verdict for every line ``[gold, answer]``, until stdin ends."""
    replies, sys.stdout = sys.stdout, sys.stderr
    verdict = _math_verify()
    verdict("1/2", "0.5")  # what is imported and compiled on the way is not charged to a comparison
    print(_READY, file=replies, flush=True)
    for line in sys.stdin:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # then SIGPROF ends this process
        found = verdict(*json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        print(json.dumps(found), file=replies, flush=True)


def _math_verify() -> Callable[[str, str], bool]:
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)

    def verdict(gold: str, answer: str) -> bool:
        def read(text: str) -> list[Any]:
            return list(parse(f"${text}$", parsing_timeout=None))

        try:
            known, found = read(gold), read(answer)
            return bool(known and found and verify(known, found, timeout_seconds=None))
        except Exception:  # sympy raises nearly anything on odd input; odd input is not the same answer
            return False

    return verdict
