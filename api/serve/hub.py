"""Searches of many clients in one worker: a thread reads from the worker, an event loop serves the clients.

Methods run in the event loop unless they are marked as the thread's. A search waits until fewer than
``parallel`` are in the worker. A search that nobody reads any more is cancelled, and keeps its place until it
has ended, since only then are its slots free.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Literal, Protocol

from adascale.engine.errors import AdascaleError, WorkerDiedError
from adascale.engine.request import Request, SearchRequest, Settings
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted
from adascale.engine.types import Budget, Problem, Schedule
from adascale.models.worker.server import ModelsOpened

from .http import Refusal

HubState = Literal["loading", "ready", "ended"]

_AS_ASK = "1"
"""Problem id for seeding: with the same seed, solutions are those of ``ask`` by the same schedule."""

_WIDTH = 8
"""Solutions of a question that run side by side at most: two searches of 16 would have every place of a
server, and a third client would wait for the first solution to end."""

_RETRY_SECONDS = 10
"""Time after which a client that found the queue full may try again."""

_CLOSE_SECONDS = 10.0
"""Time that cancelled searches have to end at shutdown; a decode batch takes less."""


class SearchWorker(Protocol):
    """The part of ``models.worker.client.Worker`` that the hub needs."""

    @property
    def open_models(self) -> ModelsOpened:
        """The open models."""

    def serve(self, requests: Iterable[Request]) -> Iterator[tuple[Problem, Event]]:
        """Events of all requests; reads ``requests`` in a thread of its own."""

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End one search that has begun, as ``Driver.cancel``; safe from any thread."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A search and its progress.

    Attributes:
        request: The problem and its settings.
        events: Events that nobody has read yet.
        begun: Its first event has come.
        abandoned: Nobody reads its events any more.
    """

    request: Request
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    begun: bool = False
    abandoned: bool = False


