"""Searches of many clients in one worker: a thread follows the worker, and an event loop the clients.

All methods are for the event loop but those of the thread. A search waits in line until fewer than
``parallel`` are in the worker. One that nobody reads any more is cancelled, and keeps its place until its end
has come: only then its slots are free.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Literal, Protocol

from adascale.engine.errors import AdascaleError, WorkerDiedError
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted
from adascale.engine.search.settings import Request
from adascale.engine.types import Problem
from adascale.models.worker.dispatch import failed_log
from adascale.models.worker.messages import ModelsOpened

from ..http.errors import Refusal

HubState = Literal["loading", "ready", "ended"]

_LATEST_SHARE = 0.2
"""Share of the latest search in what searches usually take."""

_CLOSE_SECONDS = 10.0
"""Time that cancelled searches have at the end; a batch takes less."""


class SearchWorker(Protocol):
    """What searches: ``models.worker.client.Worker``."""

    @property
    def open_models(self) -> ModelsOpened:
        """What it searches with."""

    @property
    def is_open(self) -> bool:
        """Whether it can search now; not while it starts again after a death."""

    def serve(self, requests: Iterable[Request]) -> Iterator[tuple[Problem, Event]]:
        """Events of all requests; reads ``requests`` in a thread of its own."""

    def cancel(self, problem_id: str) -> None:
        """End one search that has begun; safe from any thread."""


@dataclass(slots=True, eq=False)
class _Flight:
    """One search: its request, who asked, the events that nobody has read yet, and how far it has come.

    ``seated`` is the event loop's time at which it got its place in the worker.
    """

    request: Request
    client: str
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    seated: float = 0.0
    begun: bool = False
    abandoned: bool = False


class Hub:
    """Runs searches in a worker that it opens.

    Args:
        open_worker: Opens the worker, in the hub's thread.
        parallel: Searches in the worker at the same time, at least 1.
        max_queue: Searches that wait for it at most; more are refused.
        on_end: Called when the worker has ended, by itself or after ``close``.

    Attributes:
        state: ``loading`` until the models are open; ``ended`` when the worker has gone.
        error: Why the worker ended, where it was an error.
        worker: Where ``state`` is ``ready``.
        on_finish: Called with the end of each search that did not fail.
    """

    def __init__(
        self,
        open_worker: Callable[[], AbstractContextManager[SearchWorker]],
        parallel: int,
        max_queue: int,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.state: HubState = "loading"
        self.error: BaseException | None = None
        self.worker: SearchWorker
        self._open_worker = open_worker
        self._parallel = parallel
        self._max_queue = max_queue
        self._on_end = on_end
        self.on_finish: Callable[[SearchFinished], None] = lambda end: None
        self._waiting: list[_Flight] = []
        self._running: dict[str, _Flight] = {}
        self._usual_seconds = 0.0
        self._outbox: SimpleQueue[Request | None] = SimpleQueue()
        self._calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._is_waking = False
        self._loaded = asyncio.Event()
        self._thread = threading.Thread(target=self._follow_worker, daemon=True)
        self._loop: asyncio.AbstractEventLoop

    @property
    def health(self) -> HubState:
        """``state``, but also ``loading`` while a worker that died starts again, for which questions wait."""
        return "loading" if self.state == "ready" and not self.worker.is_open else self.state

    @property
    def running(self) -> int:
        """Searches in the worker, those that end because their client has gone too."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Searches that wait for a place in the worker."""
        return len(self._waiting)

    def start(self) -> None:
        """Open the worker in the background; to be called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """End all searches, and the worker."""
        for flight in list(self._running.values()):
            self._abandon(flight)
        self._outbox.put(None)
        if self.state == "ready":
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def cancel(self, problem_id: str) -> bool:
        """End a search as interrupted, whose reader gets the end; whether there was one that has begun."""
        flight = self._running.get(problem_id)
        if flight is None or not flight.begun:
            return False
        self.worker.cancel(problem_id)
        return True

    def check_open(self) -> None:
        """Refuse a request where the models are not open.

        Raises:
            Refusal: 503 while they are loaded, and after the worker's end.
        """
        if self.state == "loading":
            raise Refusal(503, "the models are being loaded", "loading", headers={"Retry-After": "2"})
        if self.state == "ended":
            raise Refusal(503, "the server is stopping", "stopping")

    async def wait_until_open(self) -> None:
        """Wait while the models are loaded, for clients that cannot ask again.

        Raises:
            Refusal: they could not be opened, or the worker has ended.
        """
        await self._loaded.wait()
        if isinstance(self.error, AdascaleError):
            raise Refusal.of(self.error)
        self.check_open()

    def _check_queue(self) -> None:
        if len(self._running) >= self._parallel and len(self._waiting) >= self._max_queue:
            wait = {"Retry-After": str(self._wait_seconds())}
            raise Refusal(
                429, f"{len(self._waiting)} requests are waiting already", "queue-full", headers=wait
            )

    def _wait_seconds(self) -> int:
        """Whole seconds until one more search than wait now would have begun, at least 1.

        Before a search has ended, none is known to take longer than the oldest one has taken so far.
        """
        oldest = min((flight.seated for flight in self._running.values()), default=math.inf)
        usual = self._usual_seconds or max(0.0, self._loop.time() - oldest)
        return max(1, math.ceil(usual * (1 + len(self._waiting)) / self._parallel))

    @contextmanager
    def search(self, request: Request, client: str, quiet: float) -> Iterator[AsyncIterator[Event | None]]:
        """Search while the block lasts; gives the events, the last of which is the end.

        Args:
            request: Its problem's id is unique.
            client: Who asks; of several that wait, the client with the fewest running searches is next.
            quiet: Seconds without an event after which there is a None in the place of one.

        Raises:
            Refusal: as ``check_open``; 429 where too many wait.
        """
        self.check_open()
        self._check_queue()
        flight = _Flight(request, client)
        self._waiting.append(flight)
        self._start_waiting()
        try:
            yield _events(flight, quiet)
        finally:
            self._abandon(flight)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._parallel:
            clients = Counter(flight.client for flight in self._running.values())
            flight = min(self._waiting, key=lambda flight: clients[flight.client])  # of equals the first one
            self._waiting.remove(flight)
            self._running[flight.request.problem.id] = flight
            flight.seated = self._loop.time()
            self._outbox.put(flight.request)

    def _abandon(self, flight: _Flight) -> None:
        """Nobody reads its events any more; nothing happens where it has ended."""
        flight.abandoned = True
        if flight in self._waiting:
            self._waiting.remove(flight)
        elif flight.begun and flight.request.problem.id in self._running:
            self.worker.cancel(flight.request.problem.id)

    # From the thread, through the event loop

    def _take_calls(self) -> None:
        self._is_waking = False  # before the calls: one that comes behind the last of them wakes it again
        while self._calls:
            method, args = self._calls.popleft()
            method(*args)

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
            if not flight.abandoned:
                self._note_time(self._loop.time() - flight.seated)
            self._start_waiting()
            if isinstance(event, SearchFinished):
                self.on_finish(event)

    def _note_time(self, seconds: float) -> None:
        """A search has taken so long; older ones count less and less."""
        usual = self._usual_seconds or seconds
        self._usual_seconds = usual + _LATEST_SHARE * (seconds - usual)

    def _drop(self, id_: str) -> None:
        """A search that was abandoned before the worker took it."""
        del self._running[id_]
        self._start_waiting()

    def _ended(self, error: BaseException | None) -> None:
        self.state, self.error = "ended", error
        self._loaded.set()
        known = error if isinstance(error, AdascaleError) else WorkerDiedError("the server is stopping")
        failure = SearchFailed.of(known)
        for flight in [*self._running.values(), *self._waiting]:
            for event in [failure] if flight.begun else failed_log(flight.request, failure):
                flight.events.put_nowait(event)
        self._running.clear()
        self._waiting.clear()
        self._on_end()

    # The thread

    def _follow_worker(self) -> None:
        error: BaseException | None = None
        try:
            with self._open_worker() as worker:
                self._tell(self._opened, worker)
                for problem, event in worker.serve(self._requests()):
                    self._tell(self._deliver, problem.id, event)
        except BaseException as raised:
            error = raised
        self._tell(self._ended, error)

    def _tell(self, method: Callable[..., None], *args: object) -> None:
        """Have the event loop call a method; calls that come before it has woken up share one waking."""
        self._calls.append((method, args))
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # the loop has been closed, and nobody listens
                self._loop.call_soon_threadsafe(self._take_calls)

    def _requests(self) -> Iterator[Request]:
        """Requests as they come, without those whose client has gone meanwhile."""
        while (request := self._outbox.get()) is not None:
            id_ = request.problem.id
            if self._running[id_].abandoned:
                self._tell(self._drop, id_)
            else:
                yield request


async def _events(flight: _Flight, quiet: float) -> AsyncIterator[Event | None]:
    """Events until the search has ended; None after so many seconds without one."""
    while True:
        try:
            async with asyncio.timeout(quiet):
                event = await flight.events.get()
        except TimeoutError:
            yield None
            continue
        yield event
        if isinstance(event, SearchFinished | SearchFailed):
            return
