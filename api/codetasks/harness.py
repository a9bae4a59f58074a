"""A program and its tests as a trial, and the verdicts in what came of it.

The source of the tests keeps to what both interpreters run: CPython, and the subset of pydantic-monty. It
runs behind the program, whose names it needs are there (``models.programs``). Each test is a function of its
own, so that its names stay its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from adascale.engine.answers.program import parse
from adascale.engine.execution import Execution, Trial, Verdict

from .syntax import bound_names, is_from_future, outside_names, unparse
from .task import Suite

_SHOWN = 200
"""Characters of a value or message that a verdict keeps."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

_HARNESS = """\
repr_adascale, str_adascale, type_adascale, isinstance_adascale = repr, str, type, isinstance
given_adascale, messages_adascale = [], []


def keep_adascale(value):
    given_adascale[:] = [value]
    return value


def call_adascale(function_adascale, *args, **kwargs):
    given_adascale.clear()
    return keep_adascale(function_adascale(*args, **kwargs))


def fail_adascale(message=""):
    messages_adascale.append(message)
    raise AssertionError(message)


def text_adascale(write, value):
    try:
        return str_adascale(write(value))[:200]
    except BaseException:
        return "<unprintable>"


def run_adascale(test):
    given_adascale.clear()
    messages_adascale.clear()
    verdict, detail = "passed", ""
    try:
        test()
    except BaseException as error:
        is_assert = isinstance_adascale(error, AssertionError)
        if is_assert and given_adascale:
            verdict, detail = "failed", text_adascale(repr_adascale, given_adascale[0])
        elif is_assert and messages_adascale:
            verdict, detail = "failed", text_adascale(str_adascale, messages_adascale[0])
        else:
            message = text_adascale(str_adascale, error)
            verdict, detail = "error", type_adascale(error).__name__ + (": " + message if message else "")
    report_adascale(verdict, detail)
"""
_PYTEST = """\
abs_adascale, all_adascale, dict_adascale = abs, all, dict
len_adascale, max_adascale, zip_adascale = len, max, zip
infinity_adascale = float("inf")


class Raises_adascale:
    def __init__(self, expected, match):
        self.expected, self.pattern, self.type, self.value = expected, match, None, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            fail_adascale(getattr(self.expected, "__name__", "an expected error") + " was not raised")
        self.type, self.value = kind, error
        if not isinstance_adascale(error, self.expected):
            return False
        return self.pattern is None or self.match(self.pattern)

    def match(self, pattern):
        import re
        if not re.search(pattern, str_adascale(self.value)):
            fail_adascale(str_adascale(self.value))
        return True


class Approx_adascale:
    def __init__(self, expected, rel, least):
        self.expected, self.rel, self.least = expected, rel, least

    def __eq__(self, other):
        if isinstance_adascale(self.expected, dict):
            if self.expected.keys() != other.keys():
                return False
            return all_adascale([self.of(value) == other[key] for key, value in self.expected.items()])
        if isinstance_adascale(self.expected, (list, tuple)):
            near = [self.of(value) == found for value, found in zip_adascale(self.expected, other)]
            return len_adascale(self.expected) == len_adascale(other) and all_adascale(near)
        if self.expected == other:
            return True
        try:
            near = max_adascale(self.rel * abs_adascale(self.expected), self.least)
            return abs_adascale(self.expected - other) <= near < infinity_adascale
        except TypeError:  # no numbers
            return False

    def of(self, expected):
        return Approx_adascale(expected, self.rel, self.least)


class Param_adascale:
    def __init__(self, values):
        self.values = values


class Mark_adascale:
    def parametrize(self, argnames, argvalues, ids=None):
        is_text = isinstance_adascale(argnames, str_adascale)
        names = argnames.replace(",", " ").split() if is_text else argnames

        def decorate(test):
            def run(*instance, **given):
                for row in argvalues:
                    if isinstance_adascale(row, Param_adascale):
                        row = row.values
                    elif is_text and len_adascale(names) == 1:
                        row = [row]
                    test(*instance, **given, **dict_adascale(zip_adascale(names, row)))
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
"""The stand-in for pytest, which is not installed where programs run."""


@dataclass(frozen=True, slots=True)
class Harness:
    """A program with the tests that it has to pass."""

    program: str
    suite: Suite

    @property
    def trial(self) -> Trial:
        """The trial that an executor runs."""
        shared: list[ast.stmt] = []
        runs: list[str] = []
        names = dict.fromkeys([self.suite.entry_point])
        for test in self.suite.tests:
            names |= dict.fromkeys(outside_names(test.text))
            body = parse(test.text).body
            shared += [node for node in body if _is_for_modules(node)]
            instrumented = _Instrumented(self.suite.entry_point, bound_names(body))
            steps = [instrumented.visit(node) for node in body if not _is_for_modules(node)]
            runs += [_as_function("test_adascale", steps), "run_adascale(test_adascale)"]
        future = [node for node in shared if is_from_future(node)]
        stars = [node for node in shared if not is_from_future(node)]
        pytest = _PYTEST if any("pytest" in test.text for test in self.suite.tests) else ""
        tests = "\n".join([unparse(future), _HARNESS, pytest, unparse(stars), *runs])
        return Trial(self.program, tests, tuple(names), len(self.suite.tests))

    def verdicts(self, execution: Execution) -> tuple[Verdict, ...]:
        """One verdict for each test, in their order, from running the trial."""
        found = [Verdict(each.outcome, _shown(each.detail)) for each in execution.verdicts]
        missing = len(self.suite.tests) - len(found)
        if missing:
            found += [_ending(execution), *[Verdict("not-run")] * (missing - 1)]
        return tuple(found)


def _ending(execution: Execution) -> Verdict:
    """The verdict of the test in which a run ended."""
    if execution.error.startswith("TimeoutError"):
        return Verdict("time-limit")
    return Verdict("error", _shown(execution.error) or "the program ended before its tests did")


def _shown(text: str) -> str:
    """A text as one line without addresses of objects, which differ from run to run."""
    return _ADDRESS.sub("", text.strip().split("\n")[0])[:_SHOWN]


class _Instrumented(ast.NodeTransformer):
    """Has calls of the entry point keep what they give, and failing asserts tell it.

    Args:
        entry_point: The function or class that the tests call.
        own: Names that the test binds at its own level, which is that of a function here.
    """

    def __init__(self, entry_point: str, own: Collection[str]) -> None:
        self._entry_point = entry_point
        self._own = own

    def visit_Global(self, node: ast.Global) -> ast.stmt:
        return ast.Nonlocal(node.names) if all(name in self._own for name in node.names) else node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == self._entry_point:
            return self._helper("call", node.func, *node.args, keywords=node.keywords)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        match node.value:  # of `Stack().pop()`, the object is not what is asked for
            case ast.Call(ast.Name(self._entry_point)):
                self.generic_visit(node.value)
            case _:
                self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.If:
        asks = ast.unparse(node.test)
        self.generic_visit(node)
        if ast.unparse(node.test) == asks and node.msg is None:
            node.test = self._keeping(node.test)
        fail = self._helper("fail", *([node.msg] if node.msg else []))
        return ast.If(ast.UnaryOp(ast.Not(), node.test), [ast.Expr(fail)], [])

    def _keeping(self, test: ast.expr) -> ast.expr:
        """A condition that keeps its left side, as it calls the entry point nowhere."""
        match test:
            case ast.Compare(left, operators, others):
                return ast.Compare(self._helper("keep", left), operators, others)
            case ast.UnaryOp(ast.Not(), operand):
                return ast.UnaryOp(ast.Not(), self._helper("keep", operand))
            case ast.Call():
                return self._helper("keep", test)
        return test

    def _helper(self, name: str, *arguments: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
        return ast.Call(ast.Name(f"{name}_adascale"), list(arguments), list(keywords))


def _as_function(name: str, body: Sequence[ast.stmt]) -> str:
    arguments = ast.arguments([], [], None, [], [], None, [])
    return unparse([ast.FunctionDef(name, arguments, list(body), [])])


def _is_for_modules(node: ast.stmt) -> bool:
    """True if a statement is one that no function may hold."""
    return isinstance(node, ast.ImportFrom) and (node.names[0].name == "*" or is_from_future(node))
