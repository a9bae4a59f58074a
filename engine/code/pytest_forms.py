"""What a test needs of pytest, written without it: tests run where pytest is not installed.

``with pytest.raises(E):`` becomes a ``try``, ``pytest.approx(x)`` beside ``==`` a comparison within its
default tolerance, and ``parametrize`` one call for each set of values. What is more than that is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..errors import UsageError


def imports_pytest(node: ast.stmt) -> bool:
    """Whether a statement imports pytest, or of it what is rewritten here, and nothing else."""
    match node:
        case ast.Import([ast.alias("pytest", None)]):
            return True
        case ast.ImportFrom("pytest", aliases):
            return {alias.name for alias in aliases} <= {"raises", "approx"}
    return False


def uses_pytest(body: Sequence[ast.stmt]) -> bool:
    """Whether any statement besides imports and ``parametrize`` still needs pytest."""
    marks = {
        id(name)
        for node in body
        if isinstance(node, ast.FunctionDef)
        for mark in node.decorator_list
        for name in ast.walk(mark)
    }
    return any(
        isinstance(name, ast.Name) and name.id == "pytest" and id(name) not in marks
        for node in body
        for name in ast.walk(node)
    )


def without_pytest(node: ast.stmt, where: str) -> ast.stmt:
    """The statement with ``raises`` and ``approx`` rewritten.

    Raises:
        UsageError: ``raises`` has a ``match`` or is bound by ``as``, so its exception is looked at.
    """
    rewritten = _Rewriting(where).visit(node)
    assert isinstance(rewritten, ast.stmt)
    return ast.fix_missing_locations(rewritten)


class _Rewriting(ast.NodeTransformer):
    def __init__(self, where: str) -> None:
        self._where = where

    def visit_With(self, node: ast.With) -> ast.stmt:
        self.generic_visit(node)
        match node.items:
            case [ast.withitem(ast.Call(function, [expected], []), None)] if _is(function, "raises"):
                message = f"{ast.unparse(expected)} was not raised"
                failure = ast.Assert(ast.Constant(False), ast.Constant(message))
                handler = ast.ExceptHandler(expected, None, [ast.Pass()])
                return ast.copy_location(ast.Try(node.body, [handler], [failure], []), node)
            case [ast.withitem(ast.Call(function))] if _is(function, "raises"):
                raise UsageError(
                    f"{self._where}: pytest.raises is known with one exception and nothing more",
                    ast.unparse(node.items[0]),
                    hint="write `with pytest.raises(ValueError):`".replace("`", ""),
                    slug="bad-test",
                )
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Compare(left, [ast.Eq()], [ast.Call(function, [value], [])]) if _is(
                function, "approx"
            ) and not isinstance(value, ast.List | ast.Tuple | ast.Dict):
                off, size = (
                    f"abs({ast.unparse(tree)})" for tree in (ast.BinOp(left, ast.Sub(), value), value)
                )
                # pytest's defaults: a millionth of the expected value, at least 1e-12.
                return ast.parse(f"{off} <= max(1e-06 * {size}, 1e-12)", mode="eval").body
        return node


def _is(function: ast.expr, name: str) -> bool:
    return ast.unparse(function) in {name, f"pytest.{name}"}


def parametrized_calls(node: ast.FunctionDef, where: str) -> tuple[list[str], list[ast.expr]]:
    """Calls of a test function with each set of its parameters, and the decorators that are none of pytest's.

    Raises:
        UsageError: a mark other than one ``parametrize`` with a list of values.
    """
    calls: list[str] = []
    others: list[ast.expr] = []
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(function, [ast.Constant(str(argnames)), ast.List(rows) | ast.Tuple(rows)], []) if (
                not calls and ast.unparse(function) == "pytest.mark.parametrize"
            ):
                single = argnames.count(",") == 0
                calls = [f"{node.name}({'' if single else '*'}{ast.unparse(row)})" for row in rows]
            case _ if ast.unparse(decorator).startswith("pytest."):
                raise UsageError(
                    f"{where}: {node.name} has a mark of pytest that is not known here",
                    ast.unparse(decorator),
                    hint="known is one parametrize with a string of names and a list of values",
                    slug="bad-test",
                )
            case _:
                others.append(decorator)
    return calls, others
