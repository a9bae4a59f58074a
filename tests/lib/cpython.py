"""A bare CPython that runs programs of tests; nothing contains it."""

from __future__ import annotations

from adascale.engine.types import Execution, Trial
from adascale.models.programs.cpython import CPythonRunner, ProgramLimits

_RUNNER = CPythonRunner(ProgramLimits(seconds=20), sandboxed=False)


def run(program: str | Trial) -> Execution:
    """Run a program, or have tests judge it."""
    return run_in(_RUNNER, program)


def run_in(runner: CPythonRunner, program: str | Trial) -> Execution:
    """As ``run``, in any runner."""
    if isinstance(program, str):
        return runner.judge(Trial(program, ()))
    return program.judged(runner.judge(program))
