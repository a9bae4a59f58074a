"""What a test needs of pytest, written without it: tests run where pytest is not installed.

``with pytest.raises(E):`` becomes a ``try``, ``pytest.approx(x)`` behind ``==`` a comparison within its
default tolerance, and ``parametrize`` one call for each set of values. What is more than that is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from adascale.engine.errors import UsageError


def imports_pytest(node: ast.stmt) -> bool:
    """Whether a statement imports pytest, or of it what is rewritten here, and nothing else."""
    match node:
        case ast.Import([ast.alias("pytest", None)]):
            return True
        case ast.ImportFrom("pytest", aliases):
            return all(alias.name in {"raises", "approx"} and alias.asname is None for alias in aliases)
    return False


def without_pytest(node: ast.stmt, imported: Collection[str], where: str) -> ast.stmt:
    """The statement with ``raises`` and ``approx`` rewritten; marks of a test function stay.

    Args:
        node: Of a test file.
        imported: Names that the file imports from pytest.
        where: What an error calls the file.

    Raises:
        UsageError: it needs more of pytest.
    """
    rewriting = _Rewriting(imported, where, node)
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
        marks, node.decorator_list = node.decorator_list, []
        rewriting.visit(node)
        node.decorator_list = marks
        for _, rows in filter(None, map(_parametrized, marks)):
            rows[:] = [rewriting.visit(_values(row)) for row in rows]
        return node
    rewritten = rewriting.visit(node)
    assert isinstance(rewritten, ast.stmt)
    return rewritten


def parametrized_calls(node: ast.FunctionDef, where: str) -> tuple[list[str], list[ast.expr]]:
    """Calls of a test function with each set of its parameters, and the decorators that are none of pytest's.

    Raises:
        UsageError: a mark other than one ``parametrize`` with a list of values.
    """
    calls: list[str] = []
    others: list[ast.expr] = []
    for decorator in node.decorator_list:
        if not calls and (found := _parametrized(decorator)) is not None:
            parameters, rows = found
            star = "*" if "," in parameters else ""
            calls = [f"{node.name}({star}{ast.unparse(row)})" for row in rows]
        elif ast.unparse(decorator).startswith("pytest."):
            raise _beyond(decorator, where)
        else:
            others.append(decorator)
    return calls, others


def _parametrized(decorator: ast.expr) -> tuple[str, list[ast.expr]] | None:
    """Names and sets of values of a ``parametrize`` with a list of them; None where it is something else."""
    match decorator:
        case ast.Call(function, [ast.Constant(str(parameters)), ast.List(rows) | ast.Tuple(rows)], []):
            if ast.unparse(function) == "pytest.mark.parametrize":
                return parameters, rows
    return None


def _values(row: ast.expr) -> ast.expr:
    """A set of values without the ``pytest.param`` around it, which may give it a name."""
    match row:
        case ast.Call(function, values, [] | [ast.keyword("id")]) if ast.unparse(function) == "pytest.param":
            return values[0] if len(values) == 1 else ast.Tuple(values)
    return row


class _Rewriting(ast.NodeTransformer):
    def __init__(self, imported: Collection[str], where: str, statement: ast.stmt) -> None:
        self._names = {"pytest", *imported}
        self._where = where
        self._line = ast.unparse(statement).splitlines()[0]

    def visit_With(self, node: ast.With) -> ast.stmt:
        match node.items:
            case [ast.withitem(ast.Call(function, [expected], []), None)] if _is(function, "raises"):
                body = [self.visit(line) for line in node.body]
                message = ast.Constant(f"{ast.unparse(expected)} was not raised")
                failure = ast.Assert(ast.Constant(False), message)
                return ast.Try(body, [ast.ExceptHandler(expected, None, [ast.Pass()])], [failure], [])
            case [ast.withitem(ast.Call(function))] if _is(function, "raises"):
                raise _beyond(node.items[0], self._where)
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        match node:
            case ast.Compare(left, [ast.Eq()], [ast.Call(function, [value], [])]) if _is(function, "approx"):
                if isinstance(value, ast.List | ast.Tuple | ast.Dict | ast.Set):
                    raise _beyond(node, self._where)
                off = f"abs({ast.unparse(ast.BinOp(left, ast.Sub(), value))})"
                # pytest's defaults: a millionth of the expected value, at least 1e-12.
                near = f"{off} <= max(1e-06 * abs({ast.unparse(value)}), 1e-12)"
                return ast.parse(near, mode="eval").body
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self._names:
            raise _beyond(node, self._where, self._line)
        return node


def _is(function: ast.expr, name: str) -> bool:
    return ast.unparse(function) in {name, f"pytest.{name}"}


def _beyond(node: ast.AST, where: str, line: str = "") -> UsageError:
    return UsageError(
        f"{where} needs more of pytest than is known here",
        line or ast.unparse(node),
        hint="known are pytest.raises(E), == pytest.approx(number), and one parametrize of a list of values",
        slug="bad-test",
    )
