"""Workers on the nodes of a Ray cluster that act as one: a worker for each GPU, or for a node without one.

An engine is an actor with a ``Worker`` on its node; the worker restarts the model's process if it dies. If an
engine is lost, for example with its node, its questions go to the others, once.

Ray has no login and executes any code that a node sends, so the network of a cluster has to be trusted.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, Self

from adascale.engine.errors import (
    AdascaleError,
    ModelError,
    UsageError,
    WorkerDiedError,
    explained,
    setting,
)
from adascale.engine.request import Request
from adascale.engine.search.events import Event, ModelDescription, SearchFailed, SearchFinished
from adascale.engine.types import Problem

from ..machine import install_command
from ..options import SessionOptions
from .client import Questions, Worker, failed_log
from .server import ModelsOpened

_AT_ONCE = 8
"""Most questions of an engine at once; its worker begins each when the decode batch has room."""

_CONNECT_SECONDS = 10.0

_POLL_SECONDS = 0.02
"""Pause between two checks for a new question, if no search has ended."""


class Engine:
    """An actor that searches with a worker of its node; ``open_models`` is its first call.

    Args:
        options: Options of the session.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._worker = Worker(options)  # ends with this process
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._logs: dict[str, Future[list[Event]]] = {}

    def open_models(self) -> ModelsOpened:
        """Open the models.

        Raises:
            ModelError, DoesNotFitError, UsageError: they cannot be opened.
        """
        self._worker.__enter__()
        threading.Thread(target=self._run, daemon=True).start()
        return self._worker.open_models

    def search(self, request: Request) -> list[Event]:
        """The log of one search; empty if the engine was interrupted before it began."""
        log = self._logs[request.problem.id] = Future[list[Event]]()
        self._requests.put(request)
        return [] if self._worker.interrupted else log.result()

    def interrupt(self) -> None:
        """Stop all searches in the middle of their batch; each ``search`` returns."""
        self._worker.interrupt()
        self._requests.put(None)

    def _run(self) -> None:
        """Search until the engine is interrupted; if the worker cannot go on, the actor's process ends."""
        logs: dict[str, list[Event]] = {}
        try:
            for problem, event in self._worker.serve(iter(self._requests.get, None), retry=True):
                if event.seq == 0:  # the first event, also of a search that is repeated
                    logs[problem.id] = []
                logs[problem.id].append(event)
                if isinstance(event, SearchFinished | SearchFailed):
                    self._logs.pop(problem.id).set_result(logs.pop(problem.id))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        for log in list(self._logs.values()):
            log.set_result([])


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """An engine in the cluster.

    Attributes:
        node: Name of its node.
        engine: Ray's handle of the actor.
    """

    node: str
    engine: Any

    def result(self, reference: Any) -> Any:
        """The result of a call.

        Raises:
            AdascaleError: its models cannot be opened.
            WorkerDiedError: the engine is lost.
        """
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as exc:
            raise explained(exc.cause, "") from exc
        except ray.exceptions.RayError as exc:
            raise WorkerDiedError(f"the engine on {self.node} was lost ({type(exc).__name__})") from exc

    def kill(self) -> None:
        """End the engine, and its worker with it."""
        import ray

        with suppress(Exception):  # the cluster may be gone
            ray.kill(self.engine)


