"""Code: a task that a program answers, with tests that it has to pass (``engine.kinds``).

Trajectories are programs; those that pass as many of the given tests are equal, and hidden tests judge them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adascale.engine.codec import to_plain
from adascale.engine.execution import Execution, Verdict
from adascale.engine.kinds.base import NO_PROGRAM, Kind, Run, Runnable
from adascale.engine.types import Finish, Mode, Problem

from .harness import Harness
from .program import extract_program
from .records import read_task
from .task import CodeTask, Suite

UNTESTED = "untested"
"""Answer of a program of which nothing was tested."""


@dataclass(frozen=True, slots=True)
class _Tested(Runnable):
    """A program with its tests."""

    harness: Harness

    def ran(self, execution: Execution) -> Execution:
        """Output of the program itself, and the verdicts of its tests."""
        return Execution(
            execution.output,
            execution.error,
            execution.seconds,
            self.harness.program,
            self.harness.verdicts(execution),
        )


class Code(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The task of a record."""
        details: Mapping[str, object] = to_plain(read_task(question, record))
        return details

    def statement(self, problem: Problem) -> str:
        """The question, and below it the tests that it does not show itself."""
        return CodeTask.of(problem).statement(problem.question)

    def tests(self, problem: Problem) -> tuple[str, ...]:
        """Sources of the given tests."""
        return tuple(test.source for test in CodeTask.of(problem).given.tests)

    def for_search(self, problem: Problem) -> Problem:
        """The problem without its hidden tests."""
        return replace(problem, details=to_plain(replace(CodeTask.of(problem), hidden=Suite())))

    def program(self, problem: Problem, text: str) -> Runnable | Execution:
        """The program with its tests; without a test nothing of it is run."""
        suite = CodeTask.of(problem).given
        program = extract_program(text, suite.entry_point)
        if program is None:
            return replace(NO_PROGRAM, verdicts=(Verdict("not-run"),) * len(suite.tests))
        if not suite.tests:
            return Execution("", "", 0.0, program)
        harness = Harness(program, suite)
        return _Tested(harness.trial, harness)

    def modes(self, problem: Problem) -> tuple[Mode, ...]:
        """Code alone."""
        return ("code",)

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """``2/3`` for a program that passes two of three tests; None without a program."""
        if execution is None or not execution.program:
            return None
        return f"{execution.passed}/{len(execution.verdicts)}" if execution.verdicts else UNTESTED

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """The program, as it was repaired."""
        return None if execution is None else execution.program or None

    def is_judged(self, problem: Problem) -> bool:
        """True if there are hidden tests."""
        return bool(CodeTask.of(problem).hidden.tests)

    def is_right(
        self, problem: Problem, answer: str | None, execution: Execution | None, run: Run | None
    ) -> bool:
        """True if the program passes every hidden test."""
        assert run is not None, "hidden tests need something that runs them"
        if execution is None or not execution.program:
            return False
        harness = Harness(execution.program, CodeTask.of(problem).hidden)
        return all(verdict.outcome == "passed" for verdict in harness.verdicts(run(harness.trial)))


KIND = Code()