class Hub:
    """Runs searches in a worker that it opens.

    Args:
        open_worker: Opens the worker, in the hub's thread.
        parallel: Searches in the worker at the same time, at least 1.
        max_queue: Largest number of waiting searches; more are refused.
        limits: Limits of every search.
        on_end: Called when the worker has ended, by itself or after ``close``.

    Attributes:
        state: ``loading`` until the models are open; ``ended`` when the worker has gone.
        error: The error that ended the worker, if one did.
        worker: Set while ``state`` is ``ready``.
        tap: Passes the events of all searches through, in the hub's thread; ``--traces`` writes them there.
    """

    def __init__(
        self,
        open_worker: Callable[[], AbstractContextManager[SearchWorker]],
        parallel: int,
        max_queue: int,
        limits: Budget = Budget(),
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.state: HubState = "loading"
        self.error: BaseException | None = None
        self.worker: SearchWorker
        self._open_worker = open_worker
        self._parallel = parallel
        self._max_queue = max_queue
        self._limits = limits
        self._on_end = on_end
        self.tap: Callable[[Iterator[tuple[Problem, Event]]], Iterator[tuple[Problem, Event]]] = iter
        self._waiting: list[_Flight] = []
        self._running: dict[str, _Flight] = {}
        self._outbox: SimpleQueue[Request | None] = SimpleQueue()
        self._loaded = asyncio.Event()
        self._thread = threading.Thread(target=self._follow_worker, daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Open the worker in the background; call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """End all searches, and the worker."""
        for flight in self._running.values():
            self._abandon(flight)
        self._outbox.put(None)
        if self.state == "ready":
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End a search that has begun, as ``Driver.cancel``; its reader gets its end."""
        flight = self._running.get(problem_id)
        if flight is not None and flight.begun:
            self.worker.cancel(problem_id, takes_answer=takes_answer)

    def fail(self, error: BaseException | None = None) -> None:
        """Give the readers of all searches an error, by default that the server is stopping."""
        stopping = WorkerDiedError("the server is stopping", slug="stopping")
        failure = SearchFailed.of(error if isinstance(error, AdascaleError) else stopping)
        for flight in [*self._running.values(), *self._waiting]:
            flight.events.put_nowait(failure)

    def check_open(self) -> None:
        """Refuse a request unless the models are loaded.

        Raises:
            Refusal: 503 while they are being loaded, and after the worker's end.
        """
        if self.state == "loading":
            raise Refusal(503, "the models are being loaded", "loading", headers={"Retry-After": "2"})
        if self.state == "ended":
            raise Refusal(503, "the server is stopping", "stopping")

    async def wait_until_open(self) -> None:
        """Wait until the models are loaded, for clients that cannot retry.

        Raises:
            Refusal: they could not be loaded, or the worker has ended.
        """
        await self._loaded.wait()
        if isinstance(self.error, AdascaleError):
            raise Refusal.of(self.error)
        self.check_open()

    async def ask(self, problem: Problem, search: SearchRequest) -> AsyncGenerator[Event, None]:
        """Search, and yield the events up to the end.

        A search whose generator is closed before that is cancelled.

        Args:
            problem: The question; its id is unique.
            search: How it is searched; its budget can only lower the server's.

        Raises:
            Refusal: that of ``check_open``; 429 if too many wait.
        """
        self.check_open()
        if len(self._running) >= self._parallel and len(self._waiting) >= self._max_queue:
            wait = {"Retry-After": str(_RETRY_SECONDS)}
            text = f"{len(self._waiting)} requests are waiting already"
            raise Refusal(429, text, "queue-full", headers=wait)
        flight = _Flight(Request(problem, self._settings(problem, search)))
        self._waiting.append(flight)
        self._start_waiting()
        event: Event | None = None
        try:
            while not isinstance(event, SearchFinished | SearchFailed):
                event = await flight.events.get()
                yield event
        finally:
            self._abandon(flight)

    def _settings(self, problem: Problem, search: SearchRequest) -> Settings:
        opened = self.worker.open_models
        conditions = opened.conditions[problem.kind]
        # Files of this machine are not for clients.
        warnings = tuple(each for each in conditions.warnings if each.code != "calibration-unreadable")
        schedule = (conditions.schedule or Schedule.even(_WIDTH)).within(_WIDTH)
        conditions = replace(conditions, warnings=warnings, schedule=schedule)
        seed = secrets.randbits(31) if search.seed is None else search.seed
        search = replace(search, budget=lower(self._limits, search.budget), seed=seed)
        return replace(search.settings(problem, conditions, opened.modes), seeded_as=_AS_ASK)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._parallel:
            flight = self._waiting.pop(0)
            self._running[flight.request.problem.id] = flight
            self._outbox.put(flight.request)

    def _abandon(self, flight: _Flight) -> None:
        """Cancel a search whose events nobody reads any more, unless it has ended."""
        flight.abandoned = True
        if flight in self._waiting:
            self._waiting.remove(flight)
        elif flight.begun and flight.request.problem.id in self._running:
            self.worker.cancel(flight.request.problem.id)

    # Called by the thread, run in the event loop

    def _opened(self, worker: SearchWorker) -> None:
        self.worker, self.state = worker, "ready"
        self._loaded.set()

    def _deliver(self, id_: str, event: Event) -> None:
        flight = self._running[id_]
        flight.events.put_nowait(event)
        if isinstance(event, SearchStarted):
            flight.begun = True
            if flight.abandoned:
                self.worker.cancel(id_)
        elif isinstance(event, SearchFinished | SearchFailed):
            del self._running[id_]
            self._start_waiting()

    def _ended(self, error: BaseException | None) -> None:
        self.state, self.error = "ended", error
        self._loaded.set()
        self.fail(error)
        self._running.clear()
        self._waiting.clear()
        self._on_end()

    # Methods of the thread

    def _follow_worker(self) -> None:
        error: BaseException | None = None
        try:
            with self._open_worker() as worker:
                self._tell(self._opened, worker)
                for problem, event in self.tap(worker.serve(iter(self._outbox.get, None))):
                    self._tell(self._deliver, problem.id, event)
        except BaseException as raised:
            error = raised
        self._tell(self._ended, error)

    def _tell(self, method: Callable[..., None], *args: object) -> None:
        """Let the event loop call a method."""
        with suppress(RuntimeError):  # the loop has been closed, and nobody listens
            self._loop.call_soon_threadsafe(method, *args)


def lower(a: Budget, b: Budget) -> Budget:
    """The lower of each limit."""
    tokens = [limit for limit in (a.max_tokens, b.max_tokens) if limit is not None]
    seconds = [limit for limit in (a.max_seconds, b.max_seconds) if limit is not None]
    return Budget(min(tokens, default=None), min(seconds, default=None))
