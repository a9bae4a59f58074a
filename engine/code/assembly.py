"""Tests of any source as one suite, which calls one entry point of the program."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError, setting
from .imports import missing_modules
from .suite import CodeTest, Suite
from .syntax import below_future, called_names, normal_form, outside_names, parse


def suite_of(tests: Sequence[CodeTest], entry_point: str | None = None) -> Suite:
    """A suite of tests without copies; its entry point is the function that all of them name, else the first.

    Modules of the standard library that a test asks for and forgot to import are imported.

    Args:
        tests: Each of source that parses.
        entry_point: As the task has it; None reads it from the tests.

    Raises:
        UsageError: a test names nothing that a program could define, so that it ends alike whatever the
            program; or no test names the entry point.
    """
    unique: dict[str, CodeTest] = {}
    for test in map(_with_modules, tests):
        unique.setdefault(normal_form(test.text), test)
    needs = [_program_names(test, entry_point) for test in unique.values()]
    if not needs:
        return Suite((), entry_point or "")
    shared = [name for name in needs[0] if all(name in names for names in needs)]
    if entry_point is not None and not any(entry_point in names for names in needs):
        raise UsageError(
            f'no test names the entry point "{entry_point}"',
            f"they name: {', '.join(dict.fromkeys(name for names in needs for name in names))}",
            slug="bad-test",
        )
    return Suite(tuple(unique.values()), entry_point or (shared or needs[0])[0])


def _with_modules(test: CodeTest) -> CodeTest:
    """The test with imports of modules that it asks for and forgot (``math.isclose(f(2), 4)``)."""
    lines = [f"import {name}" for name in missing_modules(test.text)]
    return CodeTest(test.source, below_future("\n".join(lines), test.setup)) if lines else test


def _program_names(test: CodeTest, entry_point: str | None) -> tuple[str, ...]:
    """What a test needs of the program: first what it calls, as arguments may be constants of the program.

    A task may ask for a function that is named as a builtin; then its entry point says so.
    """
    needed = outside_names(test.text, () if entry_point is None else (entry_point,))
    if not needed:
        raise UsageError(
            "a test names nothing that a program could define, so it ends alike whatever the program",
            test.source,
            hint=f"call the function that the program should have: {setting('test', 'assert f(2) == 4')}",
            slug="bad-test",
        )
    called = called_names(parse(test.text))
    return tuple(sorted(needed, key=lambda name: name not in called))
