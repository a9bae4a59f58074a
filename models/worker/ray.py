"""Engines on the nodes of a Ray cluster, as if they were one worker: one for each GPU, or for the node.

An engine is a plain actor that works in calls of a fraction of a second: each brings it at most one question
and returns what has happened. It gets a question when it has room, so a fast node gets more of them. What a
node was searching when it was lost ends as interrupted; all else goes to the others.

Ray has no login and executes what any of its nodes sends, so the network of a cluster has to be trusted.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from adascale.engine.errors import (
    DoesNotFitError,
    ModelError,
    UsageError,
    WorkerDiedError,
    explained,
    setting,
)
from adascale.engine.search.events import Event, ModelDescription
from adascale.engine.search.settings import Request
from adascale.engine.types import Problem

from ..options import SessionOptions
from .dispatch import Flight, QuestionSource
from .messages import ModelsOpened, SearchEvent
from .pipes import ENVIRONMENT

if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver

    from ..session import OpenSession

_CALL_SECONDS = 0.25
"""How long a call takes at least, where there is no room for another question."""

_CALLS_PER_SECOND = 200
"""Of all engines together, beside those that bring a question: each costs the parent about 1 ms."""

_CONNECT_SECONDS = 10.0

_CONCURRENT_CALLS = 2
"""An actor can be interrupted while it works."""


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The outcome of one call.

    Attributes:
        events: In order, without hidden states.
        ready: Whether it has room for one more question.
    """

    events: tuple[SearchEvent, ...]
    ready: bool


class Engine:
    """An actor with open models; they are opened by its first call.

    Args:
        options: Of the session.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._opening = ExitStack()  # never closed: a session ends with its process
        self._session: OpenSession | None = None
        self._driver: Driver | None = None
        self._interrupted = False
        self._requests: deque[Request] = deque()
        self._running: Iterator[tuple[Problem, Event]] | None = None
        self._ready = False

    def open_models(self) -> ModelsOpened:
        """Open the models, where they are not open yet.

        Raises:
            ModelError, DoesNotFitError, UsageError: it cannot be opened.
        """
        return ModelsOpened.of(self._open_session())

    def work(self, request: Request | None, more: bool, seconds: float) -> WorkResult:
        """Search for a while, and to the end of a decode batch.

        Args:
            request: One more question, where there is one.
            more: Whether to return as soon as there is room, since there may be another.
            seconds: How long, otherwise.
        """
        if request is not None:
            self._requests.append(request)
        if self._running is None:
            driver = self._driver = self._open_session().driver(time.monotonic)
            self._running = driver.serve(self._next_requests(driver))
        end = time.monotonic() + seconds
        events: list[SearchEvent] = []
        for asked, event in self._running:
            events.append(SearchEvent.of(asked, event))
            if self._interrupted and self._driver is not None:  # while the models were opened, or before
                self._driver.interrupt()
            if (more and self._ready) or time.monotonic() > end:
                return WorkResult(tuple(events), self._ready)
        self._running = None
        return WorkResult(tuple(events), ready=True)

    def interrupt(self) -> None:
        """Stop all searches in the middle of their batch; ``work`` returns their ends."""
        self._interrupted = True
        if self._session is not None and self._driver is not None:
            self._driver.interrupt()
            self._session.abort.set()

    def _open_session(self) -> OpenSession:
        if self._session is None:
            for name, value in ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            from ..session import Session

            self._session = self._opening.enter_context(Session(self._options))
        return self._session

    def _next_requests(self, driver: Driver) -> Iterator[Request | None]:
        """Questions as the driver has room for them; a run ends where there is nothing to do."""
        while self._requests or driver.busy:
            self._ready = not self._requests
            yield None if self._ready else self._requests.popleft()


class _EnginePlace:
    """Where an engine runs: a node, or one of its GPUs. The engine is started again where it is lost."""

    def __init__(self, node: str, name: str, gpu: bool, options: SessionOptions) -> None:
        self.name = name
        self.ready = True
        self.flight: Flight
        self._node = node
        self._gpu = gpu
        self._options = options
        self._actor: Any = None

    def start(self) -> None:
        """Start an actor on the node."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.stop()
        self.ready = True
        self._actor = (
            ray.remote(Engine)
            .options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(self._node, soft=False),
                num_cpus=0,
                num_gpus=1 if self._gpu else 0,
                max_concurrency=_CONCURRENT_CALLS,
                max_restarts=0,
            )
            .remote(self._options)
        )

    def stop(self) -> None:
        """Kill it."""
        import ray

        actor, self._actor = self._actor, None
        if actor is not None:
            with suppress(Exception):  # a cluster that has gone away has no actor to kill
                ray.kill(actor)

    def call(self, method: str, *args: Any) -> Any:
        """Ray's reference to what a method of the engine will return."""
        return getattr(self._actor, method).remote(*args)

    def interrupt(self) -> None:
        """Stop its searches; an engine that is just started again has none."""
        actor = self._actor
        if actor is not None:
            actor.interrupt.remote()

    def result(self, reference: Any) -> Any:
        """The return value of a call.

        Raises:
            ModelError, DoesNotFitError, UsageError: its models cannot be opened.
            WorkerDiedError: the engine is lost, or has failed otherwise.
        """
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as exc:
            if isinstance(exc.cause, ModelError | DoesNotFitError | UsageError):
                raise exc.cause from None
            failure = explained(exc.cause, "")
            raise WorkerDiedError(f"the engine on {self.name} failed", failure.message) from exc
        except ray.exceptions.RayError as exc:
            raise WorkerDiedError(f"the engine on {self.name} was lost ({type(exc).__name__})") from exc


