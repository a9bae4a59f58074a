"""Reads code tasks from records, and their tests from Python source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence

from adascale.engine.answers.program import called_names, names, parse, requires_arguments
from adascale.engine.errors import UsageError, setting

from .program import unparse
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
    given, hidden = (
        suite_of(
            [
                test
                for source in _sources(record, field)
                for test in read_tests(source, f'a source in the field "{field}"', setup)
            ],
            entry_point,
        )
        for field in ("tests", "hidden")
    )
    return CodeTask(given, hidden)


def _sources(record: Mapping[str, object], field: str) -> list[str]:
    value = record.get(field) or []
    sources = [value] if isinstance(value, str) else value
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise UsageError(
            f'the field "{field}" is no list of Python sources', repr(value)[:200], slug="bad-test"
        )
    return sources


# Tests in Python source: asserts and test functions

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_PYTEST = frozenset(f"pytest.{part}" for part in ("approx", "mark", "mark.parametrize", "param", "raises"))
"""Parts of pytest that tests may use, for which ``kind`` has a stand-in."""
_LIBRARIES = frozenset({"hypothesis", "numpy", "pandas", "requests", "scipy", "sklearn", "sympy", "torch"})
"""Any other module that is not in the standard library is the program under test."""
_SHOWN = 200
"""Characters of a source that an error shows."""


def read_tests(source: str, where: str = "the test", setup: str = "") -> tuple[CodeTest, ...]:
    """The tests in Python source; definitions and imports are the setup of each.

    Each module-level assert is a test; with statements of another form between them all are one test, a
    scenario. So is each ``test_...`` function.

    Args:
        source: Text of ``--test`` or of a file.
        where: Name of the source in an error.
        setup: Imports that it needs besides its own.

    Raises:
        UsageError: it is no Python, holds no test, or one that needs a library, a fixture or more of pytest
            than this reader supports.
    """
    body = _statements(source, where)
    functions = [node for node in body if _is_test(node)]
    module = [node for node in body if node not in functions]
    steps = [node for node in module if not isinstance(node, _DEFINITIONS)]
    is_checked = _is_checked(module, steps)

    def test(own: Sequence[ast.stmt], around: Sequence[ast.stmt], call: str = "") -> CodeTest:
        shared = "\n".join(filter(None, [setup, unparse(around)]))
        return CodeTest(unparse(own) + call, shared)

    tests: list[CodeTest] = []
    if is_checked and all(isinstance(node, ast.Assert) for node in steps):
        definitions = [node for node in module if isinstance(node, _DEFINITIONS)]
        tests = [test([node], definitions) for node in steps]
    elif is_checked:
        at = module.index(steps[0])  # later definitions may need it
        tests = [test(module[at:], module[:at])]
    for node in functions:
        # Those of ``parametrize`` are given arguments.
        if not isinstance(node, ast.FunctionDef) or (requires_arguments(node) and not node.decorator_list):
            raise UsageError(
                f"{where}: classes, fixtures and async tests of pytest are not known here",
                ast.unparse(node)[:_SHOWN],
                hint="write a function test_f() with asserts, and build its data inside of it",
                slug="bad-test",
            )
        # Other calls run the tests, or set the path of imports.
        around = [each for each in module if not isinstance(each, ast.Expr | ast.Assert)]
        tests.append(test([node], around, f"\n{node.name}()"))
    if not tests:
        raise UsageError(
            f"{where} has no assert outside of functions and no test function",
            source.strip()[:_SHOWN] or "it is empty",
            hint=f"write {setting('test', 'assert f(2) == 4')}, or a function test_f() with asserts",
            slug="bad-test",
        )
    return tuple(tests)


def _is_test(node: ast.stmt) -> bool:
    """True for a function or a class that pytest would take for a test."""
    return str(getattr(node, "name", "")).lower().startswith("test")


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
    statements = [
        node for node in stated if not (isinstance(node, ast.If) and "__name__" in names(node.test))
    ]
    rewritten = _Imports(where).visit(ast.Module(statements, []))
    return [node for node in rewritten.body if not isinstance(node, ast.Pass)]


class _Imports(ast.NodeTransformer):
    """Rewrites imports that the sandbox cannot resolve: the program under test, and pytest.

    Names of the program are there, and for pytest ``kind`` has a stand-in of that name; an alias is an
    assignment.

    Args:
        where: Name of the source in an error.
    """

    def __init__(self, where: str) -> None:
        self._where = where

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        there = [alias for alias in node.names if (alias.name, alias.asname) != ("pytest", None)]
        for alias in there:
            if not self._is_there(alias.name):
                raise UsageError(
                    f"{self._where} imports {alias.name} as a whole, and a program's names stand alone",
                    hint=f"import each name: from {alias.name} import f",
                    slug="bad-test",
                )
        return ast.Import(there) if there else ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        module = "" if node.level else node.module or ""
        if module not in ("__future__", "pytest") and self._is_there(module):
            return node
        start = "pytest." if module == "pytest" else ""
        return [
            self.visit(ast.parse(f"{alias.asname or alias.name} = {start}{alias.name}").body[0])
            for alias in node.names
            if start or alias.asname
        ] or ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = ast.unparse(node)
        if name.startswith("pytest.") and name not in _PYTEST:
            raise UsageError(
                f"{self._where} needs more of pytest than is known here",
                name,
                hint="known are pytest.raises, pytest.approx, pytest.param and pytest.mark.parametrize",
                slug="bad-test",
            )
        self.generic_visit(node)
        return node

    def _is_there(self, module: str) -> bool:
        top = module.split(".")[0]
        if top in _LIBRARIES:
            raise UsageError(
                f"{self._where} imports {module}, and programs run with the standard library alone",
                hint="write the same in plain Python",
                slug="bad-test",
            )
        return top in sys.stdlib_module_names


def _is_checked(module: Sequence[ast.stmt], steps: Sequence[ast.stmt]) -> bool:
    """True if a step has an assert, or calls a function of the module that has one."""
    asserting = [node for node in module if any(isinstance(part, ast.Assert) for part in ast.walk(node))]
    helpers = {node.name for node in asserting if isinstance(node, ast.FunctionDef)}
    return any(step in asserting or helpers.intersection(called_names(step)) for step in steps)
