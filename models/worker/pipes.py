"""The way to a worker: a process of its own on this machine, spoken to through pipes."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any, Protocol

from adascale.engine.errors import WorkerAbortedError, WorkerDiedError
from adascale.engine.remedies import setting

_COMMAND = "from adascale.models.worker.server import main; main()"

_LESS_MEMORY = f"if memory ran out: a smaller {setting('ctx_size')} or fewer {setting('samples')}"

_FAULTS = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV)
"""What a process dies of by its own doing; SIGILL is a library that was built for another machine."""

_LAST_WORDS = re.compile(
    rb"terminate called |(?:.*/)?([\w.-]+\.(?:cc?|cpp|cuh?|h|hpp|mm?):\d+: .+)|\s+what\(\): (.+)"
)
"""What C++ and ggml write before they abort: an exception, or a failed GGML_ASSERT with its place."""

_PATIENCE = 1.0
"""Seconds to wait for the end of a dead worker's stderr, which a child of its own may still hold."""


class Link(Protocol):
    """Starts a worker and carries messages to and from it."""

    def start(self) -> None:
        """Start a worker; one that runs is stopped."""

    def stop(self) -> None:
        """End it; nothing happens where none runs."""

    def send(self, message: Any) -> None:
        """Send a message; safe from any thread.

        Raises:
            WorkerDiedError: there is nobody to read it.
        """

    def receive(self) -> Any:
        """The next message.

        Raises:
            WorkerDiedError: there will be none.
        """


class Pipes:
    """A worker in a process of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sending = threading.Lock()
        self._said: _Overheard | None = None

    def start(self) -> None:
        """Start the process."""
        self.stop()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # An abort is told in one line, not by a debugger; ggml reads this when it is loaded.
            env={"GGML_NO_BACKTRACE": "1", **os.environ},
            # Ctrl-C is for the parent, which passes it on as a message.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._said = _Overheard(self._process.stderr)

    def stop(self) -> None:
        """Kill it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was still to be sent has nobody to read it
                pipe.close()
        if self._said is not None:
            self._said.wait()

    def send(self, message: Any) -> None:
        """Pickle it into the process's stdin."""
        process = self._running()
        assert process.stdin is not None
        with self._sending:
            try:
                pickle.dump(message, process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
                process.stdin.flush()
            except BrokenPipeError:
                raise self._died() from None

    def receive(self) -> Any:
        """Unpickle from its stdout."""
        process = self._running()
        assert process.stdout is not None
        try:
            return pickle.load(process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._died() from None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the worker is open"
        return self._process

    def _died(self) -> WorkerDiedError:
        code = self._running().wait()
        assert self._said is not None, "it has been started"
        self._said.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = code == -signal.SIGKILL
        kind = WorkerAbortedError if -code in _FAULTS else WorkerDiedError
        return kind(
            f"the process that runs the models {how}",
            *self._said.last_words,
            hint=_LESS_MEMORY if memory else "",
        )


class _Overheard:
    """Passes a worker's stderr on as it comes; what ggml and C++ say at its end is kept for an error."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._held: list[bytes] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def last_words(self) -> tuple[str, ...]:
        """Failed assertions with file and line, or an exception's text; each once."""
        found = [_LAST_WORDS.match(line) for line in self._held]
        words = [word for match in found if match for word in match.groups() if word]
        return tuple(dict.fromkeys(word.decode("utf-8", "replace").strip() for word in words))

    def wait(self) -> None:
        """Until its end has been heard, or nearly so."""
        self._thread.join(_PATIENCE)

    def _listen(self) -> None:
        with self._stream:
            for line in self._stream:
                self._held.append(line)
                if not _LAST_WORDS.match(line):  # whatever was held was not the end
                    with suppress(OSError):
                        os.write(2, b"".join(self._held))
                    self._held.clear()
