"""Imports of a test file: of the program under test, and of what is not there where programs run.

A module that is neither in the standard library nor a known library is the program under test: its import
goes, and what it is asked for is asked of the program.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence

from adascale.engine.errors import UsageError

_LIBRARIES = frozenset(
    {"hypothesis", "numpy", "pandas", "pytest", "requests", "scipy", "sklearn", "sympy", "torch"}
)


def without_own_imports(body: Sequence[ast.stmt], where: str) -> list[ast.stmt]:
    """Statements of a test file that ask the program under test by bare names; ``solution.f`` becomes ``f``.

    Raises:
        UsageError: a library is imported, on which every program would fail.
    """
    own = _OwnImports(where)
    rewritten = [own.visit(node) for node in body]
    return [node for node in rewritten if not isinstance(node, ast.Pass)]


class _OwnImports(ast.NodeTransformer):
    """Puts ``pass`` in the place of an import, as the block around it may hold nothing else."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._modules = set[str]()
        self._aliases: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> ast.Import | ast.Pass:
        own = [alias for alias in node.names if self._is_own(alias.name)]
        self._modules |= {alias.asname or alias.name for alias in own}
        node.names = [alias for alias in node.names if alias not in own]
        return node if node.names else ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | ast.Pass:
        if not node.level and node.module and not self._is_own(node.module):
            return node
        self._aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
        return ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if ast.unparse(node.value) in self._modules:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._aliases.get(node.id, node.id)
        return node

    def _is_own(self, module: str) -> bool:
        top = module.split(".")[0]
        if top in _LIBRARIES:
            raise UsageError(
                f"{self._where} imports {module}, and programs run with the standard library alone",
                hint="write what it is needed for in plain Python",
                slug="bad-test",
            )
        return top not in sys.stdlib_module_names
