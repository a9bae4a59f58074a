"""Runs programs of a model in CPython, each in a fresh process that the kernel holds.

A program has no standard input, no environment, no network and no file of the user. The kernel bounds what it
may use; the thread that reads what it prints bounds wall time and output, and kills its group of processes in
the end. Its tests run behind it in its process, and report through a pipe; so a program that is written to
cheat can.
"""

from __future__ import annotations

import json
import math
import os
import platform
import secrets
import selectors
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from adascale.engine.errors import AdascaleError, setting
from adascale.engine.types import Execution, Trial, Verdict

from . import seccomp

KILLED = "TimeoutError: killed"
"""The error of a program that did not end in time."""

_INTERPRETER_BYTES = 64 << 20
"""Address space of CPython and its libraries before the program begins; 14 MB were measured on x86_64."""
_FILE_BYTES = 16 << 20
"""Size of each file that a program writes where no sandbox forbids it."""
_PYTHON_FLAGS = ("-P", "-s", "-S", "-B", "-X", "utf8")
"""As ``-I -S``, which nothing of the user reaches, but for ``PYTHONHASHSEED``."""


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """Limits of one program, whichever interpreter runs it.

    Attributes:
        seconds: Wall time.
        memory_bytes: Size of its heap.
        output_bytes: Size of its output.
        depth: Calls inside of calls.
    """

    seconds: float = 2.0
    memory_bytes: int = 128 << 20
    output_bytes: int = 64 << 10
    depth: int = 500


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Rights that an interpreter gives up before it runs a program.

    Attributes:
        readable: Files and folders that Landlock lets it read, and no other access; None for any.
        calls: Filter of system calls; empty for none.
    """

    readable: tuple[str, ...] | None = None
    calls: bytes = b""

    def command(self, limits: ProgramLimits) -> list[str]:
        """Words of a process that reads a program from its standard input and runs it."""
        settings = {
            "seconds": math.ceil(limits.seconds) + 1,
            "memory_bytes": limits.memory_bytes + _INTERPRETER_BYTES,
            "file_bytes": _FILE_BYTES,
            "depth": limits.depth,
            "readable": self.readable,
            "calls": self.calls.hex(),
        }
        return [_interpreter(), *_PYTHON_FLAGS, "-c", _confine_source(), json.dumps(settings)]


UNSANDBOXED = Sandbox()
"""Limits and an empty environment alone, so only ever by a user's own choice."""


def landlock() -> Sandbox:
    """Landlock and seccomp: the system's files can be read, none written, few calls made.

    Names, sizes and times of files stay visible, as no Landlock rule covers ``stat``.

    Raises:
        KeyError: there is no filter of system calls for this kind of processor.
    """
    return Sandbox(_system_paths(), seccomp.call_filter(platform.machine()))


def _interpreter() -> str:
    """This interpreter without its virtual environment."""
    return os.path.realpath(sys.executable)


