"""Python source as text: the names that it binds and needs, its normal form, statements left out."""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress

from adascale.engine.answers.program import names, parse, try_parse

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
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
    """Names that a source reads and neither binds nor finds among the builtins, by first appearance.

    Args:
        source: That ``parse`` accepts.
        replaced: Builtins that something else replaces, so that they count.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = symtable.symtable(source, "<program>", "exec")
    read, bound = set[str](), set[str]()
    tables = [module]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            at_module_level = table is module or symbol.is_declared_global()
            if at_module_level and (symbol.is_assigned() or symbol.is_imported()):
                bound.add(symbol.get_name())
            if symbol.is_global() and symbol.is_referenced():
                read.add(symbol.get_name())
    missing = read - bound - (_BUILTINS - set(replaced))
    return tuple(name for name in names(parse(source)) if name in missing)


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


def normal_form(source: str) -> str:
    """A program without comments, docstrings and layout: equal for programs that do the same line by line.

    A source that does not parse is its own normal form.
    """
    tree = try_parse(source)
    if tree is None:
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            if not node.body and not isinstance(node, ast.Module):
                node.body = [ast.Pass()]
    return ast.unparse(tree)


def bound_names(body: Sequence[ast.stmt]) -> set[str]:
    """Names that statements bind at their own level."""
    bound = {node.name for node in body if isinstance(node, _DEFINITIONS)}
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif not isinstance(node, _DEFINITIONS):
            stored = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            bound |= {name.id for name in stored if isinstance(name.ctx, ast.Store)}
    return bound


def without(source: str, tree: ast.Module, dropped: Collection[ast.stmt]) -> str:
    """The source without statements, and without the comments above them."""
    kept = [node for node in tree.body if node not in dropped]
    kept_lines = {line for node in kept for line in _lines(node)}
    gone_lines = {line for node in dropped for line in _lines(node)}
    if kept_lines & gone_lines:  # two statements on a line
        return unparse(kept)
    lines = source.split("\n")
    below_is_gone = max(gone_lines) > max(kept_lines)
    for number in range(len(lines), 0, -1):
        if number in kept_lines or number in gone_lines:
            below_is_gone = number in gone_lines
        elif below_is_gone and lines[number - 1].lstrip().startswith("#"):
            gone_lines.add(number)
    text = "\n".join(line for number, line in enumerate(lines, 1) if number not in gone_lines).strip("\n")
    found = try_parse(text, compiled=False)  # a line may be continued into one that is gone
    is_kept = found is not None and ast.dump(found) == ast.dump(ast.Module(kept, []))
    return text if is_kept else unparse(kept)


def below_future(lines: str, source: str) -> str:
    """Lines on top of a source, but below its imports from ``__future__``."""
    future = [node for node in parse(source).body if is_from_future(node)]
    if not future:
        return "\n".join(filter(None, [lines, source]))
    rest = [node for node in parse(source).body if not is_from_future(node)]
    return "\n".join(filter(None, [unparse(future), lines, unparse(rest)]))


def is_from_future(node: ast.stmt) -> bool:
    """True if a statement has to stand on top of a source."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _lines(node: ast.stmt) -> range:
    decorators: Sequence[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (node.end_lineno or node.lineno) + 1)
