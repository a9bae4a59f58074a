"""Tests in Python source: asserts, bare comparisons, test functions and classes."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, pairwise

from adascale.engine.answers.program import names, parse, requires_arguments, try_parse
from adascale.engine.errors import UsageError, setting

from .syntax import below_future, is_main_guard, is_test_case, outside_names, unparse
from .task import CodeTest

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_CLASS_SETUPS = ("setUpClass", "setup_class")
_PYTEST = frozenset({"approx", "mark", "param", "raises"})
"""Parts of pytest that tests may use: the harness has a stand-in for them (``harness``)."""
_LIBRARIES = frozenset({"hypothesis", "numpy", "pandas", "requests", "scipy", "sklearn", "sympy", "torch"})
"""Any other module that is not in the standard library is the program under test."""
_NO_STEPS = frozenset({"pytest.main", "sys.path.append", "sys.path.insert", "unittest.main"})
"""Functions whose call is no part of a test."""
_SHOWN = 200
"""Characters of a source that an error shows."""


def read_tests(source: str, where: str = "the test", setup: str = "") -> tuple[CodeTest, ...]:
    """The tests in Python source; what is no test is the setup of each.

    Each module-level assert is a test, unless other statements use the program or stand behind an assert, or
    some asserts do not ask the program: those are the steps of one scenario, and one test. A call of a
    function with asserts is such a step. Tests are ``test_...`` functions, too, and such methods of
    ``Test...`` classes and of unittest's.

    Args:
        source: Text of ``--test`` or of a file.
        where: Name of the source in an error.
        setup: Imports that it needs besides its own.

    Raises:
        UsageError: it is no Python, holds no test, or one that is async, or needs a library, or more of
            pytest than is known here.
    """
    body = _statements(source, where)
    _refuse_async(body, where)
    functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    classes = [node for node in body if isinstance(node, ast.ClassDef) and _has_tests(node)]
    asked = set(outside_names(unparse(body)))
    checks = _checks(body, asked)
    others = [node for node in body if node not in functions and node not in checks]
    around = below_future(setup, unparse(others))
    tests = [
        *_module_tests(body, checks, asked, setup),
        *(CodeTest(text, around) for node in functions for text in _function_tests(node, where)),
        *(CodeTest(text, around) for node in classes for text in _method_tests(node, where)),
    ]
    if not tests:
        for node in body:
            if isinstance(node, ast.FunctionDef) and _holds_assert(node):
                raise UsageError(
                    f"{where} has asserts in {node.name}, which nothing calls",
                    hint=f"add a line {node.name}(f), with the function that the program should have",
                    slug="bad-test",
                )
        raise UsageError(
            f"{where} has no assert and no test function",
            source.strip()[:_SHOWN] or "it is empty",
            hint=f"write {setting('test', 'assert f(2) == 4')}, or a function test_f() with asserts",
            slug="bad-test",
        )
    return tuple(tests)


def _refuse_async(body: Sequence[ast.stmt], where: str) -> None:
    of_classes = [node.body for node in body if isinstance(node, ast.ClassDef) and _has_tests(node)]
    for node in chain(body, *of_classes):
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test"):
            raise UsageError(
                f"{where}: {node.name} is async, and such tests are not run",
                hint=f"write def {node.name}({ast.unparse(node.args)}) with asyncio.run(...) inside",
                slug="bad-test",
            )


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
    kept = [_as_assert(node) for node in stated if not is_main_guard(node) and not _starts_tests(node)]
    module = ast.Module(kept, [])
    rewritten = _Imports(where, _asked_by_dot_alone(module)).visit(module)
    return [node for node in rewritten.body if not isinstance(node, ast.Pass)]


class _Imports(ast.NodeTransformer):
    """Rewrites imports of what is not there where programs run: the program under test, and pytest.

    The import goes. Names of the program are asked for bare, ``solution.f`` as ``f``, and parts of pytest by
    their whole names, for which the harness has a stand-in.

    Args:
        where: Name of the source in an error.
        dotted: Names that it asks by a dot alone, which are modules where a package is imported from.
    """

    def __init__(self, where: str, dotted: Collection[str]) -> None:
        self._where = where
        self._dotted = dotted
        self._own = set[str]()
        self._aliases: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        kept = []
        for alias in node.names:
            name = alias.asname or alias.name
            if alias.name == "pytest":
                self._aliases[name] = "pytest"
            elif self._is_kept(alias.name):
                kept.append(alias)
            else:
                self._own.add(name)
        return ast.Import(kept) if kept else ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        is_pytest = node.module == "pytest" and not node.level
        if node.module and not node.level and not is_pytest and self._is_kept(node.module):
            return node
        for alias in node.names:
            name = alias.asname or alias.name
            if is_pytest:
                self._check(alias.name, _PYTEST, node)
                self._aliases[name] = f"pytest.{alias.name}"
            elif name in self._dotted and alias.name.islower():
                self._own.add(name)
            elif alias.asname:
                self._aliases[name] = alias.name
        return ast.Pass()

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

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._aliases.get(node.id, node.id)  # with a dot too: the tree is only written as source
        return node

    def _is_kept(self, module: str) -> bool:
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


def _asked_by_dot_alone(tree: ast.AST) -> set[str]:
    """Names of which a source reads attributes, and nothing else."""
    bases = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in found if node in bases} - {node.id for node in found if node not in bases}


def _as_assert(node: ast.stmt) -> ast.stmt:
    match node:
        case ast.Expr(ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) as condition):
            return ast.copy_location(ast.Assert(condition), node)
    return node


def _starts_tests(node: ast.stmt) -> bool:
    """True if a statement calls a test function or a runner, only prints, or says where to import from.

    A method that is called within ``print`` may change its object.
    """
    match node:
        case ast.Expr(ast.Call(ast.Name("print"), arguments)):
            calls = [part.func for each in arguments for part in ast.walk(each) if isinstance(part, ast.Call)]
            return not any(isinstance(function, ast.Attribute) for function in calls)
        case ast.Expr(ast.Call(function)):
            called = ast.unparse(function)
            return called in _NO_STEPS or (isinstance(function, ast.Name) and called.startswith("test"))
    return False


def _has_tests(node: ast.ClassDef) -> bool:
    return node.name.startswith("Test") or is_test_case(node)


def _holds_assert(node: ast.stmt) -> bool:
    return any(isinstance(part, ast.Assert) for part in ast.walk(node))


def _checks(body: Sequence[ast.stmt], asked: set[str]) -> list[ast.stmt]:
    """Statements of a module that are asserts, hold one, or have a helper assert something of the program.

    Args:
        body: Statements of a test file.
        asked: Names that it needs of the program.
    """
    helpers = {
        node.name: asked.intersection(names(node))
        for node in body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("test") and _holds_assert(node)
    }

    def is_check(part: ast.AST) -> bool:
        match part:
            case ast.Assert():
                return True
            case ast.Call(function) if ast.unparse(function) == "pytest.raises":
                return True
            case ast.Expr(ast.Call(ast.Name(helper)) as call) if helper in helpers:
                return bool(helpers[helper] or asked.intersection(names(call)))
        return False

    return [
        node for node in body if not isinstance(node, _DEFINITIONS) and any(map(is_check, ast.walk(node)))
    ]


def _module_tests(
    body: Sequence[ast.stmt], checks: Sequence[ast.stmt], asked: set[str], setup: str
) -> Iterator[CodeTest]:
    if not checks:
        return
    steps = [node for node in body if not isinstance(node, _DEFINITIONS)]
    rest = [node for node in body if not (isinstance(node, ast.FunctionDef) and node.name.startswith("test"))]
    fixed = [node for node in steps if not isinstance(node, ast.Assert)]
    is_mixed = any(isinstance(a, ast.Assert) and not isinstance(b, ast.Assert) for a, b in pairwise(steps))
    uses_program = any(node in checks or asked.intersection(names(node)) for node in fixed)
    alone = {bool(asked.intersection(names(node))) for node in steps if isinstance(node, ast.Assert)}
    if is_mixed or uses_program or len(alone) > 1:  # an assert may look at what another has changed
        # What is defined behind a step may need it.
        first = rest.index(steps[0])
        yield CodeTest(unparse(rest[first:]), below_future(setup, unparse(rest[:first])))
        return
    around = below_future(setup, unparse([node for node in rest if not isinstance(node, ast.Assert)]))
    for node in steps:
        if isinstance(node, ast.Assert):
            yield CodeTest(ast.unparse(node), around)


def _function_tests(node: ast.FunctionDef, where: str) -> Iterator[str]:
    """A test function and its call, once for each row of a ``parametrize`` that spells them."""
    calls = None
    match node.decorator_list:
        case [ast.Call(ast.Attribute(attr="parametrize"), [names, ast.List(rows) | ast.Tuple(rows)])]:
            calls = _calls_by_row(node.name, names, rows)
        case [] if requires_arguments(node):
            raise _needs_fixture(node.name, where)
    if calls is not None:
        node.decorator_list = []
    for call in [f"{node.name}()"] if calls is None else calls:
        yield f"{unparse([node])}\n{call}"


def _calls_by_row(function: str, names: ast.expr, rows: Sequence[ast.expr]) -> list[str] | None:
    """Calls with arguments by name, since their order need not be the function's.

    None where a name or a row is computed: then the stand-in for pytest runs all rows.
    """
    try:
        spelled = ast.literal_eval(names)
        parameters = spelled.replace(",", " ").split() if isinstance(spelled, str) else [*spelled]
        is_single = isinstance(spelled, str) and len(parameters) == 1
        values = [_values(row, is_single) for row in rows]
        arguments = [
            ", ".join(f"{name}={ast.unparse(value)}" for name, value in zip(parameters, each, strict=True))
            for each in values
        ]
    except (ValueError, TypeError):
        return None
    calls = [f"{function}({each})" for each in arguments]
    return calls if try_parse("\n".join(calls)) is not None else None


def _values(row: ast.expr, is_single: bool) -> Sequence[ast.expr]:
    """The values of a row; of a single parameter the row itself is the value."""
    match row:
        case ast.Call(function, values) if ast.unparse(function) == "pytest.param":
            return values
        case ast.Tuple(values) | ast.List(values) if not is_single:
            return values
    return [row]


def _method_tests(node: ast.ClassDef, where: str) -> Iterator[str]:
    """Each test method of a class on an object of its own."""
    methods = {method.name: method for method in node.body if isinstance(method, ast.FunctionDef)}
    of_class = "".join(f"{node.name}.{name}()\n" for name in _CLASS_SETUPS if name in methods)
    for name, method in methods.items():
        if not name.startswith("test"):
            continue
        if requires_arguments(method, given=1) and not _is_parametrized(method):
            raise _needs_fixture(f"{node.name}.{name}", where)
        if is_test_case(node):  # runs setUp and tearDown, and lets the failure through
            yield f"{of_class}{node.name}({name!r}).debug()"
        elif (setup := methods.get("setup_method")) is not None:
            given = "None" if requires_arguments(setup, given=1) else ""
            yield f"{of_class}case = {node.name}()\ncase.setup_method({given})\ncase.{name}()"
        else:
            yield f"{of_class}{node.name}().{name}()"


def _is_parametrized(node: ast.FunctionDef) -> bool:
    """True if the stand-in for pytest gives the arguments, when the test runs."""
    return any(".parametrize(" in ast.unparse(decorator) for decorator in node.decorator_list)


def _needs_fixture(name: str, where: str) -> UsageError:
    return UsageError(
        f"{where}: {name} takes arguments",
        "fixtures of pytest are not known here",
        hint="build what it needs inside of the function",
        slug="bad-test",
    )
