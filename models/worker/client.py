"""Models in a process of their own, as if they were in this one (``server.py`` is the other side).

``Questions`` reads what is to be asked; ``Worker`` starts the process, asks one question after another and
yields the events. The process gets its next question when it has begun all that it has, so at most one waits
there, and the parent knows of each whether it had begun when the process died.
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
from io import BytesIO
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
    RunEnded,
    SearchEvent,
    StartRun,
    Told,
    decode,
    encode,
    kept_socket,
)

RESTARTS = 3
"""Times in a row that a worker is started again with no question answered in between and none to blame."""

_COMMAND = "from adascale.models.worker.server import main; main()"

_LESS_MEMORY = f"if memory ran out: a smaller {setting('ctx_size')}"

# Exit codes of a process that crashed by itself; SIGILL would mean a library built for another machine.
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
    _OUT_OF_MEMORY = 0xC0000017
    # abort, access violation, page that cannot be read, division by zero, failed check of the C runtime
    _FAULTS = frozenset({3, 0xC0000005, 0xC0000006, 0xC0000094, 0xC0000409})
else:
    _NEW_GROUP = 0
    _OUT_OF_MEMORY = -signal.SIGKILL
    _FAULTS = frozenset({-signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGSEGV})

_LAST_WORDS = re.compile(rb"(?:.*/)?([\w.-]+\.(?:cc?|cpp|cuh?|h|hpp|mm?):\d+: .+)|\s+what\(\): (.+)")
"""Lines of C++ and ggml before an abort: an exception, or a failed GGML_ASSERT with its place."""

_LAST_LINES = 8
"""Lines of stderr in which an abort's words are looked for."""

_MACHINE_FAULT = re.compile(r"bad_alloc|\b(CUDA|ROCm|MUSA) error")
"""Last words of a worker that ran out of memory or lost its GPU: no model file is to blame."""

_PATIENCE = 1.0
"""Seconds to wait for the end of a dead worker's stderr, which a child of its own may still hold."""

_Lines = SimpleQueue[bytes | WorkerDiedError | None]
"""A message of a worker, or the error that it ended with; None where there may be another question."""


