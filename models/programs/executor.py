"""Runs programs: ``ask`` in monty, code tasks in CPython under Landlock and seccomp.

Programs that compute an answer run in monty first, which takes 1 ms instead of 40. Monty lacks modules,
methods and formats, so programs that fail there run again in the sandbox of code tasks, if there is one.
Systems other than Linux run code tasks in monty, too.

Monty is a Python interpreter in Rust, with its own worker processes. A program in it has no files, network,
environment or clock. Its limits are enforced twice: the interpreter raises an error in the program, and the
pool kills a worker that does not respond. Each program has a session of its own. Its tests run behind it in
that session, so a program that is written to cheat can.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cached_property

import pydantic_monty as monty

from adascale.engine.errors import UsageError
from adascale.engine.types import Execution, Trial, Verdict

from ..machine import without_stderr
from .cpython import KILLED, CPythonRunner, ProgramLimits, check_sandbox, why_not

_GRACE = 1.0
"""Seconds after the time limit at which the pool kills the worker."""

_SUSPENSIONS = 1000
"""Most calls of a program to a missing host; the clock of its limit stands still during them."""

_CRASHED = "the interpreter crashed"
_POLICY = monty.OSPolicy(datetime="call_host", sleep="zero", random_start={"seed": 0})
"""Makes programs repeatable: random numbers have a seed, and calls for the time fail without a host."""


class MontyRunner(ExitStack):
    """Runs one program at a time in monty; a context manager. Its process starts with the first program.

    Args:
        limits: Limits of each program.

    Raises:
        UsageError: the interpreter is not installed.
    """

    def __init__(self, limits: ProgramLimits = ProgramLimits()) -> None:
        super().__init__()
        self._limits = limits
        self._bounds = monty.ResourceLimits(
            max_feed_duration_secs=limits.seconds,
            max_memory=limits.memory_bytes,
            max_recursion_depth=limits.depth,
            max_suspensions=_SUSPENSIONS,
        )
        try:
            pool = monty.Monty(
                min_processes=0,
                max_processes=1,
                request_timeout=limits.seconds + 2 * _GRACE,
                feed_duration_limit_grace=_GRACE,
            )
        except FileNotFoundError as error:
            raise UsageError(
                "monty, which runs programs, has no executable in this environment",
                hint="pip install --force-reinstall pydantic-monty-runtime",
            ) from error
        self._pool = self.enter_context(pool)

    def judge(self, trial: Trial) -> Execution:
        """Run a program and its tests in a new session; the execution reports a failure.

        It has fewer verdicts than tests if it ended before all of them ran.
        """
        verdicts: list[Verdict] = []
        started, error = time.monotonic(), ""
        printed = monty.CollectString(max_bytes=self._limits.output_bytes)
        try:
            with ExitStack() as opened:
                with without_stderr():  # a worker prints why it ends
                    checkout = self._pool.checkout(limits=self._bounds, os_policy=_POLICY)
                    session = opened.enter_context(checkout)
                session.feed_run(trial.program, print_callback=printed)
                for test in trial.tests:
                    verdict = Verdict("passed")
                    try:
                        session.feed_run(test, print_callback=printed)
                    except (monty.MontySyntaxError, monty.MontyRuntimeError) as failure:
                        verdict = _verdict_on(failure.display("type-msg"))
                    if time.monotonic() > started + self._limits.seconds:
                        raise TimeoutError
                    verdicts.append(verdict)
        except (monty.MontySyntaxError, monty.MontyRuntimeError) as failure:
            error = failure.display("type-msg")
        except monty.MontyCrashedError as failure:
            error = KILLED if failure.timed_out else _CRASHED
        except TimeoutError:
            error = KILLED
        except (monty.MontyError, RecursionError, ValueError, TypeError, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        except RuntimeError:  # the worker of the session has ended, usually out of memory
            error = _CRASHED
        return Execution(printed.output, error, time.monotonic() - started, verdicts=tuple(verdicts))


def _verdict_on(error: str) -> Verdict:
    """The verdict of a test that raised an error; monty shows the values of an assert: ``assert 2 == 4``."""
    kind, _, message = error.partition(": ")
    if kind == "AssertionError":
        return Verdict("failed", message.removeprefix("assert "))
    return Verdict("error", error)


_SPENT = "TimeoutError", "MemoryError", _CRASHED
"""Beginnings of errors of a program that reached a limit; it does not run again."""

_WAIT_SECONDS = 0.25
"""Longest wait for a program, which may take seconds, as its search may be cancelled meanwhile."""


class ProgramExecutor(ExitStack):
    """Implements ``engine.ports.Executor``, one program after the other; a context manager.

    Args:
        unsandboxed: Run code tasks in CPython with limits only.
        limits: Limits of each program.
        waits_while: While this returns True, ``collect`` waits for every program.
    """

    def __init__(
        self,
        *,
        unsandboxed: bool = False,
        limits: ProgramLimits = ProgramLimits(),
        waits_while: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._unsandboxed = unsandboxed
        self._limits = limits
        self._waits_while = waits_while
        self._monty = self.enter_context(MontyRunner(limits))
        self._thread = ThreadPoolExecutor(1)
        self.callback(self._thread.shutdown, cancel_futures=True)
        self._running: dict[int, Future[Execution]] = {}

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Queue a program.

        Raises:
            AdascaleError: this machine has no sandbox for it.
        """
        if isinstance(program, Trial):
            _ = self._judge
        self._running[ticket] = self._thread.submit(self.run, program)

    def cancel(self, ticket: int) -> None:
        """Forget a program; if it runs already, it runs to its end or limit."""
        self._running.pop(ticket).cancel()

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """New executions in the order of their tickets; ``block`` waits a moment for one."""
        if block:
            wait(self._running.values(), _WAIT_SECONDS, FIRST_COMPLETED)
        while self._waits_while() and wait(self._running.values(), _WAIT_SECONDS).not_done:
            pass
        ended = sorted(ticket for ticket, future in self._running.items() if future.done())
        return [(ticket, self._running.pop(ticket).result()) for ticket in ended]

    def run(self, program: str | Trial) -> Execution:
        """Run one program to its end; raises as ``submit``."""
        if isinstance(program, Trial):
            return program.judged(self._judge.judge(program))
        trial = Trial(program, ())
        execution = self._monty.judge(trial)
        if not execution.error or execution.error.startswith(_SPENT):
            return execution
        if not runs_in_cpython() or why_not():
            return execution
        return CPythonRunner(self._limits).judge(trial)

    @cached_property
    def _judge(self) -> CPythonRunner | MontyRunner:
        """Runner of code tasks, chosen with the first one, as the check of a sandbox takes a while."""
        if not (self._unsandboxed or runs_in_cpython()):
            return self._monty
        if not self._unsandboxed:
            check_sandbox()
        return CPythonRunner(self._limits, sandboxed=not self._unsandboxed)


def runs_in_cpython() -> bool:
    """True if code tasks run in CPython by default, False if in monty."""
    return platform.system() == "Linux"
