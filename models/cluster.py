"""Workers on the nodes of a Ray cluster, as if they were one: an engine for each GPU, or for the node.

Questions are pulled: each engine asks for one more when it has room, so that a fast node gets more of them.
What a node was searching when it was lost ends as interrupted; all else goes to the others.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from typing import Any, Self

from adascale.engine.errors import AdascaleError, ModelError, UsageError, WorkerDiedError
from adascale.engine.events import Event
from adascale.engine.settings import Settings
from adascale.engine.types import Problem

from .remote import Worker
from .session_options import Reporting, SessionOptions
from .worker import Server

_AT_ONCE = 256
"""Messages that one call brings at most."""

_KNOCK_SECONDS = 10.0

_CALLS = 4
"""Calls that an actor answers at the same time: one waits for messages while others bring them."""


class Host:
    """An actor that serves as a worker; messages come and go by calls."""

    def __init__(self) -> None:
        self._out: SimpleQueue[Any] = SimpleQueue()
        self._server = Server(self._out.put)
        threading.Thread(target=self._server.serve, daemon=True).start()

    def put(self, message: Any) -> None:
        """A message of the parent."""
        self._server.take(message)

    def take(self) -> list[Any]:
        """Messages for the parent, as soon as there are any."""
        found = [self._out.get()]
        while len(found) < _AT_ONCE and not self._out.empty():
            found.append(self._out.get())
        return found


class RayLink:
    """The way to a worker on one node; implements ``link.Link``.

    Args:
        node: Ray's id of the node.
        name: What it is called in messages.
        gpu: Whether the worker gets a GPU of its own.
    """

    def __init__(self, node: str, name: str, gpu: bool) -> None:
        self._node = node
        self._name = name
        self._gpu = gpu
        self._actor: Any = None
        self._held: deque[Any] = deque()

    def start(self) -> None:
        """Start an actor on the node."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.stop()
        self._held.clear()
        self._actor = (
            ray.remote(Host)
            .options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(self._node, soft=False),
                num_cpus=0,
                num_gpus=1 if self._gpu else 0,
                max_concurrency=_CALLS,
                max_restarts=0,
            )
            .remote()
        )

    def stop(self) -> None:
        """Kill it."""
        import ray

        actor, self._actor = self._actor, None
        if actor is not None:
            with suppress(Exception):  # a cluster that has gone away has no actor to kill
                ray.kill(actor)

    def send(self, message: Any) -> None:
        """Call the actor with it."""
        self._call(lambda actor: actor.put.remote(message))

    def receive(self) -> Any:
        """What the actor has to say next."""
        while not self._held:
            self._held += self._call(lambda actor: actor.take.remote())
        return self._held.popleft()

    def _call(self, call: Callable[[Any], Any]) -> Any:
        import ray

        actor = self._actor
        assert actor is not None, "the worker is open"
        try:
            return ray.get(call(actor))
        except ray.exceptions.RayError as exc:
            raise WorkerDiedError(f"the engine on {self._name} was lost ({type(exc).__name__})") from exc


