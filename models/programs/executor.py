"""Runs programs: those of ``ask`` in monty, those of code tasks in CPython under Landlock and seccomp.

Code tasks run in monty, too, where the system is not Linux. Programs that compute an answer run in monty
first, which takes 1 ms where a process takes 40; what fails there runs again in the sandbox of code tasks,
where there is one: monty lacks modules, methods and formats.

monty is a Python interpreter in Rust, in worker processes of its own. A program in it sees no file, no
network, no environment and no clock. What it may use is bounded twice: by the interpreter, which raises
inside of the program, and by the pool, which kills a worker that does not answer. A session serves one
program and is thrown away. The tests of a program run behind it in its session; so a program that is written
to cheat can.
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
"""Seconds that the pool waits behind a limit of time before it kills the worker."""

_SUSPENSIONS = 1000
"""Most times that a program asks for what is not there, as the clock of its limit stands still meanwhile."""

_CRASHED = "the interpreter crashed"
_POLICY = monty.OSPolicy(datetime="call_host", sleep="zero", random_start={"seed": 0})
"""The same program prints the same, whenever it runs; without a host, one that asks for the time fails."""


class MontyRunner(ExitStack):
    """Runs one program at a time; use as a context manager. Its process starts with the first program.

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
        """Run a program and its tests behind it in a session of its own; its failure is in the execution.

        There are fewer verdicts than tests where the trial ended before all were run.
        """
        verdicts: list[Verdict] = []
        started, error = time.monotonic(), ""
        printed = monty.CollectString(max_bytes=self._limits.output_bytes)
        try:
            with ExitStack() as opened:
                with without_stderr():  # a worker would tell a user's screen why it ends
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
        except RuntimeError:  # of a session whose worker has ended: out of memory, as a rule
            error = _CRASHED
        return Execution(printed.output, error, time.monotonic() - started, verdicts=tuple(verdicts))


def _verdict_on(error: str) -> Verdict:
    """The verdict of a test that has raised; monty tells what an assert has compared: ``assert 2 == 4``."""
    kind, _, message = error.partition(": ")
    if kind == "AssertionError":
        return Verdict("failed", message.removeprefix("assert "))
    return Verdict("error", error)


_SPENT = "TimeoutError", "MemoryError", _CRASHED
"""Beginnings of errors of a program that has used up its limits, as it would again."""

_WAIT_SECONDS = 0.25
"""Longest wait for a program, which may take seconds: its search may be cancelled meanwhile."""


class ProgramExecutor(ExitStack):
    """Implements ``engine.ports.Executor``, one program after the other; use as a context manager.

    Args:
        unsandboxed: Run code tasks in CPython with limits alone.
        limits: Limits of each program.
        waits_while: As long as this is true, ``collect`` waits for every program.
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
        while self._waits_while() and wait(self._running.values(), _WAIT_SECONDS).not_done:
            pass
        ended = sorted(ticket for ticket, future in self._running.items() if future.done())
        return [(ticket, self._running.pop(ticket).result()) for ticket in ended]

    def run(self, program: str | Trial) -> Execution:
        """Run one program to its end, where ``submit`` would; raises as that does."""
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
        """Found with the first code task, as trying a sandbox takes a while."""
        if not (self._unsandboxed or runs_in_cpython()):
            return self._monty
        if not self._unsandboxed:
            check_sandbox()
        return CPythonRunner(self._limits, sandboxed=not self._unsandboxed)


def runs_in_cpython() -> bool:
    """True where code tasks run in CPython unless a user says otherwise, False where they run in monty."""
    return platform.system() == "Linux"
