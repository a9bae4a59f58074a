"""The words of a code task: a test of a program, the suite of tests, and the task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from adascale.engine.answers.program import called_names, parse
from adascale.engine.codec import build, omitted, to_plain
from adascale.engine.errors import UsageError, setting
from adascale.engine.types import Problem

from .program import outside_names

_MOST_CHARACTERS = 2000
"""Characters of all tests that are shown: about 600 tokens, so that a long suite leaves a window to the
program."""


@dataclass(frozen=True, slots=True)
class CodeTest:
    """One test.

    Attributes:
        source: Statements that raise if a program is wrong: an assert, or a function with asserts and its
            call.
        setup: Statements that run before them: imports, helpers, data.
    """

    source: str
    setup: str = ""

    @property
    def text(self) -> str:
        """All that runs."""
        return f"{self.setup}\n{self.source}" if self.setup else self.source


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of a task, none or more.

    Attributes:
        tests: In the order in which they are given.
        entry_point: The function or class that they call; empty without tests.
    """

    tests: tuple[CodeTest, ...] = ()
    entry_point: str = ""


@dataclass(frozen=True, slots=True)
class CodeTask:
    """The tests of a task.

    Attributes:
        given: Tests that a search may run; without any a program stays untested.
        hidden: Tests that judge a program after the search, which never sees them.
    """

    given: Suite = Suite()
    hidden: Suite = omitted(Suite())

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """The task of a problem of the kind ``code``."""
        return build(cls, problem.details)

    def problem(self, id_: str, question: str) -> Problem:
        """The problem of asking for a program that passes the tests."""
        return Problem(id_, question, kind="code", details=to_plain(self))

    def statement(self, question: str) -> str:
        """The question with the tests that it does not show itself, or at least the name that they call."""
        cases: list[str] = []
        for test in self.given.tests:
            fits = sum(map(len, cases)) + len(test.source) <= _MOST_CHARACTERS
            if fits and _bare(test.source) not in _bare(question):
                cases.append(test.source)
        parts = [question.strip()]
        if cases:
            parts.append("\n".join(["Your code should pass these tests:", *cases]))
        elif self.given.entry_point and self.given.entry_point not in question:
            parts.append(f"Name it {self.given.entry_point}.")
        return "\n\n".join(parts)


def _bare(text: str) -> str:
    """A text without white space, and with one kind of quotes: tests are read and written anew."""
    return re.sub(r"\s+", "", text).replace('"', "'")


def suite_of(tests: Sequence[CodeTest], entry_point: str | None = None) -> Suite:
    """A suite of tests without copies; its entry point is the function that all of them name, else the first.

    Args:
        tests: Each of source that parses.
        entry_point: As the task has it; None reads it from the tests.

    Raises:
        UsageError: a test names nothing that a program could define, so that it ends alike whatever the
            program; or no test names the entry point.
    """
    unique = tuple(dict.fromkeys(tests))
    needs = [_program_names(test, entry_point) for test in unique]
    if not needs:
        return Suite((), entry_point or "")
    common = [name for name in needs[0] if all(name in names for names in needs)]
    if entry_point is not None and not any(entry_point in names for names in needs):
        raise UsageError(
            f'no test names the entry point "{entry_point}"',
            f"they name: {', '.join(dict.fromkeys(name for names in needs for name in names))}",
            slug="bad-test",
        )
    return Suite(unique, entry_point or (common or needs[0])[0])


def _program_names(test: CodeTest, entry_point: str | None) -> tuple[str, ...]:
    """Names that a test needs of the program, called ones first: arguments may be constants of the program.

    A task may ask for a function with the name of a builtin; then that is its entry point.
    """
    outside = outside_names(test.text, entry_point or "")
    if not outside:
        raise UsageError(
            "a test names nothing that a program could define, so it ends alike whatever the program",
            test.source,
            hint=f"call the function that the program should have: {setting('test', 'assert f(2) == 4')}",
            slug="bad-test",
        )
    calls = called_names(parse(test.text))
    return tuple(sorted(outside, key=lambda name: name not in calls))