class Questions:
    """Reads questions one at a time, each in a thread of its own, since it may be long in coming.

    All methods are for one thread.

    Args:
        requests: The questions.
        wake: Called by the reading thread when ``take`` will return something new.
    """

    def __init__(self, requests: Iterable[Request], wake: Callable[[], None] = lambda: None) -> None:
        self._requests = iter(requests)
        self._wake = wake
        self._next: Future[Request | None] | None = None
        self._lost: deque[Request] = deque()
        self._asked_again: set[str] = set()

    @property
    def exhausted(self) -> bool:
        """True if there are no more questions."""
        found = self._next
        return not self._lost and found is not None and found.done() and found.result() is None

    def take(self) -> Request | None:
        """The next question; None while it is being read, and when they are ``exhausted``.

        Raises:
            BaseException: an error that reading the questions has raised.
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

    def ask_again(self, request: Request) -> bool:
        """Return a lost question, to be taken again; False the second time."""
        id_ = request.problem.id
        if id_ in self._asked_again:
            return False
        self._asked_again.add(id_)
        self._lost.append(request)
        return True

    def _read(self, found: Future[Request | None]) -> None:
        try:
            found.set_result(next(self._requests, None))
        except BaseException as error:
            found.set_exception(error)
        self._wake()


class Worker:
    """Opens models in a process of its own and searches with them; use it as a context manager.

    Args:
        options: Options of the session.
        reporting: Shows the worker's status, downloads and log.
        keep_alive: Seconds that the process waits for another worker of the same options afterwards, with its
            models open; not on Windows, and not for a server.

    Attributes:
        open_models: The models, warnings and files of the session.
        interrupted: It was told to stop.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry; a model that llama.cpp aborts on while it opens it
            is a ModelCorruptError.
        WorkerDiedError: on entry, or when the worker dies again and again.
    """

    def __init__(
        self, options: SessionOptions, reporting: Reporting = Reporting(), keep_alive: float = 0.0
    ) -> None:
        asks, logs = reporting.confirm is not None, reporting.log is not None
        keep_alive *= sys.platform != "win32" and not is_address(options.generator)
        self._wanted = OpenModels(options, asks, logs, keep_alive, _stamps(options) if keep_alive else ())
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
            # llama.cpp asserts more than it checks.
            text = f"{self._loading} makes llama.cpp abort while it is opened"
            raise ModelCorruptError(text, *(error.facts or (error.message,)), hint=FETCH_AGAIN) from error
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        self._stop(keeps=kind is None and self._wanted.keep_alive > 0)

    def interrupt(self) -> None:
        """Stop all searches in the middle of their batch; safe from any thread."""
        self.interrupted = True
        # From a signal handler: the thread that it has stopped may hold the lock of the pipe.
        threading.Thread(target=self._send, args=(Interrupt(),), daemon=True).start()

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End the search of a question between two batches, as ``Driver.cancel``; safe from any thread.

        Its SearchStarted must have been seen; nothing happens if it has ended.
        """
        self._send(Cancel(problem_id, takes_answer))

    def serve(self, requests: Iterable[Request], *, retry: bool = False) -> Generator[tuple[Problem, Event]]:
        """As ``Driver.serve``; ``requests`` may wait for the next one, and is read in a thread of its own.

        A worker that dies, or fails by an unforeseen error, is started again for the next question. With
        ``retry`` each question that it was searching is searched once more, and its log begins again;
        otherwise, and the second time, it ends with SearchFailed (``worker-died``). A question that had not
        begun is asked once more in any case. One that is lost again before it begins, or whose prompt was
        being read, is to blame: it ends with the slug ``deadly-question``.
        """
        self.interrupted = False  # what interrupted an earlier run is over
        questions = Questions(requests, wake=lambda: self._lines.put(None))
        held: dict[str, tuple[Request, Event | None]] = {}  # each with the last event of its log
        deaths = 0
        while True:
            try:
                for problem, event in self._follow(questions, held):
                    if isinstance(event, SearchFinished | SearchFailed):
                        deaths = 0
                    yield problem, event
                return
            except WorkerDiedError as error:
                self._stop()
                deaths += 1
                deadly = type(error)(error.message, *error.facts, hint=error.hint, slug=DEADLY_QUESTION)
                while held:
                    request, last = held.pop(next(iter(held)))
                    was_read = last is not None and not isinstance(last, SearchStarted | Warned)
                    if (retry if was_read else last is None) and questions.ask_again(request):
                        continue
                    if not was_read:
                        deaths = 0
                    failure = SearchFailed.of(error if was_read else deadly)
                    for event in failed_log(request, failure, last):
                        yield request.problem, event
                if self.interrupted or questions.exhausted:
                    return
                if deaths > RESTARTS:
                    raise
                self._reporting.status(f"{error.message}; starting it again")
            except BaseException:  # nobody reads what the worker still sends
                self._stop()
                raise

    def _follow(
        self, questions: Questions, held: dict[str, tuple[Request, Event | None]]
    ) -> Iterator[tuple[Problem, Event]]:
        """Ask and yield events until all has been searched.

        Args:
            questions: Source of the requests.
            held: Questions that the worker has, each with the last event of its log; kept up to date.
        """
        if self._process is None:
            self._open()
        self._send(StartRun())
        more = True
        while True:
            if more and all(last is not None for _, last in held.values()):
                request = None if self.interrupted else questions.take()
                if request is not None:
                    held[request.problem.id] = request, None
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
                    request, _ = held[id_]
                    held[id_] = request, event
                    if isinstance(event, SearchFinished | SearchFailed):
                        del held[id_]
                    yield request.problem, event

    def _open(self) -> None:
        """Start the process, and open the models in it, unless one that was kept alive has them open."""
        if self._wanted.keep_alive:
            with suppress(OSError, WorkerDiedError):  # nobody waits, or one with other models, which ends
                return self._open_in(_Kept)
            self._stop()
        self._open_in(_start)

    def _open_in(self, start: Callable[[_Lines], subprocess.Popen[bytes] | _Kept]) -> None:
        self._lines = SimpleQueue()  # nobody reads what an earlier process has sent
        self._process = start(self._lines)
        self._send(self._wanted)
        while not isinstance(message := self._receive(), ModelsOpened):
            if isinstance(message, SearchFailed):
                raise message.error()
        self.open_models = message

    def _stop(self, *, keeps: bool = False) -> None:
        """Kill the process, if one runs; or leave it, which then waits for another worker."""
        process, self._process = self._process, None
        if process is not None:
            if not keeps or isinstance(process, _Kept):
                process.kill()
                process.wait()
            assert process.stdin is not None
            with suppress(OSError):  # what was still to be sent has nobody to read it
                process.stdin.close()

    def _send(self, message: FromParent) -> None:
        """Send a message; safe from any thread. It is lost if the worker has ended: ``_receive`` tells."""
        process, line = self._process, encode(message)
        if process is not None:
            assert process.stdin is not None
            with self._sending, suppress(OSError, ValueError):  # ``_stop`` may have closed it
                process.stdin.write(line)
                process.stdin.flush()

    def _receive(self) -> FromWorker | None:
        """The next message that is not for ``Reporting``; None if there may be another question.

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
                case Told("status", text):
                    reporting.status(text)
                case Told("loading", file):
                    self._loading = file
                case Told("log", text) if reporting.log is not None:
                    reporting.log(text)
                case Transfer():
                    if reporting.on_progress is not None:
                        reporting.on_progress(message)
                case DownloadPlan() if reporting.confirm is not None:
                    self._send(Consent(reporting.confirm(message)))
                case _:
                    return message


def failed_log(request: Request, failure: SearchFailed, last: Event | None = None) -> list[Event]:
    """Events that a failed search lacks behind the last one of its log; all of them without a log."""
    if last is not None:
        return [replace(failure, seq=last.seq + 1, t=last.t)]
    settings = request.settings
    warnings = [Warned(notice=notice) for notice in settings.warnings]
    log: list[Event] = [settings.first_event(request.problem), *warnings, failure]
    return [replace(event, seq=seq, t=0.0) for seq, event in enumerate(log)]


def _start(lines: _Lines) -> subprocess.Popen[bytes]:
    """Start the process; a thread passes on what it sends."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # An abort is told in one line, not by a debugger, unless the user says otherwise.
        env={"GGML_NO_BACKTRACE": "1", **os.environ},
        # Ctrl-C is for the parent, which passes it on as a message.
        start_new_session=True,
        creationflags=_NEW_GROUP,
    )
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    return process


