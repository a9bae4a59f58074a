"""Reads code tasks from records and questions, and their tests from Python source."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from doctest import DocTestParser

from adascale.engine.answers.program import called_names, names, parse, requires_arguments, try_parse
from adascale.engine.errors import UsageError, setting

from .program import outside_names, unparse
from .task import CodeTask, CodeTest, suite_of


def read_task(record: Mapping[str, object]) -> CodeTask:
    """The code task of a record.

    Args:
        record: ``tests`` and ``hidden`` are Python source, one text or a list of them; ``imports`` are lines
            that both need; ``entry_point`` is the function that they call.

    Raises:
        UsageError: a field has another form, or a test cannot be read.
    """
    setup = "\n".join(_sources(record, "imports"))
    _statements(setup, 'the field "imports"')
    entry_point = record.get("entry_point") or None
    if not isinstance(entry_point, str | None):
        raise UsageError('the field "entry_point" is no text', repr(entry_point), slug="bad-test")
    given, hidden = (suite_of(_tests(record, field, setup), entry_point) for field in ("tests", "hidden"))
    return CodeTask(given, hidden)


def task_of(question: str, tests: Sequence[CodeTest]) -> CodeTask:
    """The task of a question with these tests; without any its doctests are the tests.

    Raises:
        UsageError: a test ends alike whatever the program.
    """
    return CodeTask(suite_of(tests or _doctests(question)))


_FENCES = re.compile(r"^[ \t]*(?:```|~~~).*$|\"\"\"|'''", re.MULTILINE)


def _doctests(text: str) -> list[CodeTest]:
    """Calls of functions in a text, with the values that they give (``>>> f(2)``, below it ``4``)."""
    try:
        examples = DocTestParser().get_examples(_FENCES.sub("", text))
    except ValueError:  # an indentation of another form
        return []
    asserts = [f"assert ({each.source.strip()}) == ({each.want.strip()})" for each in examples if each.want]
    return [CodeTest(source) for source in asserts if _calls_a_program(source)]


def _calls_a_program(source: str) -> bool:
    """True if a source needs names that it calls, and no others: a variable is of an earlier line."""
    tree = try_parse(source)
    asked = set(outside_names(source)) if tree is not None else set()
    return tree is not None and bool(asked) and asked <= set(called_names(tree)) and "print(" not in source


def _tests(record: Mapping[str, object], field: str, setup: str) -> tuple[CodeTest, ...]:
    where = f'a source in the field "{field}"'
    return tuple(test for source in _sources(record, field) for test in read_tests(source, where, setup))


def _sources(record: Mapping[str, object], field: str) -> list[str]:
    match record.get(field):
        case None:
            return []
        case str(source):
            return [source] if source.strip() else []
        case [*sources] if all(isinstance(source, str) for source in sources):
            return [str(source) for source in sources]
        case other:
            raise UsageError(
                f'the field "{field}" is no list of Python sources', repr(other)[:200], slug="bad-test"
            )


# Tests in Python source: asserts, bare comparisons and test functions

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_PYTEST = frozenset({"approx", "mark", "param", "raises"})
"""Parts of pytest that tests may use, for which ``kind`` has a stand-in."""
_LIBRARIES = frozenset({"hypothesis", "numpy", "pandas", "requests", "scipy", "sklearn", "sympy", "torch"})
"""Any other module that is not in the standard library is the program under test."""
_NO_STEPS = frozenset({"pytest.main", "sys.path.append", "sys.path.insert", "unittest.main"})
"""Functions whose call is no part of a test."""
_SHOWN = 200
"""Characters of a source that an error shows."""


def read_tests(source: str, where: str = "the test", setup: str = "") -> tuple[CodeTest, ...]:
    """The tests in Python source; what is no test is the setup of each.

    Each module-level assert is a test, unless other statements use the program or stand behind an assert, or
    some asserts do not ask the program: those are the steps of one scenario, and one test. Tests are
    ``test_...`` functions, too.

    Args:
        source: Text of ``--test`` or of a file.
        where: Name of the source in an error.
        setup: Imports that it needs besides its own.

    Raises:
        UsageError: it is no Python, holds no test, or one that needs a library, a fixture or more of pytest
            than is known here.
    """
    body = _statements(source, where)
    functions = [node for node in body if _is_test(node)]
    checks = _checks(body)
    around = unparse([node for node in body if node not in functions and node not in checks])
    shared = "\n".join(filter(None, [setup, around]))
    tests = _module_tests([node for node in body if node not in functions], checks, setup)
    for node in functions:
        # Those of ``parametrize`` are given arguments.
        if not isinstance(node, ast.FunctionDef) or (requires_arguments(node) and not node.decorator_list):
            raise UsageError(
                f"{where}: classes, fixtures and async tests of pytest are not known here",
                ast.unparse(node)[:_SHOWN],
                hint="write a function test_f() with asserts, and build what it needs inside of it",
                slug="bad-test",
            )
        tests.append(CodeTest(f"{unparse([node])}\n{node.name}()", shared))
    if not tests:
        raise UsageError(
            f"{where} has no assert outside of functions and no test function",
            source.strip()[:_SHOWN] or "it is empty",
            hint=f"write {setting('test', 'assert f(2) == 4')}, or a function test_f() with asserts",
            slug="bad-test",
        )
    return tuple(tests)


def _is_test(node: ast.stmt) -> bool:
    """True for a function that pytest would call, and for a class that has one."""
    if isinstance(node, ast.ClassDef):
        return any(map(_is_test, node.body))
    return str(getattr(node, "name", "")).startswith("test")


def _statements(source: str, where: str) -> list[ast.stmt]:
    """Statements of a source in the form in which they can be tests, without what starts a test runner."""
    try:
        tree = parse(source)
    except SyntaxError as error:
        place = f" in line {error.lineno}" if error.lineno else ""
        raise UsageError(
            f"{where} is no Python: {error.msg}{place}",
            (error.text or source).strip()[:_SHOWN],
            slug="bad-test",
        ) from error
    stated = tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body
    kept = [_as_assert(node) for node in stated if not _starts_tests(node)]
    rewritten = _Imports(where).visit(ast.Module(kept, []))
    return [node for node in rewritten.body if not isinstance(node, ast.Pass)]


class _Imports(ast.NodeTransformer):
    """Rewrites imports of what is not there where programs run: the program under test, and pytest.

    Names of the program are asked for bare, ``solution.f`` as ``f``; an alias is an assignment. For pytest
    ``kind`` has a stand-in of that name.

    Args:
        where: Name of the source in an error.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._own = set[str]()

    def visit_Import(self, node: ast.Import) -> ast.stmt | list[ast.stmt]:
        there = [alias for alias in node.names if self._is_there(alias.name)]
        found: list[ast.stmt] = [ast.Import(there)] if there else []
        for alias in node.names:
            if alias.name == "pytest":
                found += [_assigned(alias.asname, "pytest")] if alias.asname else []
            elif alias not in there:
                self._own.add(alias.asname or alias.name)
        return found or ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        module = "" if node.level else node.module or ""
        if module == "__future__":
            return ast.Pass()
        if module and module != "pytest" and self._is_there(module):
            return node
        start = "pytest." if module == "pytest" else ""
        if start:
            for alias in node.names:
                self._check(alias.name, _PYTEST, node)
        return [
            _assigned(alias.asname or alias.name, f"{start}{alias.name}")
            for alias in node.names
            if start or alias.asname
        ] or ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        match ast.unparse(node.value):
            case "pytest":
                self._check(node.attr, _PYTEST, node)
            case "pytest.mark":
                self._check(node.attr, {"parametrize"}, node)
            case module if module in self._own:
                return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node

    def _is_there(self, module: str) -> bool:
        top = module.split(".")[0]
        if top in _LIBRARIES:
            raise UsageError(
                f"{self._where} imports {module}, and programs run with the standard library alone",
                hint="write what it is needed for in plain Python",
                slug="bad-test",
            )
        return top in sys.stdlib_module_names

    def _check(self, name: str, known: Collection[str], node: ast.AST) -> None:
        if name not in known:
            raise UsageError(
                f"{self._where} needs more of pytest than is known here",
                ast.unparse(node),
                hint="known are pytest.raises, pytest.approx, pytest.param and pytest.mark.parametrize",
                slug="bad-test",
            )


