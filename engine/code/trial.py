"""What the tests of a task say of one program."""

from __future__ import annotations

from dataclasses import dataclass

from .harness import Verdict
from .repairs import Program

UNTESTED = "untested"
"""Outcome of a program of which nothing was tested."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and its verdicts.

    Attributes:
        program: As it was cut out of the text and repaired; None where the text holds none.
        verdicts: One for each test that is given, in their order; empty where none is.
    """

    program: Program | None
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> int:
        """How many tests it passes."""
        return sum(verdict.outcome == "passed" for verdict in self.verdicts)

    @property
    def passes(self) -> bool:
        """Whether it was tested and passes every test."""
        return bool(self.verdicts) and self.passed == len(self.verdicts)

    @property
    def fails(self) -> bool:
        """Whether there is no program, or one that does not pass every test that is given."""
        return self.program is None or self.passed < len(self.verdicts)

    @property
    def outcome(self) -> str | None:
        """``2/3`` where it passes two of three tests; None where there is no program."""
        if self.program is None:
            return None
        return f"{self.passed}/{len(self.verdicts)}" if self.verdicts else UNTESTED


def tests_of(outcome: str) -> tuple[int, int]:
    """How many tests a program passed, and how many there were, from ``Trial.outcome``."""
    passed, _, total = outcome.partition("/")
    return (0, 0) if outcome == UNTESTED else (int(passed), int(total))
