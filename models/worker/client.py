"""Searches with models in another process (``server.py`` is the other side).

``Questions`` reads the questions; ``Worker`` starts the process, sends one question after another and yields
the events. The process gets the next question when it has begun all others, so at most one waits there, and
the parent has a list of those that had begun when the process died.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Self

from adascale.engine.errors import (
    DEADLY_QUESTION,
    FETCH_AGAIN,
    ModelCorruptError,
    WorkerAbortedError,
    WorkerDiedError,
    setting,
)
from adascale.engine.request import Request
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted, Warned
from adascale.engine.types import Problem

from ..calibration.artefact import own_folder
from ..files.cache import DownloadPlan, Transfer
from ..options import Reporting, SessionOptions
from ..upstream.address import is_address
from .server import (
    Cancel,
    Consent,
    EndOfQuestions,
    FromParent,
    FromWorker,
    Interrupt,
    ModelsOpened,
    OpenModels,
    Report,
    RunEnded,
    SearchEvent,
    StartRun,
    decode,
    encode,
    kept_socket,
)

RESTARTS = 3
"""Most restarts of a worker in a row without a finished search or a question to blame in between."""

_COMMAND = "from adascale.models.worker.server import main; main()"

_LESS_MEMORY = f"if memory ran out: a smaller {setting('ctx_size')}"

# Exit codes of a crash; SIGILL would mean a library built for another machine.
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
    _OUT_OF_MEMORY = 0xC0000017
    # abort, access violation, unreadable page, division by zero, failed check of the C runtime
    _FAULTS = frozenset({3, 0xC0000005, 0xC0000006, 0xC0000094, 0xC0000409})
else:
    _NEW_GROUP = 0
    _OUT_OF_MEMORY = -signal.SIGKILL
    _FAULTS = frozenset({-signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGSEGV})

_LAST_WORDS = re.compile(rb"(?:.*/)?([\w.-]+\.(?:cc?|cpp|cuh?|h|hpp|mm?):\d+: .+)|\s+what\(\): (.+)")
"""Lines of C++ and ggml before an abort: an exception, or a failed GGML_ASSERT with file and line."""

_LAST_LINES = 8
"""Last lines of stderr that are searched for the cause of an abort."""

_MACHINE_FAULT = re.compile(r"bad_alloc|\b(CUDA|ROCm|MUSA) error")
"""Causes of an abort for which no model file is to blame: no memory, or a lost GPU."""

_PATIENCE = 1.0
"""Seconds to wait for the end of a dead worker's stderr, which its child processes may still hold."""

_Lines = SimpleQueue[bytes | WorkerDiedError | None]
"""A worker's message, or the error with which it ended; None when a question may have arrived."""


class Questions:
    """Reads questions one at a time, in threads, as the iterator may wait for a long time.

    One thread calls all methods.

    Args:
        requests: The questions.
        wake: Called from a reading thread when ``take`` has a new result.
    """

    def __init__(self, requests: Iterable[Request], wake: Callable[[], None] = lambda: None) -> None:
        self._requests = iter(requests)
        self._wake = wake
        self._next: Future[Request | None] | None = None
        self._lost: deque[Request] = deque()
        self._retried: set[str] = set()

    @property
    def exhausted(self) -> bool:
        """True if there are no more questions."""
        following = self._next
        return not self._lost and following is not None and following.done() and following.result() is None

    def take(self) -> Request | None:
        """The next question; None while it is being read, and if there are no more.

        Raises:
            BaseException: the iterator raised it.
        """
        if self._lost:
            return self._lost.popleft()
        if self._next is None:
            self._next = Future()
            threading.Thread(target=self._read, args=(self._next,), daemon=True).start()
        if not self._next.done():
            return None
        request = self._next.result()
        if request is not None:
            self._next = None
        return request

    def retry(self, request: Request) -> bool:
        """Put back a lost question; False the second time."""
        id_ = request.problem.id
        if id_ in self._retried:
            return False
        self._retried.add(id_)
        self._lost.append(request)
        return True

    def _read(self, following: Future[Request | None]) -> None:
        try:
            following.set_result(next(self._requests, None))
        except BaseException as error:
            following.set_exception(error)
        self._wake()


