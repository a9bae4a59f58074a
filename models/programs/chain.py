"""Two interpreters as one executor: what monty cannot run is asked of CPython, where a sandbox holds it.

The source of a code task runs to its end where every test passes, and nowhere else. So a pass in monty is
final, and whatever else it says is asked of CPython (decision 0017). Programs that compute an answer stay in
monty: calibrations have seen what fails there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property

from adascale.engine.errors import AdascaleError
from adascale.engine.types import Execution, Mode

from .cpython import CPythonExecutor
from .detection import find_sandbox
from .executor import ProgramLimits, ThreadedExecutor
from .monty import MontyExecutor
from .sandboxes import Sandbox


class ChainExecutor(ThreadedExecutor):
    """Implements ``engine.ports.Executor``; use as a context manager.

    Args:
        find: Gives the sandbox of CPython, or raises an AdascaleError where none holds. Called when the first
            program needs it, as trying sandboxes takes a while.
        processes: Programs that run at the same time.
        limits: Of each.
    """

    def __init__(
        self,
        find: Callable[[], Sandbox] = find_sandbox,
        processes: int = 1,
        limits: ProgramLimits = ProgramLimits(),
    ) -> None:
        super().__init__(processes)
        self._find = find
        self._limits = limits
        self._opened = ExitStack()
        self._monty = self._opened.enter_context(MontyExecutor(processes, limits))
        self._find_lock = threading.Lock()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._opened.__exit__(None, None, None)

    def runner(self, mode: Mode) -> Callable[[str], Execution]:
        """Both interpreters for code tasks, monty for programs that compute an answer."""
        return self.run if mode == "code" else self._monty.run

    def run(self, program: str) -> Execution:
        """Run one program in monty, and in CPython where it failed there."""
        execution = self._monty.run(program)
        if not execution.error:
            return execution
        with self._find_lock:
            cpython = self._cpython
        return execution if cpython is None else cpython.run(program)

    @cached_property
    def _cpython(self) -> CPythonExecutor | None:
        try:
            return self._opened.enter_context(CPythonExecutor(self._find(), limits=self._limits))
        except AdascaleError:
            return None