class _Kept:
    """A process that an earlier command has left, in the place of a ``subprocess.Popen``.

    Raises:
        OSError: none waits.
    """

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    _connection: socket.socket

    def __init__(self, lines: _Lines) -> None:
        if sys.platform == "win32":
            raise OSError("no local sockets")
        with socket.socket(socket.AF_UNIX) as self._connection:  # which closes it when both files are
            self._connection.connect(str(kept_socket()))
            self.stdin, self.stdout = self._connection.makefile("wb"), self._connection.makefile("rb")
        self.stderr = BytesIO()
        threading.Thread(target=_read, args=(self, lines), daemon=True).start()

    def kill(self) -> None:
        """Leave it: it ends what it searches, and waits again."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def wait(self) -> int:
        """The exit code that a process would have that has ended by itself."""
        return 0


def _stamps(options: SessionOptions) -> tuple[tuple[str, int], ...]:
    """Files that the options name, and the folder of calibrations, each with the time of its last change."""
    paths = [own_folder(), *map(Path, options.references())]
    return tuple((str(path.absolute()), path.stat().st_mtime_ns) for path in paths if path.exists())


def _read(process: subprocess.Popen[bytes] | _Kept, lines: _Lines) -> None:
    """Read what the process sends, and at last tell why it has ended."""
    last: deque[bytes] = deque(maxlen=_LAST_LINES)
    stderr = threading.Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
    stderr.start()
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.endswith(b"\n"):  # it may have died in the middle of one
                lines.put(line)
    code = process.wait()
    stderr.join(_PATIENCE)
    # If several threads fail, the abort of one may cut off the line of another, so the first counts.
    found = next(filter(None, map(_LAST_WORDS.match, last)), None)
    facts = () if found is None else ((found[1] or found[2]).decode("utf-8", "replace").strip(),)
    how = f"ended with exit code {code}"
    if code < 0:
        how = f"was ended by signal {-code} ({signal.strsignal(-code)})"  # not all have a name in Python
    kind = WorkerAbortedError if code in _FAULTS else WorkerDiedError
    hint = _LESS_MEMORY if code == _OUT_OF_MEMORY and not facts else ""
    lines.put(kind(f"the process that runs the models {how}", *facts, hint=hint))


def _pass_on(stream: IO[bytes], last: deque[bytes]) -> None:
    """Pass a worker's stderr on as it comes, and keep its last lines."""
    with stream:
        for line in stream:
            last.append(line)
            with suppress(OSError):
                os.write(2, line)