class Cluster:
    """Engines on all nodes of a Ray cluster; takes the place of a ``Worker``.

    Args:
        address: Address of the cluster, or ``auto`` for the cluster of this machine.
        options: Options of each session.
        status: Shows status lines. Downloads ask for no consent, as nobody sits at the nodes; Ray's logs have
            llama.cpp's.

    Attributes:
        open_models: The models, warnings and files of the sessions, which are the same on all nodes.
        interrupted: True after ``interrupt``.

    Raises:
        UsageError: Ray is not installed or the cluster cannot be reached.
        ModelError: on entry; also if nodes have different model files.
    """

    def __init__(self, address: str, options: SessionOptions, status: Callable[[str], None]) -> None:
        self._address = address
        self._options = options
        self._status = status
        self._members: list[_Member] = []
        self.open_models: ModelsOpened
        self.interrupted = False

    def __enter__(self) -> Self:
        _connect(self._address)
        try:
            self._members = _start_engines(self._options)
            self._status(f"Opening {len(self._members)} engines on the cluster...")
            opening = [(member, member.engine.open_models.remote()) for member in self._members]
            opened = [member.result(reference) for member, reference in opening]
            _check_alike(opened)
            self.open_models = opened[0]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        import ray

        for member in self._members:
            member.kill()
        ray.shutdown()

    def interrupt(self) -> None:
        """Stop all searches; safe from any thread."""
        self.interrupted = True
        # A signal handler calls this, and may have stopped a thread inside of Ray.
        stop = [member.engine.interrupt.remote for member in self._members]
        threading.Thread(target=lambda: [call() for call in stop], daemon=True).start()

    def serve(self, requests: Iterable[Request], *, retry: bool = False) -> Generator[tuple[Problem, Event]]:
        """As ``Worker.serve``, on all engines; yields the events of a search when it has ended.

        Raises:
            WorkerDiedError: all engines are lost.
        """
        import ray

        calls: dict[Any, tuple[_Member, Request]] = {}
        questions = Questions(requests)
        while True:
            while (member := self._freest(calls)) is not None and (request := questions.take()) is not None:
                calls[member.engine.search.remote(request)] = member, request
            if not calls:
                if questions.exhausted or self.interrupted:
                    return
                time.sleep(_POLL_SECONDS)
                continue
            for reference in ray.wait(list(calls), timeout=_POLL_SECONDS)[0]:
                member, request = calls.pop(reference)
                log: list[Event] = []
                try:
                    log = member.result(reference)
                except AdascaleError as error:
                    self._remove(member, error)
                    if not self.interrupted and not (retry and questions.retry(request)):
                        log = failed_log(request, SearchFailed.of(error))
                yield from ((request.problem, event) for event in log)

    def _freest(self, calls: Mapping[Any, tuple[_Member, Request]]) -> _Member | None:
        """The engine with the fewest questions; None if all have ``_AT_ONCE``, or after an interruption."""
        counts = Counter(member for member, _ in calls.values())
        freest = min(self._members, key=counts.__getitem__)
        return freest if counts[freest] < _AT_ONCE and not self.interrupted else None

    def _remove(self, member: _Member, error: AdascaleError) -> None:
        """Go on without an engine.

        Raises:
            WorkerDiedError: there is no other.
        """
        if member not in self._members:  # removed for another of its questions
            return
        self._members.remove(member)
        member.kill()
        if not self._members:
            raise error
        self._status(f"{error.message}; going on without it")


def _connect(address: str) -> None:
    """Join a cluster as its driver.

    Raises:
        UsageError: Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed", hint=install_command("ray"), slug="no-ray") from None
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdecimal() and "/" not in host:  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as exc:
        raise UsageError(
            f"no Ray cluster answers at {address}",
            str(exc).partition("\n")[0],
            hint="ray start --head on one machine, ray start --address HOST:6379 on the others",
            slug="no-cluster",
        ) from exc


def _start_engines(options: SessionOptions) -> list[_Member]:
    """Start an engine for each GPU, and for each node without one; ``_connect`` comes first."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    members = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        gpus = int(node["Resources"].get("GPU", 0))
        engine = ray.remote(Engine).options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            num_cpus=0,
            num_gpus=min(1, gpus),
            max_concurrency=_AT_ONCE + 1,  # one call may interrupt the others
        )
        members += [_Member(node["NodeManagerHostname"], engine.remote(options)) for _ in range(max(1, gpus))]
    return members


def _check_alike(opened: list[ModelsOpened]) -> None:
    """Refuse nodes with different models or calibrations; the folders of calibrations may differ.

    Raises:
        ModelError: they differ.
    """

    def without_folder(models: ModelDescription) -> ModelDescription:
        return replace(models, calibration={**(models.calibration or {}), "file": ""})

    nodes = [[without_folder(kind.models) for kind in models.conditions.values()] for models in opened]
    if any(node != nodes[0] for node in nodes):
        raise ModelError(
            "the nodes have different models or calibrations",
            hint=f"{setting('generator')} as a name from the catalogue, and the same {setting('ctx_size')} "
            "and files everywhere",
            slug="nodes-differ",
        )
