"""Runs programs of a model in pydantic-monty: a Python interpreter in Rust, in worker processes of its own.

A program sees no file, no network, no environment and no clock. What it may use is bounded twice: by the
interpreter, which raises inside of the program, and by the pool, which kills a worker that does not answer. A
session serves one program and is thrown away.
"""

from __future__ import annotations

import datetime
import time
from typing import Self

import pydantic_monty as monty

from adascale.engine.types import Execution

from .sandbox import KILLED, ProgramLimits

_GRACE = 1.0
"""Seconds that the pool waits behind a limit of time before it kills the worker."""

_POLICY = monty.OSPolicy(
    datetime=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), sleep="zero", random_start={"seed": 0}
)
"""The same program prints the same, whenever it runs."""


class MontyRunner:
    """Runs one program at a time; use as a context manager. Its process starts with the first program.

    Args:
        limits: Limits of each program.
    """

    def __init__(self, limits: ProgramLimits = ProgramLimits()) -> None:
        self._limits = limits
        self._pool = monty.Monty(
            min_processes=0,
            max_processes=1,
            request_timeout=limits.seconds + 2 * _GRACE,
            max_checkouts_per_worker=1000,
            feed_duration_limit_grace=_GRACE,
        )

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.__exit__(*exc)

    def run(self, program: str) -> Execution:
        """Run one program in a session of its own; its failure is in the execution, never raised."""
        started = time.monotonic()
        printed = monty.CollectString(max_bytes=self._limits.output_bytes)
        error = ""
        try:
            self._feed(program, printed)
        except (monty.MontySyntaxError, monty.MontyRuntimeError) as failure:
            error = failure.display("type-msg")
        except monty.MontyCrashedError as failure:
            error = KILLED if failure.timed_out else "the interpreter crashed"
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
