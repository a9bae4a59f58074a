"""What executors of programs share: the limits of a program, and a thread that waits for each that runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Self

from adascale.engine.types import Execution, Mode

KILLED = "TimeoutError: killed"
"""The error of a program that did not end in time."""


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """What one program may use.

    Attributes:
        seconds: Of running.
        memory_bytes: Of its heap.
        output_bytes: Of what it prints.
        depth: Calls inside of calls.
    """

    seconds: float = 2.0
    memory_bytes: int = 128 << 20
    output_bytes: int = 64 << 10
    depth: int = 500


class ThreadedExecutor(ABC):
    """Implements ``engine.ports.Executor`` by ``run`` in threads; use as a context manager.

    Args:
        processes: Programs that run at the same time.
    """

    def __init__(self, processes: int) -> None:
        self._threads = ThreadPoolExecutor(processes)
        self._running: dict[Future[Execution], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    @abstractmethod
    def run(self, program: str) -> Execution:
        """Run one program to its end; its failure is in the execution, never raised."""

    def runner(self, mode: Mode) -> Callable[[str], Execution]:
        """What runs programs of this mode."""
        return self.run

    def submit(self, ticket: int, program: str, mode: Mode = "program") -> None:
        """Run a program as soon as a thread is free."""
        self._running[self._threads.submit(self.runner(mode), program)] = ticket

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """Executions that have ended since the last call, by ticket; with ``block`` at least one."""
        if block and self._running:
            wait(self._running, return_when=FIRST_COMPLETED)
        ended = [future for future in self._running if future.done()]
        return sorted(((self._running.pop(future), future.result()) for future in ended), key=lambda e: e[0])
