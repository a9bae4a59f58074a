"""A bare CPython that runs programs of tests; nothing contains it."""

from __future__ import annotations

from adascale.engine.execution import Execution, Trial
from adascale.models.programs.cpython import CPythonRunner
from adascale.models.programs.sandbox import UNSANDBOXED, ProgramLimits

_RUNNER = CPythonRunner(UNSANDBOXED, ProgramLimits(seconds=20))


def run(program: str | Trial) -> Execution:
    """Run a program in a process of its own, or have tests judge it."""
    return _RUNNER.run(program) if isinstance(program, str) else _RUNNER.judge(program)
