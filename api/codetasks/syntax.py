"""Python source as text: the names that it binds and needs, statements left out."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from adascale.engine.answers.program import names, parse, try_parse

_BUILTINS = frozenset(dir(builtins)) | {"__file__", "pytest"}


def is_literal(text: str) -> bool:
    """True if a text is a number, a string, a constant, or a collection of such."""
    match getattr(try_parse(text), "body", None):
        case [ast.Expr(value)]:
            with suppress(ValueError, TypeError, RecursionError, MemoryError):
                ast.literal_eval(value)
                return True
    return False


def outside_names(source: str, replaced: Collection[str] = ()) -> tuple[str, ...]:
    """Names that a source reads and binds nowhere, but for the builtins, by first appearance.

    Args:
        source: That ``parse`` accepts.
        replaced: Builtins that something else replaces, so that they count.
    """
    tree = parse(source)
    nodes = list(ast.walk(tree))
    bound = bound_names(nodes)
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {str(node.name) for node in nodes if isinstance(node, ast.ExceptHandler)}
    known = bound | (_BUILTINS - set(replaced))
    return tuple(name for name in names(tree) if name not in known)


def unparse(body: Sequence[ast.stmt]) -> str:
    """Statements as source."""
    return ast.unparse(ast.fix_missing_locations(ast.Module(list(body), [])))


def is_main_guard(node: ast.stmt) -> bool:
    """True if a statement is ``if __name__ == "__main__":``."""
    match node:
        case ast.If(ast.Compare(left, [ast.Eq()], [right])):
            sides = {ast.unparse(left), ast.unparse(right)}
            return sides == {"__name__", repr("__main__")}
    return False


def is_test_case(node: ast.stmt) -> bool:
    """True if a statement is a class of unittest's kind."""
    return isinstance(node, ast.ClassDef) and any(ast.unparse(b).endswith("TestCase") for b in node.bases)


def bound_names(body: Iterable[ast.AST]) -> set[str]:
    """Names that nodes bind at their own level."""
    bound = set[str]()
    for node in body:
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                bound.add(name)
            case ast.Import(aliases) | ast.ImportFrom(names=aliases):
                bound |= {alias.asname or alias.name.split(".")[0] for alias in aliases}
            case ast.stmt() | ast.expr():
                stored = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
                bound |= {name.id for name in stored if isinstance(name.ctx, ast.Store)}
    return bound


def without(source: str, tree: ast.Module, dropped: Collection[ast.stmt]) -> str:
    """The source without statements and the comments above them.

    It is laid out anew where a statement shares a line with another.
    """
    kept = [node for node in tree.body if node not in dropped]
    lines = source.split("\n")
    gone = {line for node in dropped for line in _lines(node)}
    if gone.intersection(line for node in kept for line in _lines(node)):
        return unparse(kept)
    for above in range(len(lines) - 1, 0, -1):
        if above + 1 in gone and lines[above - 1].startswith("#"):
            gone.add(above)
    text = "\n".join(line for number, line in enumerate(lines, 1) if number not in gone).strip("\n")
    found = try_parse(text, compiled=False)  # a line may be continued into one that is gone
    is_kept = found is not None and ast.dump(found) == ast.dump(ast.Module(kept, []))
    return text if is_kept else unparse(kept)


def _lines(node: ast.stmt) -> range:
    decorators: Sequence[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (node.end_lineno or node.lineno) + 1)