class Cluster:
    """Engines on all nodes of a Ray cluster; takes the place of a ``Worker``.

    Args:
        address: Of the cluster, or ``auto`` for the one that this machine belongs to.
        options: Of each session.
        status: Shows status lines. Nobody is asked for consent to downloads, since nobody sits at the nodes;
            llama.cpp's log is in Ray's logs.

    Attributes:
        open_models: The models, warnings and files of the sessions, the same everywhere.
        interrupted: Whether it was told to stop.

    Raises:
        UsageError: Ray is not installed or the cluster cannot be reached.
        ModelError: on entry; also where nodes have different model files.
    """

    def __init__(self, address: str, options: SessionOptions, status: Callable[[str], None]) -> None:
        self._address = address
        self._options = options
        self._status = status
        self._places: list[_EnginePlace] = []
        self._news: SimpleQueue[tuple[_EnginePlace, Any] | None] = SimpleQueue()
        self.open_models: ModelsOpened
        self.interrupted = False

    def __enter__(self) -> Self:
        _connect(self._address)
        try:
            self._places = _engine_places(self._options)
            self._status(f"Opening {len(self._places)} engines on the cluster...")
            for place in self._places:
                place.start()
            opening = [(place, place.call("open_models")) for place in self._places]
            opened: list[ModelsOpened] = [place.result(reference) for place, reference in opening]
            for kind in opened[0].conditions:
                _check_equal([_without_folders(each.conditions[kind].models) for each in opened])
            self.open_models = opened[0]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        import ray

        for place in self._places:
            place.stop()
        ray.shutdown()

    def interrupt(self) -> None:
        """Stop all searches; safe from any thread."""
        self.interrupted = True
        threading.Thread(target=self._send_interrupts, daemon=True).start()

    def _send_interrupts(self) -> None:
        try:
            for place in list(self._places):
                place.interrupt()
        finally:
            self._news.put(None)

    def serve(self, requests: Iterable[Request], *, retry: bool = False) -> Iterator[tuple[Problem, Event]]:
        """As ``Worker.serve``, all engines at once. One that is lost again and again is done without.

        Raises:
            WorkerDiedError: all of them are lost.
        """
        for place in self._places:
            place.flight = Flight()
        with QuestionSource(requests, wake=lambda: self._news.put(None)) as source:
            idle = list(self._places)
            while True:
                idle = [place for place in idle if not self._go_on(place, source)]
                if len(idle) == len(self._places) and (source.exhausted or self.interrupted):
                    return
                news = self._news.get()
                if news is None:
                    continue
                place, reference = news
                try:
                    result: WorkResult = place.result(reference)
                except WorkerDiedError as error:
                    yield from place.flight.lose(error, source, retry=retry)
                    idle += self._restart(place, error)
                    continue
                except (ModelError, DoesNotFitError, UsageError) as error:  # started again, it does not open
                    lost = WorkerDiedError(f"the engine on {place.name} cannot go on", error.message)
                    yield from place.flight.lose(lost, source, retry=retry)
                    self._remove(place, lost)
                    continue
                for happened in result.events:
                    event = happened.event()
                    yield place.flight.follow(happened.problem, event), event
                # An engine whose last search has ended reports what it was before that search began.
                place.ready = result.ready or not len(place.flight)
                idle.append(place)

    def _go_on(self, place: _EnginePlace, source: QuestionSource) -> bool:
        """Let an engine work, on one more question where there is one; False where it has nothing to do."""
        request = source.take() if place.ready and not self.interrupted else None
        if request is not None:
            place.flight.add(request)
        elif not len(place.flight):
            return False
        more = not (source.exhausted or self.interrupted)
        seconds = max(_CALL_SECONDS, len(self._places) / _CALLS_PER_SECOND)
        reference = place.call("work", request, more, seconds)
        reference.future().add_done_callback(lambda _: self._news.put((place, reference)))
        return True

    def _restart(self, place: _EnginePlace, error: WorkerDiedError) -> list[_EnginePlace]:
        """Start another engine in a place, where that is worth a try; the place is returned, or nothing.

        Raises:
            WorkerDiedError: no other place is left.
        """
        if self.interrupted or place.flight.may_restart:
            self._status(f"{error.message}; starting it again")
            place.start()
            return [place]
        self._remove(place, error)
        return []

    def _remove(self, place: _EnginePlace, error: WorkerDiedError) -> None:
        """Go on without a place.

        Raises:
            WorkerDiedError: no other is left.
        """
        self._places.remove(place)
        if not self._places:
            raise error
        self._status(f"{error.message}; going on without it")


