"""Runs programs of a model in CPython, each in a new process.

A program has no standard input, environment, network or file of the user: ``confine`` gives up these rights,
then runs the program. The kernel limits its resources; the waiting thread limits wall time, and kills its
process group in the end. Its tests run behind it in the same process, and report into a file; so a program
that is written to cheat can. Without tests it has no date and no time.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

from adascale.engine.errors import AdascaleError, setting
from adascale.engine.types import Execution, Trial, Verdict

KILLED = "TimeoutError: killed"
"""The error of a program that did not end in time."""
_OUT_OF_TIME = -9, -24
"""Exit codes after SIGKILL and SIGXCPU; Windows has no names for these."""

_INTERPRETER_BYTES = 64 << 20
"""Address space of CPython and its libraries before the program begins (measured on x86_64: 14 MB)."""
_ERROR_BYTES = 8 << 10
"""Last bytes of stderr, with the traceback, that are read."""
_REPORT_BYTES = 8 << 10
"""More than the report of a test: its text of 200 characters has at most 2,400 bytes."""

FILE_BYTES = 4 << 20
"""Largest size of each file that a program writes: its output, and others without a sandbox."""

_CONFINE = str(Path(__file__).with_name("confine.py"))
_PYTHON_FLAGS = ("-P", "-s", "-S", "-B", "-u", "-X", "utf8")
"""As ``-I -S``, so that nothing of the user has an effect, but with ``PYTHONHASHSEED``; unbuffered, as a
killed program would lose its buffer."""
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC"}
"""All variables of a program; a set always prints in the same order."""

_TRACEBACK = "Traceback (most recent call last):\n"


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """Limits of one program in either interpreter.

    Attributes:
        seconds: Wall time.
        memory_bytes: Size of its heap.
        output_bytes: Size of its output.
        depth: Depth of recursion.
    """

    seconds: float = 2.0
    memory_bytes: int = 128 << 20
    output_bytes: int = 64 << 10
    depth: int = 500


class CPythonRunner:
    """Runs programs in CPython; threads may share it.

    Args:
        limits: Limits of each program.
        sandboxed: Run under Landlock and seccomp; otherwise with limits and an empty environment only, which
            a user must choose.

    Raises:
        AdascaleError: on Windows, which has no such limits.
    """

    def __init__(self, limits: ProgramLimits = ProgramLimits(), *, sandboxed: bool = True) -> None:
        if platform.system() == "Windows":
            raise AdascaleError("on Windows programs run in monty only", slug="no-sandbox")
        settings = {
            "seconds": math.ceil(limits.seconds) + 1,
            "memory_bytes": limits.memory_bytes + _INTERPRETER_BYTES,
            "depth": limits.depth,
            "file_bytes": FILE_BYTES,
            "sandboxed": sandboxed,
        }
        python = os.path.realpath(sys.executable)  # without its virtual environment
        self.command = [python, *_PYTHON_FLAGS, _CONFINE, json.dumps(settings)]
        self._limits = limits
        self._sandboxed = sandboxed

    def judge(self, trial: Trial) -> Execution:
        """Run a program and its tests; the execution reports a failure.

        It has fewer verdicts than tests if the process ended before all of them ran.
        """
        started, marker = time.monotonic(), secrets.token_hex(8)
        with ExitStack() as opened:
            try:
                output, errors, reports = (opened.enter_context(_scratch_file()) for _ in range(3))
                folder = "/"
                if not self._sandboxed:  # a folder to write to
                    temporary = TemporaryDirectory(prefix="adascale-", ignore_cleanup_errors=True)
                    folder = opened.enter_context(temporary)
                request = asdict(trial) | {"marker": marker, "reports": reports.fileno()}
                error = self._run(json.dumps(request).encode(), folder, output, errors, reports)
            except OSError as failure:
                return Execution("", f"{type(failure).__name__}: {failure}", time.monotonic() - started)
            text, most = _read(output, self._limits.output_bytes), len(trial.tests) * _REPORT_BYTES
            for file, allowed, name in (
                (errors, FILE_BYTES - 1, "errors"),
                (output, self._limits.output_bytes, "output"),
                (reports, most, "verdicts"),
            ):
                if _size(file) > allowed:
                    error = f"MemoryError: more than {allowed} bytes of {name}"
            lines = re.findall(f"^{marker} (.*)\n".encode(), _read(reports, most), re.MULTILINE)
            verdicts: list[Verdict] = []
            try:
                for line in lines[: len(trial.tests)]:
                    verdicts.append(Verdict.reported(json.loads(line)))
            except (ValueError, RecursionError):
                error = "the program writes to the file of the verdicts"
        seconds = time.monotonic() - started
        return Execution(text.decode("utf-8", "ignore"), error, seconds, verdicts=tuple(verdicts))

    def _run(
        self, request: bytes, folder: str, output: IO[bytes], errors: IO[bytes], reports: IO[bytes]
    ) -> str:
        """Run a program and its tests; returns the error, empty without one."""
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            cwd=folder,
            env=_ENVIRONMENT,
            start_new_session=True,
            pass_fds=(reports.fileno(),),
        )
        with process:
            try:
                process.communicate(request, self._limits.seconds)
            except subprocess.TimeoutExpired:
                return KILLED
            finally:
                _kill_group(process)
        errors.seek(max(0, _size(errors) - _ERROR_BYTES))
        return _failure(process.returncode, errors.read())


def _scratch_file() -> IO[bytes]:
    """A file without a name: in memory on Linux, so that a sandbox needs no folder."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("adascale"), "w+b")
    return TemporaryFile()


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _read(file: IO[bytes], most: int) -> bytes:
    file.seek(0)
    return file.read(most)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, which no sandboxed process can leave."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # macOS forbids signals to a dead group
            os.killpg(process.pid, signal.SIGKILL)


def _failure(code: int, errors: bytes) -> str:
    """The error of a process; empty without one.

    Args:
        code: Exit code, negative for a signal.
        errors: End of its stderr.
    """
    if code < 0:
        if code in _OUT_OF_TIME:
            return KILLED
        return f"the interpreter crashed: {signal.strsignal(-code)}"  # not all have a name in Python
    return _last_error(errors.decode("utf-8", "replace")) or f"SystemExit: {code}" if code else ""


def _last_error(text: str) -> str:
    """The exception's line in the last traceback; the last line if there is no traceback."""
    _, traceback, end = text.rpartition(_TRACEBACK)
    lines = [line for line in end.splitlines() if line.strip() and not line[0].isspace()]
    return lines[0 if traceback else -1] if lines else ""


@cache
def why_not() -> str:
    """Why an empty program fails in this machine's sandbox: an error of the kernel; empty if it does not."""
    # The program takes 30 ms; a busy machine may need more.
    return CPythonRunner(ProgramLimits(seconds=10.0)).judge(Trial("", ())).error


def check_sandbox() -> None:
    """Refuse code tasks on a machine without a sandbox.

    Raises:
        AdascaleError: the machine lacks Landlock or seccomp.
    """
    if reason := why_not():
        raise AdascaleError(
            "code tasks run under Landlock and seccomp, which this machine does not have",
            reason,
            hint=f"{setting('unsandboxed', True)} runs programs with limits of time and memory only",
            slug="no-sandbox",
        )