def _assigned(name: str, value: str) -> ast.stmt:
    return ast.parse(f"{name} = {value}").body[0]


def _as_assert(node: ast.stmt) -> ast.stmt:
    match node:
        case ast.Expr(ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) as condition):
            return ast.copy_location(ast.Assert(condition), node)
    return node


def _starts_tests(node: ast.stmt) -> bool:
    """True if a statement calls a test function or a runner, or says where to import from."""
    match node:
        case ast.Expr(ast.Call(function)):
            called = ast.unparse(function)
            return called in _NO_STEPS or (isinstance(function, ast.Name) and called.startswith("test"))
        case ast.If(test):
            return ast.unparse(test).replace('"', "'") == "__name__ == '__main__'"
    return False


def _checks(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Statements of a module that hold an assert, or call a function that does, or ``pytest.raises``."""
    helpers = {"pytest.raises"} | {
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef) and any(isinstance(part, ast.Assert) for part in ast.walk(node))
    }

    def is_check(part: ast.AST) -> bool:
        match part:
            case ast.Assert():
                return True
            case ast.Call(function):
                return ast.unparse(function) in helpers
        return False

    return [
        node for node in body if not isinstance(node, _DEFINITIONS) and any(map(is_check, ast.walk(node)))
    ]


def _module_tests(body: Sequence[ast.stmt], checks: Sequence[ast.stmt], setup: str) -> list[CodeTest]:
    """A test for each assert, or one for all steps, of the statements outside of test functions."""
    if not checks:
        return []
    steps = [node for node in body if not isinstance(node, _DEFINITIONS)]
    asked = set(outside_names(unparse(body)))
    first = steps.index(checks[0])
    # An assert may look at what another step has changed.
    if any(asked.intersection(names(node)) for node in steps[:first]) or not all(
        isinstance(node, ast.Assert) and asked.intersection(names(node)) for node in steps[first:]
    ):
        at = body.index(steps[0])  # what is defined behind a step may need it
        return [CodeTest(unparse(body[at:]), "\n".join(filter(None, [setup, unparse(body[:at])])))]
    around = "\n".join(filter(None, [setup, unparse([node for node in body if node not in checks])]))
    return [CodeTest(ast.unparse(node), around) for node in checks]
