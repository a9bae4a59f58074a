"""The way to a worker on a node of a Ray cluster: an actor that serves, and calls that bring messages."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from adascale.engine.errors import UsageError, WorkerDiedError

from .server import Server

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


def connect(address: str) -> None:
    """Join a cluster as its driver.

    Raises:
        UsageError: Ray is not installed or nothing answers.
    """
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


def disconnect() -> None:
    """Leave it; its actors end."""
    import ray

    ray.shutdown()


def links_to_all() -> list[RayLink]:
    """One for each GPU of a node, or for a node without; a cluster must be joined."""
    import ray

    found = []
    for node in ray.nodes():
        if node["Alive"]:
            gpus = int(node["Resources"].get("GPU", 0))
            name = node["NodeManagerHostname"]
            found += [RayLink(node["NodeID"], name, gpus > 0) for _ in range(max(1, gpus))]
    return found
