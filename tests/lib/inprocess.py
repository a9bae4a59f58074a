"""Runs commands in the test's own process, with the worker in a thread: .1 s instead of 2 s."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from unittest import mock

from adascale.cli.app import main
from adascale.cli.terminal.console import use_color, use_warnings
from adascale.models.worker import client
from adascale.models.worker.messages import Interrupt, decode, encode
from adascale.models.worker.server import Server


class WorkerThread:
    """A worker in a thread of this process, in the place of a ``subprocess.Popen`` and of its stdin."""

    def __init__(self, lines: SimpleQueue[bytes]) -> None:
        self.stdin = self
        self._server = Server(lambda message: lines.put(encode(message)))
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        self._server.receive(decode(line))

    def flush(self) -> None:
        pass

    close = flush

    def kill(self) -> None:
        self._server.receive(Interrupt())
        self._server.receive(None)

    def wait(self) -> None:
        self._thread.join()


@contextmanager
def worker_in_a_thread() -> Iterator[None]:
    """Workers are threads while the block runs."""
    with mock.patch.object(client, "_start", WorkerThread):
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