def _connect(address: str) -> None:
    """Join a cluster as its driver.

    Raises:
        UsageError: Ray is not installed or nothing answers.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed", hint="pip install 'adascale[ray]'", slug="no-ray") from None
    try:
        _check_answers(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as exc:
        raise UsageError(
            f"no Ray cluster answers at {address}",
            str(exc).partition("\n")[0],
            hint="ray start --head on one machine, ray start --address HOST:6379 on the others",
            slug="no-cluster",
        ) from exc


def _check_answers(address: str) -> None:
    """Ray tries an address for minutes; whether anybody listens there is known at once."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


def _engine_places(options: SessionOptions) -> list[_EnginePlace]:
    """One for each GPU of a node, or for a node without; a cluster must be joined."""
    import ray

    places = []
    for node in ray.nodes():
        if node["Alive"]:
            gpus = int(node["Resources"].get("GPU", 0))
            name = node["NodeManagerHostname"]
            places += [_EnginePlace(node["NodeID"], name, gpus > 0, options) for _ in range(max(1, gpus))]
    return places


def _without_folders(models: ModelDescription) -> ModelDescription:
    """The same without the place of the calibration's file, which is another one on every node."""
    calibration = models.calibration
    return dataclasses.replace(models, calibration=calibration and {**calibration, "file": None})


def _check_equal(described: list[ModelDescription]) -> None:
    """Records of one run are made with the same things."""
    first = described[0]
    names = [field.name for field in dataclasses.fields(first)]
    for other in described[1:]:
        differ = [name for name in names if getattr(first, name) != getattr(other, name)]
        if differ:
            raise ModelError(
                f"the nodes differ in their {', '.join(differ)}",
                *(f"{getattr(first, name)} and {getattr(other, name)}" for name in differ),
                hint=f"{setting('generator')} as a name from the catalogue, "
                f"and the same {setting('ctx_size')} and files everywhere",
                slug="nodes-differ",
            )
