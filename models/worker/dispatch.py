"""Handing questions to an engine: a source that reads them one by one, and the flight of an engine.

An engine gets its next question when it has begun the last one or has room for it, so at most one waits
there. The parent knows of each whether it had begun when the engine died, and asks the others again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Self

from adascale.engine.errors import DEADLY_QUESTION, WorkerDiedError
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted, Warned
from adascale.engine.search.record import EventLog
from adascale.engine.search.settings import Request
from adascale.engine.types import Problem

RESTARTS = 3
"""Times in a row that an engine is started again with no question answered in between and none to blame."""


class QuestionSource:
    """Reads questions one at a time in a thread of its own, since the next one may be long in coming.

    Use it as a context manager. All methods are for the thread that made it.

    Args:
        requests: Read by the drawing thread alone.
        wake: Called by that thread when ``take`` will return something new.
    """

    def __init__(self, requests: Iterable[Request], wake: Callable[[], None]) -> None:
        self._wake = wake
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._replies: SimpleQueue[Request | BaseException | None] = SimpleQueue()
        self._reading = False
        self._ended = False
        self._returned: deque[Request] = deque()
        self._given_back: set[str] = set()
        threading.Thread(target=self._read, args=(iter(requests),), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._orders.put(False)

    @property
    def exhausted(self) -> bool:
        """True if there are no more questions."""
        return self._ended and not self._returned

    def take(self) -> Request | None:
        """The next question; None while it is being read, and when the source is ``exhausted``.

        Raises:
            BaseException: an error that reading the questions has raised.
        """
        if self._returned:
            return self._returned.popleft()
        if self._ended:
            return None
        if not self._reading:
            self._reading = True
            self._orders.put(True)
        try:
            drawn = self._replies.get_nowait()
        except Empty:
            return None
        self._reading = False
        if isinstance(drawn, BaseException):
            raise drawn
        self._ended = drawn is None
        return drawn

    def give_back(self, request: Request) -> bool:
        """Return a lost question, to be taken again; False the second time."""
        if request.problem.id in self._given_back:
            return False
        self._given_back.add(request.problem.id)
        self._returned.append(request)
        return True

    def _read(self, requests: Iterator[Request]) -> None:
        while self._orders.get():
            try:
                drawn: Request | BaseException | None = next(requests, None)
            except BaseException as error:
                drawn = error
            self._replies.put(drawn)
            self._wake()


class Flight:
    """The questions that one engine has, each with the last event of its log.

    Attributes:
        deaths: Times in a row that the engine died, without an answer in between or a question to blame.
    """

    def __init__(self) -> None:
        self.deaths = 0
        self._questions: dict[str, tuple[Request, Event | None]] = {}

    @property
    def all_begun(self) -> bool:
        """True if the engine has begun every question that it has, and is ready for one more."""
        return all(last is not None for _, last in self._questions.values())

    def add(self, request: Request) -> None:
        """The engine gets a question."""
        self._questions[request.problem.id] = request, None

    def follow(self, id_: str, event: Event) -> Problem:
        """The question of an event; it leaves the flight when its search has ended."""
        request, _ = self._questions[id_]
        if isinstance(event, SearchFinished | SearchFailed):
            del self._questions[id_]
            self.deaths = 0
        else:
            self._questions[id_] = request, event
        return request.problem

    def lose(
        self, error: WorkerDiedError, source: QuestionSource, *, retry: bool
    ) -> Iterator[tuple[Problem, Event]]:
        """The engine has died: its questions go back to ``source``, or end with SearchFailed.

        One goes back once.

        A question whose prompt was being read is to blame, and so is one that was lost twice before it began:
        its error has the slug ``deadly-question``.

        Args:
            error: The engine's death.
            source: Gets the questions that are asked once more.
            retry: Also ask questions whose search had begun; their log then begins again.
        """
        questions, self._questions = list(self._questions.values()), {}
        deadly = type(error)(error.message, *error.facts, hint=error.hint, slug=DEADLY_QUESTION)
        self.deaths += 1
        for request, last in questions:
            was_read = last is not None and not isinstance(last, SearchStarted | Warned)
            if (retry if was_read else last is None) and source.give_back(request):
                continue
            if not was_read:
                self.deaths = 0
            failure = SearchFailed.of(error if was_read else deadly)
            if last is None:
                yield from ((request.problem, event) for event in failed_log(request, failure))
            else:
                yield request.problem, replace(failure, seq=last.seq + 1, t=last.t)


def failed_log(request: Request, failure: SearchFailed) -> list[Event]:
    """The whole log of a search that could not begin."""
    log = EventLog(request.settings.first_event(request.problem), clock=lambda: 0.0)
    for notice in request.settings.warnings:
        log.emit(Warned(notice=notice))
    log.emit(failure)
    return log.drain()
