"""The other side of ``worker.py``: models in another process, as if they were in this one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Self

from adascale.engine.errors import AdascaleError, ModelCorruptError, WorkerAbortedError, WorkerDiedError
from adascale.engine.remedies import command
from adascale.engine.search.events import Event, SearchFailed, SearchFinished
from adascale.engine.search.settings import Settings
from adascale.engine.types import Problem

from ..files.progress import DownloadPlan, Transfer
from ..options import Reporting, SessionOptions
from .pipes import Link, Pipes
from .server import Done, Ended, Happened, Interrupt, Loading, Logged, Open, Opened, Said, Search, Wanted

RESTARTS = 3
"""Times in a row that a worker is started again without a question having been answered in between."""

_MACHINE = re.compile(r"bad_alloc|\b(CUDA|ROCm|MUSA) error")
"""In the last words of a worker: no model file is to blame."""


class Worker:
    """Opens models in a process of its own and searches with them; use it as a context manager.

    Args:
        options: Of the session.
        reporting: Told what the worker does; asked before a download.
        link: The way to that process.

    Attributes:
        opened: What was opened.
        interrupted: Whether it was told to stop.
        unbegun: Questions that were drawn and not asked, when it died once too often.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry; a model that llama.cpp aborts on while it opens it
            is a ModelCorruptError.
        WorkerDiedError: on entry, or when the worker dies again and again.
    """

    def __init__(
        self, options: SessionOptions, reporting: Reporting = Reporting(), link: Link | None = None
    ) -> None:
        self._open = Open(options, reporting.confirm is not None, reporting.log is not None)
        self._reporting = reporting
        self._link = link or Pipes()
        self.interrupted = False
        self._deaths = 0
        self._loading = ""
        self.unbegun: list[Problem] = []
        self.opened: Opened

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            self._link.stop()
            if (
                isinstance(error, WorkerAbortedError)
                and self._loading
                and not _MACHINE.search(str(error.facts))
            ):
                raise _refused(self._loading, error) from error
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._link.stop()

    def interrupt(self) -> None:
        """Stop all searches in the middle of their batch; safe from any thread."""
        self.interrupted = True
        # From a signal handler: the thread that it has stopped may hold the lock of the pipe.
        threading.Thread(target=self._tell_interrupt, daemon=True).start()

    def _tell_interrupt(self) -> None:
        with suppress(OSError, WorkerDiedError):  # where it has died nothing runs
            self._link.send(Interrupt())

    def run(self, problems: Iterable[Problem], settings: Settings) -> Iterator[tuple[Problem, Event]]:
        """As ``Driver.run``.

        Where the worker dies, what it was searching ends with SearchFailed (``worker-died``), it is started
        again, and the rest goes on.
        """
        feeder = _Feeder(iter(problems), self._link.send)
        while True:
            self._deaths += 1
            try:
                yield from self._run(feeder, settings)
                return
            except WorkerDiedError as error:
                for problem, last in feeder.lost():
                    yield problem, _failed(last, error)
                if self.interrupted:
                    return
                if self._deaths > RESTARTS:
                    self.unbegun = feeder.unbegun()
                    raise
                self._reporting.status(f"{error.message}; starting it again")
                with suppress(WorkerDiedError):  # the next turn finds it dead and counts it
                    self._start()

    def _run(self, feeder: _Feeder, settings: Settings) -> Iterator[tuple[Problem, Event]]:
        self._link.send(Search(settings))
        while not isinstance(message := self._receive(), Done):
            feeder.check()
            if isinstance(message, Wanted):
                feeder.ask(ended=self.interrupted)
                continue
            assert isinstance(message, Happened)
            if isinstance(message.event, SearchFinished | SearchFailed):
                self._deaths = 0
            yield feeder.happened(message.problem, message.event), message.event
        feeder.check()

    def _start(self) -> None:
        self._link.start()
        self._link.send(self._open)
        while not isinstance(message := self._receive(), Opened):
            match message:
                case Said():
                    self._reporting.status(message.text)
                case Loading():
                    self._loading = message.file
                case Transfer() if self._reporting.on_progress is not None:
                    self._reporting.on_progress(message)
                case DownloadPlan():
                    assert self._reporting.confirm is not None
                    self._link.send(self._reporting.confirm(message))
        self.opened = message

    def _receive(self) -> Any:
        """The next message that is not for the log."""
        while True:
            message = self._link.receive()
            if isinstance(message, AdascaleError):
                raise message
            if not isinstance(message, Logged):
                return message
            assert self._reporting.log is not None
            self._reporting.log(message.text)


class _Feeder:
    """Sends questions to the worker as it asks for them, from a thread: the next one may be long in coming.

    It knows which questions the worker has, and how far the log of each has come.
    """

    def __init__(self, problems: Iterator[Problem], send: Callable[[Any], None]) -> None:
        self._problems = problems
        self._send = send
        self._back: list[Problem] = []
        self._flying: dict[str, tuple[Problem, Event | None]] = {}
        self._lives = 0
        self._requests: SimpleQueue[int] = SimpleQueue()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        threading.Thread(target=self._feed, daemon=True).start()

    def ask(self, *, ended: bool) -> None:
        """The worker wants one more; it is told that there are none where everything has ``ended``."""
        if ended:
            self._send(Ended())
        else:
            self._requests.put(self._lives)

    def happened(self, id_: str, event: Event) -> Problem:
        """The question of an event; it is no longer in flight after its last one."""
        problem, _ = self._flying[id_]
        if isinstance(event, SearchFinished | SearchFailed):
            del self._flying[id_]
        else:
            self._flying[id_] = problem, event
        return problem

    def lost(self) -> list[tuple[Problem, Event]]:
        """The worker has died: questions that had begun, with their last events; the others come again."""
        with self._lock:
            self._lives += 1
            flying, self._flying = list(self._flying.values()), {}
            # A question that has not begun has cost nothing.
            self._back += [problem for problem, last in flying if last is None]
        return [(problem, last) for problem, last in flying if last is not None]

    def unbegun(self) -> list[Problem]:
        """Questions that were drawn and never begun."""
        with self._lock:
            left, self._back = self._back, []
        return left

    def check(self) -> None:
        """Raise what reading the questions has raised."""
        if self._error is not None:
            raise self._error

    def _feed(self) -> None:
        while True:
            life = self._requests.get()
            problem = self._next()
            with self._lock:
                if life != self._lives:  # it died while this one was awaited
                    self._back += [problem] if problem is not None else []
                    continue
                if problem is not None:
                    self._flying[problem.id] = problem, None
            with suppress(OSError, WorkerDiedError):
                self._send(Ended() if problem is None else problem)

    def _next(self) -> Problem | None:
        if self._back:
            return self._back.pop(0)
        try:
            return next(self._problems, None)
        except BaseException as error:
            self._error = error
            return None


def _refused(file: str, error: WorkerAbortedError) -> ModelCorruptError:
    """llama.cpp checks less than it asserts: it has died of what it read in a model's file."""
    return ModelCorruptError(
        f"{file} makes llama.cpp abort while it is opened",
        *(error.facts or (error.message,)),
        hint=f"fetch the file again, or take a known model: {command('models', 'list')}",
    )


def _failed(last: Event, error: WorkerDiedError) -> SearchFailed:
    return SearchFailed(
        seq=last.seq + 1,
        t=last.t,
        code=error.slug,
        message=error.message,
        facts=error.facts,
        hint=error.hint,
        error_type=type(error).__name__,
    )
