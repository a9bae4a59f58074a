"""Commands of ours as a user runs them: on a machine of their own, in this process or in another.

``run`` is a command in the test's own process, with the worker in a thread: .1 s instead of 2 s.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from unittest import mock

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from adascale.cli.app import app, main
from adascale.cli.terminal.console import stderr_console
from adascale.cli.terminal.errors import use_warnings
from adascale.engine.errors import AdascaleError
from adascale.models.worker import client
from adascale.models.worker.server import Interrupt, Server, decode, encode


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
    stderr_console.cache_clear()
    with tempfile.TemporaryFile() as file, worker_in_a_thread(), mock.patch.dict(os.environ, env, clear=True):
        file.write(stdin)
        file.seek(0)
        streams = {"stdin": io.TextIOWrapper(file, "utf-8"), "stdout": out, "stderr": err}
        # huggingface_hub reads its environment once, when it is imported.
        cache = os.path.join(env.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface"), "hub")
        hub = mock.patch.multiple(constants, HF_HUB_CACHE=cache, ENDPOINT=env.get("HF_ENDPOINT", CLOSED))
        with hub, mock.patch.multiple(sys, argv=["adascale", *args], **streams):
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
    stderr_console.cache_clear()
    use_warnings(True)
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    assert isinstance(code, int), code
    return subprocess.CompletedProcess(["adascale", *args], code, *written)


LIMIT_SECONDS = 60.0


def invoked(*args: str) -> tuple[str, str]:
    """Stdout and stderr of a command that succeeds, without its worker; an error of ours is raised."""
    result = CliRunner().invoke(app, list(args))
    if isinstance(result.exception, AdascaleError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def clean_env(home: Path) -> dict[str, str]:
    """An environment without the user's settings and models."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADASCALE_", "HF_", "XDG_"))}
    own = {"HOME": "", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache", "HF_HOME": "hf"}
    return {**kept, **{key: str(home / name) for key, name in own.items()}, "COLUMNS": "100"}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return as soon as something is so; an AssertionError if that does not come."""
    end = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def run(
    env: dict[str, str], *args: str, stdin: bytes = b"", more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """How a command of ours ends in this process; a traceback fails the test."""
    done = run_here({**env, **(more or {})}, *args, stdin=stdin)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_process(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """How a command of ours ends in a process of its own; a traceback fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "adascale", *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env,
        timeout=120,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


CLOSED = "http://127.0.0.1:9"
"""Nothing listens there."""


def write_questions(path: Path, numbers: range) -> Path:
    """The chain says 18 more often than 20, whatever it is asked."""
    rows = [
        {"id": i, "question": f"What is twice {i}?", "answer": "18" if i % 3 else "20", "level": 1}
        for i in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@dataclass(frozen=True)
class Home:
    """A user's machine: folders of its own, and the commands on it."""

    folder: Path
    model: Path
    data: Path

    @classmethod
    def asking(cls, folder: Path, model: Path, questions: int) -> Home:
        """With so many questions in its data."""
        asked = [{"id": n, "question": f"What is twice {n}?"} for n in range(questions)]
        home = cls(folder, model, folder / "in.jsonl")
        home.data.write_text("\n".join(map(json.dumps, asked)))
        return home

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the real user's."""
        return clean_env(self.folder)

    @property
    def sealed(self) -> dict[str, str]:
        """The same, with a Hub and a package index that do not answer."""
        kept = {k: v for k, v in self.env.items() if not k.startswith(("PIP_", "UV_"))}
        return {**kept, "HF_ENDPOINT": CLOSED, "PIP_INDEX_URL": CLOSED}

    @contextmanager
    def piping(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A command of ours with pipes for all streams; killed at the end."""
        words = [sys.executable, "-m", "adascale", *command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(words, env=self.env, text=True, **pipes) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()

    @property
    def shelf(self) -> Path:
        return self.folder / "data" / "adascale" / "calibrations"

    def kept(self, table: str = "rollouts") -> int:
        """Records in its store of rollouts or draws."""
        found = list((self.folder / "data" / "adascale" / table).glob("*.jsonl"))
        return found[0].read_text().count(f'{{"table": "{table}"') if found else 0

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """How a command of ours ends in this process; a traceback fails the test."""
        return run(self.env, *args)

    def fit_args(self, *more: str) -> list[str]:
        usual = ["-m", str(self.model), "-d", str(self.data), "-o", "ctx_size", "512"]
        return ["calibrate", "fit", *usual, *more]


def environment(folder: Path, *wanted: str) -> Path:
    """Python of a new environment with these clients; skips the test where they cannot be installed."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder / "venv"], check=True, timeout=60)
    python = folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run(
        [*uv, "pip", "install", "-q", "--python", python, *wanted],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no package index: {done.stderr[-200:]}")
    return python
