"""Searches of many clients in one worker: a thread reads from the worker, an event loop serves the clients.

Methods run in the event loop unless they are marked as the thread's. A search waits until fewer than
``parallel`` are in the worker. A search without a reader is cancelled, and keeps its place until it
has ended, since only then are its slots free.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
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
"""Problem id for seeding: the same seed and schedule give the same solutions as ``ask``."""

_WIDTH = 8
"""Solutions of a question that run side by side at most: two searches of 16 would have every place of a
server, and a third client would wait for the first solution to end."""

_STOPPING = WorkerDiedError("the server is stopping", slug="stopping")

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
        self._max_queue = max_queue
        self._limits = limits
        self._on_end = on_end
        self.tap: Callable[[Iterator[tuple[Problem, Event]]], Iterator[tuple[Problem, Event]]] = iter
        self._places = asyncio.Semaphore(parallel)
        self._waiting = 0
        self._running: dict[str, asyncio.Queue[Event] | None] = {}  # None: its reader has gone
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
        for problem_id in self._running:
            self.cancel(problem_id)
        self._outbox.put(None)
        if self._loaded.is_set():
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End a search, as ``Driver.cancel``; its reader gets its end."""
        if problem_id in self._running:
            self.worker.cancel(problem_id, takes_answer=takes_answer)

    def fail(self, error: BaseException | None = None) -> None:
        """Take no more searches, and give the readers of all others an error."""
        self.state = "ended"
        self._loaded.set()
        failure = SearchFailed.of(error if isinstance(error, AdascaleError) else _STOPPING)
        for events in self._running.values():
            if events is not None:
                events.put_nowait(failure)

    def check_open(self) -> None:
        """Refuse a request unless the models are loaded.

        Raises:
            Refusal: 503 while they are being loaded and while the server stops, or the worker's last error.
        """
        if self.state == "loading":
            raise Refusal(503, "the models are being loaded", "loading", headers={"Retry-After": "2"})
        if self.state == "ended":
            raise Refusal.of(self.error if isinstance(self.error, AdascaleError) else _STOPPING)

    async def wait_until_open(self) -> None:
        """Wait until the models are loaded, for clients that cannot retry.

        Raises:
            Refusal: as of ``check_open``.
        """
        await self._loaded.wait()
        self.check_open()

    async def ask(self, problem: Problem, search: SearchRequest) -> AsyncGenerator[Event, None]:
        """Search, and yield the events up to the end.

        A search whose generator is closed before that is cancelled.

        Args:
            problem: The question; its id is unique.
            search: How it is searched; its budget can only lower the server's.

        Raises:
            Refusal: as of ``check_open``; 429 if too many wait.
        """
        self.check_open()
        if self._places.locked() and self._waiting >= self._max_queue:
            wait = {"Retry-After": str(_RETRY_SECONDS)}
            raise Refusal(429, f"{self._waiting} requests are waiting already", "queue-full", headers=wait)
        request = Request(problem, self._settings(problem, search))
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        if self.state == "ended":
            self._places.release()  # the next one learns it, too
            self.check_open()
        events = self._running[problem.id] = asyncio.Queue[Event]()
        self._outbox.put(request)
        event: Event | None = None
        try:
            while not isinstance(event, SearchFinished | SearchFailed):
                event = await events.get()
                yield event
        finally:
            if problem.id in self._running:
                self._running[problem.id] = None
                self.cancel(problem.id)

    def _settings(self, problem: Problem, search: SearchRequest) -> Settings:
        opened = self.worker.open_models
        conditions = opened.conditions[problem.kind]
        # Files of this machine are not for clients.
        warnings = tuple(notice for notice in conditions.warnings if notice.code != "calibration-unreadable")
        schedule = (conditions.schedule or Schedule.even(_WIDTH)).within(_WIDTH)
        conditions = replace(conditions, warnings=warnings, schedule=schedule)
        seed = secrets.randbits(31) if search.seed is None else search.seed
        search = replace(search, budget=lower(self._limits, search.budget), seed=seed)
        return replace(search.settings(problem, conditions, opened.modes), seeded_as=_AS_ASK)

    # Called by the thread, run in the event loop

    def _opened(self, worker: SearchWorker) -> None:
        self.worker, self.state = worker, "ready"
        self._loaded.set()

    def _deliver(self, id_: str, event: Event) -> None:
        events = self._running[id_]
        if events is not None:
            events.put_nowait(event)
        elif isinstance(event, SearchStarted):  # only now it can be cancelled
            self.cancel(id_)
        if isinstance(event, SearchFinished | SearchFailed):
            del self._running[id_]
            self._places.release()

    def _ended(self, error: BaseException | None) -> None:
        self.error = error
        self.fail(error)
        self._running.clear()
        self._places.release()
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
