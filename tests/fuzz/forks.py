"""Runs commands in forks of one warm process: some 30 ms each instead of 600, and what each of them took.

Run as a program it is that process: a line of JSON in (the arguments), a line of JSON out (how it ended).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, NoReturn

CPU_SECONDS, WALL_SECONDS = 5, 60
"""A command is killed after so much; wall time is longer, as the machine may be busy."""

_ADDRESS_SPACE = 4 << 30


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended.

    Attributes:
        code: Its exit code, negative for a signal.
        stderr: What it said.
        peak_bytes: The most memory it held.
    """

    code: int
    stderr: str
    peak_bytes: int


class Forks:
    """The warm process. Use as a context manager; Linux and macOS only.

    Args:
        env: Its environment.
        warm_up: Commands that it runs before it forks.
    """

    def __init__(self, env: Mapping[str, str], warm_up: Sequence[Sequence[str]]) -> None:
        self.env = dict(env)
        self._warm_up = warm_up

    def __enter__(self) -> Forks:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env
        )
        self._send(self._warm_up)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, *args: str) -> Exit:
        self._send(args)
        assert self._process.stdout is not None
        return Exit(*json.loads(self._process.stdout.readline()))

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def main() -> None:
    """Run the commands of the first line here, which imports all that they need; then fork for every line."""
    lines = os.fdopen(os.dup(0), "rb")
    sys.stdin = open(os.devnull)  # noqa: SIM115 - a command would wait for the end of a pipe
    for args in json.loads(lines.readline()):
        with open(os.devnull, "w") as null, redirect_stdout(null), redirect_stderr(null):
            _run(args)
    for line in lines:
        with TemporaryFile() as stderr:
            pid = os.fork()
            if pid == 0:
                _become(json.loads(line), stderr)
            _, status, usage = os.wait4(pid, 0)
            stderr.seek(0)
            said = stderr.read(1 << 20).decode("utf-8", "replace")
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        ended = (os.waitstatus_to_exitcode(status), said, peak)
        sys.stdout.buffer.write(json.dumps(ended).encode() + b"\n")
        sys.stdout.buffer.flush()


def _become(args: list[str], stderr: IO[bytes]) -> NoReturn:
    """Run a command in this fork, whose memory and time are limited."""
    null = os.open(os.devnull, os.O_RDWR)
    for number, to in ((0, null), (1, null), (2, stderr.fileno())):
        os.dup2(to, number)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    signal.alarm(WALL_SECONDS)
    code = _run(args)
    sys.stderr.flush()
    os._exit(code)


def _run(args: list[str]) -> int:
    """The exit code of a command."""
    from adascale.cli.app import main as run_command

    sys.argv = ["adascale", *args]
    try:
        run_command()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    main()
