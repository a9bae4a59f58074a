"""Workers on the nodes of a Ray cluster, as if they were one: an engine for each GPU, or for the node.

Questions are pulled: each engine asks for one more when it has room, so that a fast node gets more of them.
What a node was searching when it was lost ends as interrupted; all else goes to the others.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, Self

from adascale.engine.description import ModelDescription
from adascale.engine.errors import AdascaleError, ModelError, WorkerDiedError
from adascale.engine.remedies import setting
from adascale.engine.search.events import Event
from adascale.engine.search.settings import Settings
from adascale.engine.types import Problem

from ..options import Reporting, SessionOptions
from .client import Worker
from .raylink import connect, disconnect, links_to_all
from .server import Opened


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
            connect(self._address)
            stack.callback(disconnect)
            reporting = Reporting(self._reporting.status, log=self._reporting.log)
            links = links_to_all()
            self._reporting.status(f"Opening {len(links)} engines on the cluster...")
            self._workers = [Worker(self._options, reporting, link) for link in links]
            _all(stack.enter_context, self._workers)
            _check_equal([worker.opened.models for worker in self._workers])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def opened(self) -> Opened:
        """What was opened, the same everywhere."""
        return self._workers[0].opened

    @property
    def interrupted(self) -> bool:
        """Whether it was told to stop."""
        return self._workers[0].interrupted

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


def _check_equal(described: list[ModelDescription]) -> None:
    """Records of one run are made with the same things."""
    first = described[0]
    for other in described[1:]:
        names = (field.name for field in dataclasses.fields(first))
        differ = [name for name in names if getattr(first, name) != getattr(other, name)]
        if differ:
            raise ModelError(
                f"the nodes differ in their {', '.join(differ)}",
                *(f"{getattr(first, name)} and {getattr(other, name)}" for name in differ),
                hint=f"{setting('generator')} as a name from the catalogue, "
                f"and the same {setting('ctx_size')} and files everywhere",
                slug="nodes-differ",
            )