class Cluster:
    """Workers on all nodes of a Ray cluster; takes the place of a ``Worker``.

    Args:
        address: Of the cluster, or ``auto`` for the one that this machine belongs to.
        options: Of each session.
        reporting: Told what the workers do. Downloads are not asked for: nobody sits at the nodes.

    Raises:
        UsageError: Ray is not installed or the cluster cannot be reached.
        ModelError: on entry; also where nodes have different model files.
    """

    def __init__(self, address: str, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self._address = address
        self._options = options
        self._reporting = reporting
        self._workers: list[Worker] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            _connect(self._address)
            stack.callback(_disconnect)
            reporting = Reporting(self._reporting.status, log=self._reporting.log)
            links = _links()
            self._reporting.status(f"Opening {len(links)} engines on the cluster...")
            self._workers = [Worker(self._options, reporting, link) for link in links]
            _all(stack.enter_context, self._workers)
            _check_equal([worker.describe() for worker in self._workers])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def opened(self) -> Any:
        """What was opened, the same everywhere."""
        return self._workers[0].opened

    @property
    def interrupted(self) -> bool:
        """Whether it was told to stop."""
        return self._workers[0].interrupted

    def describe(self) -> Mapping[str, Any]:
        """Generator, PRM, calibration and sampling, for the event log."""
        return self._workers[0].describe()

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """Code and text of what does not match."""
        return self._workers[0].warnings

    def interrupt(self) -> None:
        """Stop all searches; safe from any thread."""
        for worker in self._workers:
            worker.interrupt()

    def run(self, problems: Iterable[Problem], settings: Settings) -> Iterator[tuple[Problem, Event]]:
        """As ``Worker.run``, all workers at once. A worker that is lost for good is done without.

        Raises:
            WorkerDiedError: all of them are lost.
        """
        pool, workers = _Pool(iter(problems)), list(self._workers)
        while workers:
            lost: list[tuple[Worker, WorkerDiedError]] = []
            yield from _together(workers, pool, settings, lost)
            for worker, error in lost:
                workers.remove(worker)
                pool.give_back(worker.unbegun)
                if not workers:
                    raise error
            if not pool.returned or self.interrupted:
                return


class _Pool:
    """Questions that several threads draw from."""

    def __init__(self, problems: Iterator[Problem]) -> None:
        self._problems = problems
        self._lock = threading.Lock()
        self.returned: deque[Problem] = deque()

    def give_back(self, problems: Iterable[Problem]) -> None:
        """These were drawn and not asked."""
        with self._lock:
            self.returned += problems

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Problem:
        with self._lock:
            return self.returned.popleft() if self.returned else next(self._problems)


def _together(
    workers: list[Worker], pool: _Pool, settings: Settings, lost: list[tuple[Worker, WorkerDiedError]]
) -> Iterator[tuple[Problem, Event]]:
    """What all workers say until none has anything to do; those that died too often go into ``lost``."""
    said: SimpleQueue[tuple[Problem, Event] | BaseException | None] = SimpleQueue()

    def follow(worker: Worker) -> None:
        try:
            for item in worker.run(pool, settings):
                said.put(item)
        except WorkerDiedError as error:
            lost.append((worker, error))
        except BaseException as error:
            said.put(error)
        finally:
            said.put(None)

    for worker in workers:
        threading.Thread(target=follow, args=(worker,), daemon=True).start()
    running = len(workers)
    while running:
        item = said.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            running -= 1
        else:
            yield item


def _connect(address: str) -> None:
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed", hint="pip install 'adascale[ray]'", slug="no-ray") from None
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as exc:
        raise UsageError(
            f"no Ray cluster answers at {address}",
            str(exc).partition("\n")[0],
            hint="ray start --head on one machine, ray start --address HOST:6379 on the others",
            slug="no-cluster",
        ) from exc


def _knock(address: str) -> None:
    """Ray tries an address for minutes; whether anybody listens there is known at once."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _links() -> list[RayLink]:
    """One for each GPU of a node, or for the node."""
    import ray

    found = []
    for node in ray.nodes():
        if node["Alive"]:
            gpus = int(node["Resources"].get("GPU", 0))
            name = node["NodeManagerHostname"]
            found += [RayLink(node["NodeID"], name, gpus > 0) for _ in range(max(1, gpus))]
    return found


def _all(enter: Callable[[Worker], Any], workers: list[Worker]) -> None:
    """Open them at the same time; the first error counts."""
    errors: list[AdascaleError] = []

    def open_one(worker: Worker) -> None:
        try:
            enter(worker)
        except AdascaleError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _check_equal(described: list[Mapping[str, Any]]) -> None:
    """Records of one run are made with the same things."""
    first = described[0]
    for other in described[1:]:
        differ = [name for name in {**first, **other} if first.get(name) != other.get(name)]
        if differ:
            raise ModelError(
                f"the nodes differ in their {', '.join(differ)}",
                *(f"{first.get(name)} and {other.get(name)}" for name in differ),
                hint="--generator as a name from the catalogue, and the same --ctx-size and files everywhere",
                slug="nodes-differ",
            )
