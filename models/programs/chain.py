"""Two interpreters as one executor: what monty cannot run is asked of CPython, where a sandbox holds it.

A program that passes every test in monty passes; whatever else monty says of it is asked of CPython (decision
0017). Programs that compute an answer stay in monty: calibrations have seen what fails there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cached_property
from typing import Self

from adascale.engine.errors import AdascaleError
from adascale.engine.execution import Execution, Trial

from .cpython import CPythonRunner, find_sandbox
from .monty import MontyRunner
from .sandbox import ProgramLimits, Sandbox

_WAIT_SECONDS = 0.25
"""Longest wait for a program, which may take seconds: its search may be cancelled meanwhile."""


class ChainExecutor:
    """Implements ``engine.ports.Executor``, one program after the other; use as a context manager.

    Args:
        find: Gives the sandbox of CPython, or raises an AdascaleError where none holds. Called when the first
            program needs it, as trying sandboxes takes a while.
        limits: Limits of each program.
    """

    def __init__(
        self, find: Callable[[], Sandbox] = find_sandbox, limits: ProgramLimits = ProgramLimits()
    ) -> None:
        self._find = find
        self._limits = limits
        self._opened = ExitStack()
        self._monty = self._opened.enter_context(MontyRunner(limits))
        self._thread = ThreadPoolExecutor(1)
        self._opened.callback(self._thread.shutdown, cancel_futures=True)
        self._running: dict[int, Future[Execution]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Run a program when those before it have ended."""
        self._running[ticket] = self._thread.submit(self.run, program)

    def cancel(self, ticket: int) -> None:
        """Forget a program, and do not begin it; one that runs goes on to its end or limit."""
        self._running.pop(ticket).cancel()

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """Executions that have ended since the last call, by ticket; ``block`` waits a moment for one."""
        if block:
            wait(self._running.values(), _WAIT_SECONDS, FIRST_COMPLETED)
        ended = sorted(ticket for ticket, future in self._running.items() if future.done())
        return [(ticket, self._running.pop(ticket).result()) for ticket in ended]

    def run(self, program: str | Trial) -> Execution:
        """Run one program to its end in monty, and judge one that failed there in CPython; never raises."""
        if isinstance(program, str):
            return self._monty.run(program)
        execution = self._monty.judge(program)
        if execution.passed == program.count or self._cpython is None:
            return execution
        return self._cpython.judge(program)

    @cached_property
    def _cpython(self) -> CPythonRunner | None:
        try:
            return CPythonRunner(self._find(), self._limits)
        except AdascaleError:
            return None
