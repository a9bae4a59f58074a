"""Runs programs: those of ``ask`` in monty, those of code tasks in CPython under Landlock and seccomp.

Code tasks run in monty, too, where the system is not Linux. Programs that compute an answer run in monty
everywhere: calibrations have seen what fails there.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cached_property
from typing import Self

from adascale.engine.execution import Execution, Trial

from .cpython import CPythonRunner, find_sandbox
from .monty import MontyRunner
from .sandbox import UNSANDBOXED, ProgramLimits

_WAIT_SECONDS = 0.25
"""Longest wait for a program, which may take seconds: its search may be cancelled meanwhile."""


class ProgramExecutor:
    """Implements ``engine.ports.Executor``, one program after the other; use as a context manager.

    Args:
        unsandboxed: Run code tasks in CPython with limits alone.
        limits: Limits of each program.
    """

    def __init__(self, *, unsandboxed: bool = False, limits: ProgramLimits = ProgramLimits()) -> None:
        self._unsandboxed = unsandboxed
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
        """Run a program when those before it have ended.

        Raises:
            AdascaleError: no sandbox of this machine may hold it.
        """
        if isinstance(program, Trial):
            _ = self._judge
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
        """Run one program to its end, where ``submit`` would; raises as that does."""
        return self._monty.run(program) if isinstance(program, str) else self._judge.judge(program)

    @cached_property
    def _judge(self) -> CPythonRunner | MontyRunner:
        """Found with the first code task, as trying a sandbox takes a while."""
        if self._unsandboxed:
            return CPythonRunner(UNSANDBOXED, self._limits)
        return CPythonRunner(find_sandbox(), self._limits) if runs_in_cpython() else self._monty


def runs_in_cpython() -> bool:
    """True where code tasks run in CPython unless a user says otherwise, False where they run in monty."""
    return platform.system() == "Linux"