class Worker:
    """Opens models in another process and searches with them; use it as a context manager.

    Args:
        options: Options of the session.
        reporting: Shows the worker's status, downloads and log.
        keep_alive: Seconds that the process keeps the models open afterwards, for another worker with the
            same options; ignored on Windows and for a server.

    Attributes:
        open_models: The models, warnings and files of the session.
        interrupted: True after ``interrupt``.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry; a ModelCorruptError if llama.cpp aborts while it
            opens a file.
        WorkerDiedError: on entry, or when the worker dies again and again.
    """

    def __init__(
        self, options: SessionOptions, reporting: Reporting = Reporting(), keep_alive: float = 0.0
    ) -> None:
        asks, logs = reporting.confirm is not None, reporting.log is not None
        keep_alive *= sys.platform != "win32" and not is_address(options.generator)
        self._opening = OpenModels(options, asks, logs, keep_alive, _stamps(options) if keep_alive else ())
        self._reporting = reporting
        self._process: subprocess.Popen[bytes] | _Kept | None = None
        self._lines: _Lines = SimpleQueue()
        self._sending = threading.Lock()
        self._loading = ""
        self.interrupted = False
        self.open_models: ModelsOpened

    def __enter__(self) -> Self:
        try:
            self._open()
        except WorkerAbortedError as error:
            self._stop()
            if not self._loading or _MACHINE_FAULT.search(str(error.facts)):
                raise
            # llama.cpp has more assertions than checks.
            text = f"{self._loading} makes llama.cpp abort while it is opened"
            raise ModelCorruptError(text, *(error.facts or (error.message,)), hint=FETCH_AGAIN) from error
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        self._stop(keeps=kind is None and self._opening.keep_alive > 0)

    def interrupt(self) -> None:
        """Stop all searches in the middle of their batch; safe from any thread."""
        self.interrupted = True
        # A signal handler calls this, and may have stopped a thread that holds the lock of the pipe.
        threading.Thread(target=self._send, args=(Interrupt(),), daemon=True).start()

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End a question's search between two batches, as ``Driver.cancel``; safe from any thread.

        The caller must have its SearchStarted. If it has ended, nothing happens.
        """
        self._send(Cancel(problem_id, takes_answer))

    def serve(self, requests: Iterable[Request], *, retry: bool = False) -> Generator[tuple[Problem, Event]]:
        """As ``Driver.serve``; ``requests`` may wait, and is read in threads.

        If the worker dies or raises an unforeseen error, it is started again for the next question. With
        ``retry`` its running searches are repeated once, and their logs begin again; otherwise, and the
        second time, they end with SearchFailed (``worker-died``). A question that had not begun is
        always sent once more. A question is to blame if it is lost again before it begins, or while its
        prompt is read: then it ends with the slug ``deadly-question``.
        """
        self.interrupted = False  # by an earlier run
        questions = Questions(requests, wake=lambda: self._lines.put(None))
        searches: dict[str, tuple[Request, Event | None]] = {}  # each with the last event of its log
        deaths = 0
        while True:
            try:
                for problem, event in self._follow(questions, searches):
                    if isinstance(event, SearchFinished | SearchFailed):
                        deaths = 0
                    yield problem, event
                return
            except WorkerDiedError as error:
                self._stop()
                deaths += 1
                deadly = type(error)(error.message, *error.facts, hint=error.hint, slug=DEADLY_QUESTION)
                while searches:
                    request, last = searches.pop(next(iter(searches)))
                    is_running = last is not None and not isinstance(last, SearchStarted | Warned)
                    if (retry if is_running else last is None) and questions.retry(request):
                        continue
                    if not is_running:
                        deaths = 0
                    failure = SearchFailed.of(error if is_running else deadly)
                    for event in failed_log(request, failure, last):
                        yield request.problem, event
                if self.interrupted or questions.exhausted:
                    return
                if deaths > RESTARTS:
                    raise
                self._reporting.status(f"{error.message}; starting it again")
            except BaseException:  # nobody reads further messages of the worker
                self._stop()
                raise

    def _follow(
        self, questions: Questions, searches: dict[str, tuple[Request, Event | None]]
    ) -> Iterator[tuple[Problem, Event]]:
        """Send questions and yield events until all searches have ended.

        Args:
            questions: The questions.
            searches: Questions of the worker, each with the last event of its log; kept up to date.
        """
        if self._process is None:
            self._open()
        self._send(StartRun())
        more = True
        while True:
            if more and all(last is not None for _, last in searches.values()):
                request = None if self.interrupted else questions.take()
                if request is not None:
                    searches[request.problem.id] = request, None
                    self._send(request)
                elif self.interrupted or questions.exhausted:
                    self._send(EndOfQuestions())
                    more = False
            match self._receive():
                case RunEnded():
                    return
                case SearchFailed() as failure:
                    error = failure.error()
                    raise WorkerDiedError(error.message, *error.facts, hint=error.hint) from error
                case SearchEvent(id_, event):
                    request, _ = searches[id_]
                    searches[id_] = request, event
                    if isinstance(event, SearchFinished | SearchFailed):
                        del searches[id_]
                    yield request.problem, event

    def _open(self) -> None:
        """Use a process that has the models open, or start one and open them."""
        if self._opening.keep_alive:
            with suppress(OSError, WorkerDiedError):  # none waits, or it has other models and ends
                return self._open_in(_Kept)
            self._stop()
        self._open_in(_start)

    def _open_in(self, start: Callable[[_Lines], subprocess.Popen[bytes] | _Kept]) -> None:
        self._lines = SimpleQueue()  # without messages of an earlier process
        self._process = start(self._lines)
        self._send(self._opening)
        while not isinstance(message := self._receive(), ModelsOpened):
            if isinstance(message, SearchFailed):
                raise message.error()
        self.open_models = message

    def _stop(self, *, keeps: bool = False) -> None:
        """Kill the process, if one runs; with ``keeps``, leave it to wait for another worker."""
        process, self._process = self._process, None
        if process is not None:
            if isinstance(process, _Kept):
                process.leave()
            elif not keeps:
                process.kill()
                process.wait()
            assert process.stdin is not None
            with suppress(OSError):  # unsent messages are lost
                process.stdin.close()

    def _send(self, message: FromParent) -> None:
        """Send a message; safe from any thread. If the worker has ended, ``_receive`` raises."""
        process, line = self._process, encode(message)
        if process is not None:
            assert process.stdin is not None
            with self._sending, suppress(OSError, ValueError):  # closed by ``_stop``
                process.stdin.write(line)
                process.stdin.flush()

    def _receive(self) -> FromWorker | None:
        """The next message that is not for ``Reporting``; None if a question may have arrived.

        Raises:
            WorkerDiedError: the worker has died.
        """
        reporting = self._reporting
        while True:
            line = self._lines.get()
            if line is None:
                return None
            if isinstance(line, WorkerDiedError):
                raise line
            message: FromWorker = decode(line)
            match message:
                case Report("status", text):
                    reporting.status(text)
                case Report("loading", file):
                    self._loading = file
                case Report("log", text) if reporting.log is not None:
                    reporting.log(text)
                case Transfer():
                    if reporting.on_progress is not None:
                        reporting.on_progress(message)
                case DownloadPlan() if reporting.confirm is not None:
                    self._send(Consent(reporting.confirm(message)))
                case _:
                    return message


def failed_log(request: Request, failure: SearchFailed, last: Event | None = None) -> list[Event]:
    """The rest of a failed search's log, behind its last event; the whole log without one."""
    if last is not None:
        return [replace(failure, seq=last.seq + 1, t=last.t)]
    settings = request.settings
    warnings = [Warned(notice=notice) for notice in settings.warnings]
    log: list[Event] = [settings.first_event(request.problem), *warnings, failure]
    return [replace(event, seq=seq, t=0.0) for seq, event in enumerate(log)]


