"""The way to a worker: a process of its own on this machine, spoken to through pipes."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any, Protocol

from adascale.engine.errors import WorkerDiedError

_COMMAND = "from adascale.models.worker import main; main()"


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

    def start(self) -> None:
        """Start the process."""
        self.stop()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for the parent, which passes it on as a message.
            start_new_session=True,
        )

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
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = code == -signal.SIGKILL
        return WorkerDiedError(
            f"the process that runs the models {how}",
            hint="if memory ran out: a smaller --ctx-size or fewer --samples" if memory else "",
        )
