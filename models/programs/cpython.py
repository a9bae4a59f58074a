"""Runs programs of a model in CPython, each in a fresh process within a sandbox of the operating system.

For what ``monty`` cannot run: classes that inherit, generators, most of the standard library. A program has
no standard input, no environment, no network and no file of the user. The kernel bounds what it may use; the
thread that reads what it prints bounds wall time and output, and kills its group of processes in the end.
"""

from __future__ import annotations

import json
import os
import platform
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory, TemporaryFile
from typing import IO, Any

from adascale.engine.errors import AdascaleError, setting
from adascale.engine.execution import Execution, Trial, Verdict

from ..extras import install_command
from . import peer
from .sandbox import KILLED, ProgramLimits, Sandbox, bubblewrap_programs, candidates

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

_ATTEMPTS = """
import os, socket

def attempt(name, escape):
    try:
        escape()
    except OSError:
        return
    print(name)

attempt("reads files", lambda: open({file!r}).read())
attempt("opens connections", lambda: socket.create_connection(("127.0.0.1", {port}), 1))
attempt("signals processes", lambda: os.kill({process}, 0))
print("ended")
"""


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

    def judge(self, trial: Trial) -> Execution:
        """Run a program and its tests in a process each, which talk through pipes (``peer``).

        Verdicts come from the process of the tests through a pipe that the program's process does not have.
        """
        started = time.monotonic()
        output, reports = bytearray(), bytearray()
        try:
            error = self._judge(trial, output, reports, started)
        except OSError as failure:
            error = f"{type(failure).__name__}: {failure}"
        whole = reports[: reports.rfind(b"\n") + 1]  # it may have been killed in the middle of a line
        verdicts: list[Verdict] = []
        try:
            for line in whole.splitlines()[: trial.count]:
                verdicts.append(Verdict.reported(json.loads(line)))
        except (ValueError, RecursionError):
            error = "a test writes where verdicts are reported"
        return Execution(self._text(output), error, time.monotonic() - started, verdicts=tuple(verdicts))

    def _judge(self, trial: Trial, output: bytearray, reports: bytearray, started: float) -> str:
        errors = bytearray()
        with ExitStack() as opened:
            (asked, ask), (answered, answer), (reported, report) = (_pipe(opened) for _ in range(3))
            programs_errors = opened.enter_context(TemporaryFile())
            serve = f"serve({trial.program!r}, {asked.fileno()}, {answer.fileno()})"
            judge = f"judge({trial.tests!r}, {answered.fileno()}, {ask.fileno()}, {report.fileno()})"
            program = self._process(
                f"{_peer_source()}\n{serve}",
                stdout=subprocess.DEVNULL,
                stderr=programs_errors,
                pass_fds=(asked.fileno(), answer.fileno()),
            )
            tests = self._process(
                f"{_peer_source()}\n{judge}",
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(answered.fileno(), ask.fileno(), report.fileno()),
            )
            serving, judging = opened.enter_context(program), opened.enter_context(tests)
            for end in (asked, ask, answered, answer, report):  # or none of the processes would see the end
                end.close()
            streams = {
                _open(judging.stdout): (output, self._limits.output_bytes, "output"),
                _open(judging.stderr): (errors, _ERROR_BYTES, ""),
                reported: (reports, trial.count * _REPORT_BYTES, "verdicts"),
            }
            if limit := self._read(streams, started):
                return limit
            error = self._ended(judging, started, errors)
            if judging.returncode != peer.GONE:
                return error
            error = self._ended(serving, started, b"")
            programs_errors.seek(max(0, programs_errors.seek(0, os.SEEK_END) - _ERROR_BYTES))
            return _failure(serving.returncode, programs_errors.read()) if serving.returncode else error

    @contextmanager
    def _process(self, source: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A process that runs a source, in a folder of its own; in the end its group is killed."""
        with (
            TemporaryDirectory(prefix="adascale-", ignore_cleanup_errors=True) as folder,
            TemporaryFile() as file,  # it has no name, so nothing of it is left whenever this process ends
        ):
            file.write(source.encode("utf-8", "surrogatepass"))  # Python itself refuses a half of a pair
            file.seek(0)
            with subprocess.Popen(
                self._command, stdin=file, cwd=folder, env=_ENVIRONMENT, start_new_session=True, **streams
            ) as process:
                try:
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

    def _ended(self, process: subprocess.Popen[bytes], started: float, errors: bytes | bytearray) -> str:
        """Wait for the end of a process; returns its failure, if any."""
        try:
            return _failure(process.wait(self._left(started)), errors)
        except subprocess.TimeoutExpired:
            return KILLED

    def _left(self, started: float) -> float:
        """Seconds until the limit."""
        return max(0.0, started + self._limits.seconds - time.monotonic())

    def _text(self, output: bytearray) -> str:
        return output[: self._limits.output_bytes].decode("utf-8", "ignore")


def _pipe(opened: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """The two ends of a pipe: what is read from, and what is written to."""
    reading, writing = os.pipe()
    return opened.enter_context(open(reading, "rb", 0)), opened.enter_context(open(writing, "wb", 0))


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@cache
def _peer_source() -> str:
    return Path(peer.__file__).read_text(encoding="utf-8")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: a sandbox lets nothing leave it, and without one a daemon can."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # macOS forbids to signal a dead group
            os.killpg(process.pid, signal.SIGKILL)


def _failure(code: int, errors: bytes | bytearray) -> str:
    """Why a process ended as it did; empty where it ran to its end.

    Args:
        code: Exit code; bubblewrap adds 128 to a signal that ended the program, ``subprocess`` negates it.
        errors: End of its stderr.
    """
    number = -code if code < 0 else code - 128
    name = signal.Signals(number).name if number in set(signal.Signals) else ""
    if name in ("SIGKILL", "SIGXCPU"):
        return KILLED
    if name:
        return f"the interpreter crashed: {name}"
    return _last_error(errors.decode("utf-8", "replace")) or f"SystemExit: {code}" if code else ""


def _last_error(text: str) -> str:
    """The line of the last traceback that names the exception; without a traceback the last line."""
    _, traceback, end = text.rpartition(_TRACEBACK)
    lines = [line for line in end.splitlines() if line.strip() and not line[0].isspace()]
    return lines[0 if traceback else -1] if lines else ""


@cache
def find_sandbox() -> Sandbox:
    """The strongest sandbox that holds on this machine; an AdascaleError with the reasons where none does."""
    reasons = []
    for sandbox in candidates():
        reason = why_not(sandbox)
        if not reason:
            return sandbox
        reasons.append(f"{sandbox.name}: {reason}")
    raise AdascaleError(
        "no sandbox of this machine holds programs", *reasons, hint=_remedy(), slug="no-sandbox"
    )


def why_not(sandbox: Sandbox) -> str:
    """Why a sandbox does not start or does not hold; empty where it does both."""
    try:
        with NamedTemporaryFile() as file, closing(socket.create_server(("127.0.0.1", 0))) as server:
            program = _ATTEMPTS.format(file=file.name, port=server.getsockname()[1], process=os.getpid())
            execution = CPythonRunner(sandbox, _TRIAL_LIMITS).judge(Trial("", program, 0))
    except OSError as error:
        return f"it cannot be tried: {error}"
    *escapes, end = execution.output.split("\n")[:-1] or [""]
    if execution.error or end != "ended":
        return execution.error or "it does not start"
    return f"a program in it {', '.join(escapes)}" if escapes else ""


def _remedy() -> str:
    """Advice: a package to install if that can help, otherwise the way to do without."""
    if sys.platform == "win32":
        return "on Windows programs run in monty alone"
    if sys.platform == "linux" and not any(bubblewrap_programs()):
        return install_command("sandbox")
    return f"{setting('unsandboxed', True)} runs programs with limits alone"
