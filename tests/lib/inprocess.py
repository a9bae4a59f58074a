"""Runs commands in the test's own process, with the worker in a thread: .1 s instead of 2 s."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from unittest import mock

from adascale.cli.app import main
from adascale.cli.terminal.console import use_color, use_warnings
from adascale.engine.errors import WorkerDiedError
from adascale.models.worker import client
from adascale.models.worker.messages import FromParent, FromWorker, Interrupt
from adascale.models.worker.server import Server


class _Stopped(BaseException):
    """Unwinds the worker's thread, so that its session is closed."""


class _Inbox(SimpleQueue[FromParent | None]):
    """The worker's messages; a None stops it."""

    def get(self, block: bool = True, timeout: float | None = None) -> FromParent:
        message = super().get(block, timeout)
        if message is None:
            raise _Stopped
        return message


class WorkerThread:
    """A worker in a thread of this process, in the place of ``process.WorkerProcess``."""

    def __init__(self, deliver: Callable[[FromWorker | WorkerDiedError], None]) -> None:
        self._deliver = deliver
        self._server: Server | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        self._server = Server(self._deliver)
        self._server._inbox = self._inbox = _Inbox()  # type: ignore[assignment]
        self._thread = threading.Thread(target=self._serve, args=(self._server,), daemon=True)
        self._thread.start()

    def _serve(self, server: Server) -> None:
        with suppress(_Stopped):
            server.serve()

    def send(self, message: FromParent) -> None:
        if self._server is not None:
            self._server.receive(message)

    def stop(self) -> None:
        if self._server is not None:
            self.send(Interrupt())
            self._inbox.put(None)
            self._thread.join()
            self._server = None


@contextmanager
def worker_in_a_thread() -> Iterator[None]:
    """Workers are threads while the block runs."""
    with mock.patch.object(client, "WorkerProcess", WorkerThread):
        yield


def run_here(env: Mapping[str, str], *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """How a command of ours ends in this process, with pipes for all streams."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: object = 0
    use_color("auto")
    with tempfile.TemporaryFile() as file, worker_in_a_thread(), mock.patch.dict(os.environ, env, clear=True):
        file.write(stdin)
        file.seek(0)
        streams = {"stdin": io.TextIOWrapper(file, "utf-8"), "stdout": out, "stderr": err}
        with mock.patch.multiple(sys, argv=["adascale", *args], **streams):
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
    use_color("auto")
    use_warnings(True)
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    assert isinstance(code, int), code
    return subprocess.CompletedProcess(["adascale", *args], code, *written)
