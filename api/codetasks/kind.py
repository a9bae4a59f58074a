"""Code: a task that a program answers, with tests that it has to pass (``engine.kinds``).

Solutions are programs; programs that pass as many of the given tests are equal, and hidden tests judge them.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace

from adascale.engine.answers.program import parse
from adascale.engine.codec import to_plain
from adascale.engine.kinds import NO_PROGRAM, Kind, Run
from adascale.engine.types import Execution, Finish, Mode, Problem, Trial, Verdict

from .program import extract_program, unparse
from .reading import read_task
from .task import CodeTask, CodeTest, Suite

UNTESTED = "untested"
"""Answer of a program of which nothing was tested."""


class Code(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The task of a record."""
        return dict(to_plain(read_task(record)))

    def statement(self, problem: Problem) -> str:
        """The question, and below it the tests that it does not show itself."""
        return CodeTask.of(problem).statement(problem.question)

    def tests(self, problem: Problem) -> tuple[str, ...]:
        """Sources of the given tests."""
        return tuple(test.source for test in CodeTask.of(problem).given.tests)

    def for_search(self, problem: Problem) -> Problem:
        """The problem without its hidden tests."""
        return replace(problem, details=to_plain(replace(CodeTask.of(problem), hidden=Suite())))

    def program(self, problem: Problem, text: str) -> str | Trial | Execution:
        """The program with its tests; without a test nothing of it is run."""
        suite = CodeTask.of(problem).given
        program = extract_program(text, suite.entry_point)
        if program is None:
            return replace(NO_PROGRAM, verdicts=(Verdict("not-run"),) * len(suite.tests))
        if not suite.tests:
            return Execution("", "", 0.0, program)
        return trial_of(program, suite)

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """``2/3`` for a program that passes two of three tests; None without a program."""
        if execution is None or not execution.program:
            return None
        return f"{execution.passed}/{len(execution.verdicts)}" if execution.verdicts else UNTESTED

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """The program."""
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
        return run(trial_of(execution.program, CodeTask.of(problem).hidden)).passes


# A program with its tests

_PYTEST = """\


class Raises_adascale:
    def __init__(self, expected, match):
        self.expected, self.pattern, self.type, self.value = expected, match, None, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            raise AssertionError(getattr(self.expected, "__name__", "an expected error") + " was not raised")
        self.type, self.value = kind, error
        if not isinstance(error, self.expected):
            return False
        return self.pattern is None or self.match(self.pattern)

    def match(self, pattern):
        import re
        if not re.search(pattern, str(self.value)):
            raise AssertionError(str(self.value))
        return True


class Approx_adascale:
    def __init__(self, expected, rel, least):
        self.expected, self.rel, self.least = expected, rel, least

    def __eq__(self, other):
        if isinstance(self.expected, dict):
            if self.expected.keys() != other.keys():
                return False
            return all([self.of(value) == other[key] for key, value in self.expected.items()])
        if isinstance(self.expected, (list, tuple)):
            near = [self.of(value) == found for value, found in zip(self.expected, other)]
            return len(self.expected) == len(other) and all(near)
        if self.expected == other:
            return True
        try:
            near = max(self.rel * abs(self.expected), self.least)
            return abs(self.expected - other) <= near < float("inf")
        except TypeError:  # no numbers
            return False

    def of(self, expected):
        return Approx_adascale(expected, self.rel, self.least)


class Param_adascale:
    def __init__(self, values):
        self.values = values


class Mark_adascale:
    def parametrize(self, argnames, argvalues, ids=None):
        is_text = isinstance(argnames, str)
        names = argnames.replace(",", " ").split() if is_text else argnames

        def decorate(test):
            def run(**given):
                for row in argvalues:
                    if isinstance(row, Param_adascale):
                        row = row.values
                    elif is_text and len(names) == 1:
                        row = [row]
                    test(**given, **dict(zip(names, row)))
            return run
        return decorate


class Pytest_adascale:
    def __init__(self):
        self.mark = Mark_adascale()

    def raises(self, expected, *call, match=None, **named):
        raising = Raises_adascale(expected, match)
        if not call:
            return raising
        with raising:
            call[0](*call[1:], **named)
        return raising

    def approx(self, expected, rel=None, abs=None):
        if rel is None:
            rel = 1e-6 if abs is None else 0
        return Approx_adascale(expected, rel, 1e-12 if abs is None else abs)

    def param(self, *values, id=None):
        return Param_adascale(values)


pytest = Pytest_adascale()
"""
"""The stand-in for pytest, which the sandbox does not have."""


def trial_of(program: str, suite: Suite) -> Trial:
    """A program with the tests that it has to pass."""
    return Trial(program, tuple(map(_runnable, suite.tests)))


def _runnable(test: CodeTest) -> str:
    """The source of a test that runs, and keeps the compared values for its verdict."""
    source = unparse([_Keeping().visit(node) for node in parse(test.text).body])
    return f"{_PYTEST}\n{source}" if "pytest" in source else source


class _Keeping(ast.NodeTransformer):
    """Names what an assert asks about: the left side of a comparison, or what should be true or false."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        match node.test:
            case ast.Compare(left) as test:
                test.left = _kept(left)
            case ast.UnaryOp(ast.Not(), operand) as test:
                test.operand = _kept(operand)
            case test:
                node.test = _kept(test)
        return node


def _kept(value: ast.expr) -> ast.expr:
    return ast.NamedExpr(ast.Name("asked_adascale", ast.Store()), value)
