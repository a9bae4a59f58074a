"""Models in a process of their own, as if they were in this one (``server.py`` is the other side)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Self

from adascale.engine.errors import FETCH_AGAIN, ModelCorruptError, WorkerAbortedError, WorkerDiedError
from adascale.engine.search.events import Event, SearchFailed
from adascale.engine.search.settings import Request, Settings
from adascale.engine.types import Problem

from ..files.progress import DownloadPlan, Transfer
from ..options import Reporting, SessionOptions
from .dispatch import RESTARTS, Flight, QuestionSource
from .messages import (
    Cancel,
    Consent,
    EndOfQuestions,
    FromWorker,
    Interrupt,
    ModelsOpened,
    OpenModels,
    RunEnded,
    SearchEvent,
    StartRun,
    Told,
)
from .process import WorkerProcess

_MACHINE_FAULT = re.compile(r"bad_alloc|\b(CUDA|ROCm|MUSA) error")
"""Last words of a worker that ran out of memory or lost its GPU: no model file is to blame."""


class Worker:
    """Opens models in a process of its own and searches with them; use it as a context manager.

    Args:
        options: Options of the session.
        reporting: Shows the worker's status, downloads and log.

    Attributes:
        open_models: The models, warnings and files of the session.
        interrupted: It was told to stop.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry; a model that llama.cpp aborts on while it opens it
            is a ModelCorruptError.
        WorkerDiedError: on entry, or when the worker dies again and again.
    """

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self._open = OpenModels(options, reporting.confirm is not None, reporting.log is not None)
        self._reporting = reporting
        self._inbox: SimpleQueue[FromWorker | WorkerDiedError | None] = SimpleQueue()
        self._process = WorkerProcess(lambda message: self._inbox.put(message))
        self._loading = ""
        self.interrupted = False
        self.open_models: ModelsOpened

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            self._process.stop()
            if (
                isinstance(error, WorkerAbortedError)
                and self._loading
                and not _MACHINE_FAULT.search(str(error.facts))
            ):
                # llama.cpp asserts more than it checks.
                raise ModelCorruptError(
                    f"{self._loading} makes llama.cpp abort while it is opened",
                    *(error.facts or (error.message,)),
                    hint=FETCH_AGAIN,
                ) from error
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.stop()

    def interrupt(self) -> None:
        """Stop all searches in the middle of their batch; safe from any thread."""
        self.interrupted = True
        # From a signal handler: the thread that it has stopped may hold the lock of the pipe.
        threading.Thread(target=self._process.send, args=(Interrupt(),), daemon=True).start()

    def cancel(self, problem_id: str) -> None:
        """End the search of a question between two batches, as ``interrupted``; safe from any thread.

        Its SearchStarted must have been seen; nothing happens if it has ended.
        """
        self._process.send(Cancel(problem_id))

    def run(self, problems: Iterable[Problem], settings: Settings) -> Iterator[tuple[Problem, Event]]:
        """Search every question in the same way; as ``serve``. What interrupted an earlier run is over."""
        self.interrupted = False
        return self.serve(Request(problem, settings) for problem in problems)

    def serve(self, requests: Iterable[Request], *, retry: bool = False) -> Iterator[tuple[Problem, Event]]:
        """As ``Driver.serve``; ``requests`` may wait for the next one, and is read in a thread of its own.

        A worker that dies, or fails by an unforeseen error, is started again and goes on. With ``retry`` each
        question that it was searching is searched once more, and its log begins again; otherwise, and the
        second time, it ends with SearchFailed (``worker-died``). One that is to blame ends with the slug
        ``deadly-question``.
        """
        flight = Flight()
        with QuestionSource(requests, wake=lambda: self._inbox.put(None)) as source:
            while True:
                try:
                    if not self._process.running:
                        self._start()
                    self._process.send(StartRun())
                    yield from self._follow(flight, source)
                    return
                except WorkerDiedError as error:
                    self._process.stop()
                    yield from flight.lose(error, source, retry=retry)
                    if self.interrupted:
                        return
                    if flight.deaths > RESTARTS:
                        raise
                    self._reporting.status(f"{error.message}; starting it again")
                except BaseException:  # nobody reads what the worker still sends
                    self._process.stop()
                    raise

    def _follow(self, flight: Flight, source: QuestionSource) -> Iterator[tuple[Problem, Event]]:
        """Events until all has been searched."""
        more = True
        while True:
            if more and flight.all_begun:
                more = self._ask_next(flight, source)
            message = self._receive()
            match message:
                case RunEnded():
                    return
                case SearchEvent():
                    try:
                        event = message.event()
                    except ValueError as unreadable:
                        text = "the process that runs the models wrote an event that cannot be read"
                        raise WorkerDiedError(text, str(unreadable)) from unreadable
                    yield flight.follow(message.problem, event), event
                case SearchFailed():
                    error = message.error()
                    raise WorkerDiedError(error.message, *error.facts, hint=error.hint) from error

    def _ask_next(self, flight: Flight, source: QuestionSource) -> bool:
        """Send the next question if there is one now; returns whether more may come."""
        request = None if self.interrupted else source.take()
        if request is not None:
            flight.add(request)
            self._process.send(request)
        elif self.interrupted or source.exhausted:
            self._process.send(EndOfQuestions())
            return False
        return True

    def _start(self) -> None:
        self._inbox = SimpleQueue()  # the end of a process that failed may be in the old one
        self._process.start()
        self._process.send(self._open)
        while not isinstance(message := self._receive(), ModelsOpened):
            match message:
                case Told("status", text):
                    self._reporting.status(text)
                case Told("loading", file):
                    self._loading = file
                case Transfer() if self._reporting.on_progress is not None:
                    self._reporting.on_progress(message)
                case DownloadPlan():
                    assert self._reporting.confirm is not None
                    self._process.send(Consent(self._reporting.confirm(message)))
                case SearchFailed():
                    raise message.error()
        self.open_models = message

    def _receive(self) -> FromWorker | None:
        """The next message that is not for the log; None if the source of questions has news.

        Raises:
            WorkerDiedError: the worker has died.
        """
        while True:
            message = self._inbox.get()
            if isinstance(message, WorkerDiedError):
                raise message
            match message:
                case Told("log", text):
                    assert self._reporting.log is not None
                    self._reporting.log(text)
                case _:
                    return message
