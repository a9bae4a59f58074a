"""Programs that ran: what is executed, what came of it, and the verdicts of tests on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from .codec import omit

TestOutcome = Literal["passed", "failed", "error", "time-limit", "not-run"]
"""Outcome of one test; ``not-run``: the run ended at an earlier test, or in the program itself."""

_KEPT = 1000
"""Characters of a detail as it is reported."""
_OUTCOMES: tuple[TestOutcome, ...] = get_args(TestOutcome)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of one test on a program.

    Attributes:
        outcome: ``passed``, or the way in which it failed.
        detail: For a failed test the ``repr`` of what the entry point gave last; where it was not called, of
            what was compared, or the message of the assert. For an error the last line of its traceback. At
            most 200 characters.
    """

    outcome: TestOutcome
    detail: str = ""

    @classmethod
    def reported(cls, report: Any) -> Self:
        """The verdict of what tests have reported: [outcome, detail].

        Raises:
            ValueError: it is something else, so a test has written it and not its harness.
        """
        match report:
            case [outcome, str(detail)] if outcome in _OUTCOMES:
                return cls(outcome, detail[:_KEPT])
        raise ValueError("a test reports what is no verdict")


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and the tests that judge it, which run behind it in one process.

    Attributes:
        program: Python source of the program.
        tests: Python source of each test, which finds the names of the program and raises where it fails.
    """

    program: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Execution:
    """Result of running a program.

    Attributes:
        output: Text that it printed, up to the point where it failed.
        error: Last line of the traceback; empty if it ran to its end.
        seconds: Wall time.
        program: Source of the program where tests judge it, as it was cut out of the text and mended; empty
            where the text holds none.
        verdicts: One for each test that was given, in their order.
    """

    output: str
    error: str
    seconds: float
    program: str = field(default="", metadata=omit(""))
    verdicts: tuple[Verdict, ...] = field(default=(), metadata=omit(()))

    @property
    def passed(self) -> int:
        """Number of tests that the program passes."""
        return sum(verdict.outcome == "passed" for verdict in self.verdicts)

    @property
    def passes(self) -> bool:
        """True if the program was tested and passes every test."""
        return bool(self.verdicts) and self.passed == len(self.verdicts)

    @property
    def fails(self) -> bool:
        """True if there is no program that tests could judge, or one that does not pass all of them."""
        return not self.program or self.passed < len(self.verdicts)
