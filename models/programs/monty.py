"""Runs programs of a model in pydantic-monty: a Python interpreter in Rust, in worker processes of its own.

A program sees no file, no network, no environment and no clock. What it may use is bounded twice: by the
interpreter, which raises inside of the program, and by the pool, which kills a worker that does not answer. A
session serves one program and is thrown away.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Self

import pydantic_monty as monty

from adascale.engine.ports import Execution

from .executor import ProgramLimits

_GRACE = 1.0
"""Seconds that the pool waits behind a limit of time before it kills the worker."""

_POLICY = monty.OSPolicy(
    datetime=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), sleep="zero", random_start={"seed": 0}
)
"""The same program prints the same, whenever it runs."""


class MontyExecutor:
    """Implements ``engine.ports.Executor``; use as a context manager.

    Args:
        processes: Programs that run at the same time.
        limits: Of each.
    """

    def __init__(self, processes: int = 1, limits: ProgramLimits = ProgramLimits()) -> None:
        self._limits = limits
        self._processes = processes
        self._stack = ExitStack()
        self._running: dict[Future[Execution], int] = {}

    def __enter__(self) -> Self:
        pool = monty.Monty(
            min_processes=self._processes,
            max_processes=self._processes,
            request_timeout=self._limits.seconds + 2 * _GRACE,
            max_checkouts_per_worker=1000,
            feed_duration_limit_grace=_GRACE,
        )
        self._pool = self._stack.enter_context(pool)
        self._threads = self._stack.enter_context(ThreadPoolExecutor(self._processes))
        return self

    def __exit__(self, *exc: object) -> None:
        for future in self._running:
            future.cancel()
        self._stack.close()

    def submit(self, ticket: int, program: str) -> None:
        """Run a program as soon as a process is free."""
        self._running[self._threads.submit(self._run, program)] = ticket

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """Executions that have ended since the last call, by ticket; with ``block`` at least one."""
        if block and self._running:
            wait(self._running, return_when=FIRST_COMPLETED)
        ended = [future for future in self._running if future.done()]
        return sorted(((self._running.pop(future), future.result()) for future in ended), key=lambda e: e[0])

    def _run(self, program: str) -> Execution:
        started = time.monotonic()
        printed = monty.CollectString(max_bytes=self._limits.output_bytes)
        error = ""
        try:
            self._feed(program, printed)
        except monty.MontySyntaxError as failure:
            error = failure.display("type-msg")
        except monty.MontyRuntimeError as failure:
            error = failure.display("type-msg")
        except monty.MontyCrashedError as failure:
            error = "TimeoutError: killed" if failure.timed_out else "the interpreter crashed"
        except (monty.MontyError, ValueError, TypeError, OSError, UnicodeError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Execution(printed.output, error, time.monotonic() - started)

    def _feed(self, program: str, printed: monty.CollectString) -> None:
        limits = monty.ResourceLimits(
            max_feed_duration_secs=self._limits.seconds,
            max_memory=self._limits.memory_bytes,
            max_recursion_depth=self._limits.depth,
            max_suspensions=1000,
        )
        with self._pool.checkout(limits=limits, os_policy=_POLICY) as session:
            session.feed_run(program, print_callback=printed)