def _start(lines: _Lines) -> subprocess.Popen[bytes]:
    """Start the process; a thread reads its messages."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # An abort prints one line and starts no debugger, unless the user sets this.
        env={"GGML_NO_BACKTRACE": "1", **os.environ},
        # The parent gets Ctrl-C, and sends a message.
        start_new_session=True,
        creationflags=_NEW_GROUP,
    )
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    return process


class _Kept:
    """A process that an earlier command has left, in the place of a ``subprocess.Popen``.

    Raises:
        OSError: no process waits.
    """

    stdin: IO[bytes]
    _connection: socket.socket

    def __init__(self, lines: _Lines) -> None:
        if sys.platform == "win32":
            raise OSError("no local sockets")
        with socket.socket(socket.AF_UNIX) as self._connection:  # closed when both files are
            self._connection.connect(str(kept_socket()))
            self.stdin, stdout = self._connection.makefile("wb"), self._connection.makefile("rb")
        threading.Thread(target=self._read, args=(stdout, lines), daemon=True).start()

    @staticmethod
    def _read(stdout: IO[bytes], lines: _Lines) -> None:
        _read_messages(stdout, lines)
        lines.put(WorkerDiedError("the process that runs the models has ended"))

    def leave(self) -> None:
        """Disconnect: the process stops its searches and waits again."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _stamps(options: SessionOptions) -> tuple[tuple[str, int], ...]:
    """Files of the options and folder of calibrations, each with the time of its last change."""
    paths = [own_folder(), *map(Path, options.references())]
    return tuple((str(path.absolute()), path.stat().st_mtime_ns) for path in paths if path.exists())


def _read_messages(stdout: IO[bytes], lines: _Lines) -> None:
    """Pass messages on until the process closes its end."""
    with stdout:
        for line in stdout:
            if line.endswith(b"\n"):  # a process may die in the middle of one
                lines.put(line)


def _read(process: subprocess.Popen[bytes], lines: _Lines) -> None:
    """Read messages and stderr of a process, and report why it ended."""
    last: deque[bytes] = deque(maxlen=_LAST_LINES)
    stderr = threading.Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
    stderr.start()
    assert process.stdout is not None
    _read_messages(process.stdout, lines)
    code = process.wait()
    stderr.join(_PATIENCE)
    # If several threads fail, the abort of one may cut off the line of another, so the first counts.
    words = next(filter(None, map(_LAST_WORDS.match, last)), None)
    facts = () if words is None else ((words[1] or words[2]).decode("utf-8", "replace").strip(),)
    how = f"ended with exit code {code}"
    if code < 0:
        how = f"was ended by signal {-code} ({signal.strsignal(-code)})"  # not all have a name in Python
    kind = WorkerAbortedError if code in _FAULTS else WorkerDiedError
    hint = _LESS_MEMORY if code == _OUT_OF_MEMORY and not facts else ""
    lines.put(kind(f"the process that runs the models {how}", *facts, hint=hint))


def _pass_on(stream: IO[bytes], last: deque[bytes]) -> None:
    """Copy a worker's stderr to ours, and keep its last lines."""
    with stream:
        for line in stream:
            last.append(line)
            with suppress(OSError):
                os.write(2, line)
