"""The words of a code task: a test of a program, the suite of tests that a task has, and the task."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..codec import OMIT_DEFAULT


@dataclass(frozen=True, slots=True)
class CodeTest:
    """One test.

    Attributes:
        source: Statements that raise where a program is wrong: an assert, or a function with asserts and its
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
        entry_point: The function or class that they call; empty where there is no test.
    """

    tests: tuple[CodeTest, ...] = ()
    entry_point: str = ""


_NO_TESTS = Suite()


@dataclass(frozen=True, slots=True)
class CodeTask:
    """The tests of a task.

    Attributes:
        given: Those that a search may run; none leaves a program untested.
        hidden: Those that judge a program afterwards; no search may see them.
    """

    given: Suite = _NO_TESTS
    hidden: Suite = field(default=_NO_TESTS, metadata=OMIT_DEFAULT)