def _system_paths() -> tuple[str, ...]:
    """Libraries and the interpreter's own installation: all that a program may read."""
    system = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
    python = (sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib"), _interpreter())
    return tuple(dict.fromkeys(path for path in (*system, *python) if os.path.exists(path)))


@cache
def _confine_source() -> str:
    return Path(__file__).with_name("confine.py").read_text(encoding="utf-8")


_CHUNK_BYTES = 64 << 10
_ERROR_BYTES = 8 << 10
"""Kept of what a program writes to stderr: its end, where the traceback is."""
_REPORT_BYTES = 8 << 10
"""More than one report of a test has, whose text of 200 characters is 2,400 bytes at most."""

_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""All of it; a set prints in the same order whenever the program runs."""

_TRACEBACK = "Traceback (most recent call last):\n"

_TRIAL_LIMITS = ProgramLimits(seconds=10.0)
"""Far more than the 30 ms that it takes, for machines that are busy."""


class CPythonRunner:
    """Runs programs in a sandbox; any number of threads may share it.

    Args:
        sandbox: Where programs run; ``find_sandbox()`` gives this machine's.
        limits: Limits of each program.

    Raises:
        AdascaleError: On Windows, whose pipes cannot be waited for together, and which has no such limits.
    """

    def __init__(self, sandbox: Sandbox, limits: ProgramLimits = ProgramLimits()) -> None:
        if platform.system() == "Windows":
            raise AdascaleError("on Windows programs run in monty alone", slug="no-sandbox")
        self._command = sandbox.command(limits)
        self._limits = limits
        self._writes = sandbox.readable is None

    def judge(self, trial: Trial) -> Execution:
        """Run a program and its tests behind it; its failure is in the execution, never raised.

        There are fewer verdicts than tests where the process ended before all were run.
        """
        started = time.monotonic()
        marker = secrets.token_hex(8)
        output, reports = bytearray(), bytearray()
        try:
            error = self._run(trial, marker, output, reports, started)
        except OSError as failure:
            error = f"{type(failure).__name__}: {failure}"
        verdicts: list[Verdict] = []
        try:
            for line in _marked(reports, marker)[: len(trial.tests)]:
                verdicts.append(Verdict.reported(json.loads(line)))
        except (ValueError, RecursionError):
            error = "the program writes where verdicts are reported"
        text = output[: self._limits.output_bytes].decode("utf-8", "ignore")
        return Execution(text, error, time.monotonic() - started, verdicts=tuple(verdicts))

    def _run(self, trial: Trial, marker: str, output: bytearray, reports: bytearray, started: float) -> str:
        """Run them, and return what failed; empty where all ran to its end."""
        errors = bytearray()
        with ExitStack() as opened:
            reading, writing = os.pipe()
            reported = opened.enter_context(open(reading, "rb", 0))
            report = opened.enter_context(open(writing, "wb", 0))
            given = {
                "program": trial.program,
                "tests": trial.tests,
                "reports": writing,
                "marker": marker,
            }
            process = opened.enter_context(self._process(json.dumps(given).encode(), writing))
            report.close()  # or the end of the process would not be the end of the pipe
            streams = {
                _open(process.stdout): (output, self._limits.output_bytes, "output"),
                _open(process.stderr): (errors, _ERROR_BYTES, ""),
                reported: (reports, len(trial.tests) * _REPORT_BYTES, "verdicts"),
            }
            if limit := self._read(streams, started):
                return limit
            try:
                return _failure(process.wait(self._left(started)), errors)
            except subprocess.TimeoutExpired:
                return KILLED

    @contextmanager
    def _process(self, given: bytes, pipe: int) -> Iterator[subprocess.Popen[bytes]]:
        """A process that runs what it is given; in the end its group is killed.

        Only a program that may write gets a folder of its own.
        """
        with (
            TemporaryDirectory(prefix="adascale-", ignore_cleanup_errors=True)
            if self._writes
            else nullcontext("/") as folder,
            subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=_ENVIRONMENT,
                start_new_session=True,
                pass_fds=(pipe,),
            ) as process,
        ):
            try:
                with suppress(BrokenPipeError), _open(process.stdin) as stdin:
                    stdin.write(given)
                yield process
            finally:
                _kill_group(process)

    def _read(self, streams: Mapping[IO[bytes], tuple[bytearray, int, str]], started: float) -> str:
        """Read streams until they are closed; returns the limit that was passed before, if any.

        Args:
            streams: For each what was read of it, the most bytes of that, and its name; of a stream without a
                name the last bytes are kept.
            started: Time of the start.
        """
        with selectors.DefaultSelector() as selector:
            for stream, kept in streams.items():
                selector.register(stream, selectors.EVENT_READ, kept)
            while selector.get_map():
                ready = selector.select(self._left(started))
                if not self._left(started):
                    return KILLED
                for key, _ in ready:
                    buffer, most, name = key.data
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    buffer.extend(chunk)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    if name and len(buffer) > most:
                        return f"MemoryError: more than {most} bytes of {name}"
                    del buffer[:-most]
        return ""

    def _left(self, started: float) -> float:
        """Seconds until the limit."""
        return max(0.0, started + self._limits.seconds - time.monotonic())


def _marked(reports: bytearray, marker: str) -> list[bytes]:
    """The text behind the marker of each whole line; a kill may have cut the last one."""
    start = f"{marker} ".encode()
    whole = reports[: reports.rfind(b"\n") + 1]
    return [bytes(line.removeprefix(start)) for line in whole.split(b"\n") if line.startswith(start)]


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: a sandbox lets nothing leave it, and without one a daemon can."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # macOS forbids to signal a dead group
            os.killpg(process.pid, signal.SIGKILL)


def _failure(code: int, errors: bytearray) -> str:
    """Why a process ended as it did; empty where it ran to its end.

    Args:
        code: Exit code as ``subprocess`` has it, negative for a signal.
        errors: End of its stderr.
    """
    if code < 0:
        name = signal.Signals(-code).name
        return KILLED if name in ("SIGKILL", "SIGXCPU") else f"the interpreter crashed: {name}"
    return _last_error(errors.decode("utf-8", "replace")) or f"SystemExit: {code}" if code else ""


def _last_error(text: str) -> str:
    """The line of the last traceback that names the exception; without a traceback the last line."""
    _, traceback, end = text.rpartition(_TRACEBACK)
    lines = [line for line in end.splitlines() if line.strip() and not line[0].isspace()]
    return lines[0 if traceback else -1] if lines else ""


@cache
def find_sandbox() -> Sandbox:
    """Landlock and seccomp; an AdascaleError where this machine lacks one of them."""
    if reason := why_not():
        raise AdascaleError(
            "code tasks run under Landlock and seccomp, which this machine does not have",
            reason,
            hint=f"{setting('unsandboxed', True)} runs programs with limits of time and memory only",
            slug="no-sandbox",
        )
    return landlock()


def why_not() -> str:
    """Why this machine has no sandbox, by an empty program: the kernel refuses the first step that it lacks.

    Empty where it has one.
    """
    if platform.machine() not in seccomp.MACHINES:
        return f"there is no filter of system calls for {platform.machine()}"
    return CPythonRunner(landlock(), _TRIAL_LIMITS).judge(Trial("", ())).error
