"""The program in a model's text, as a person would cut it out, and the names that a source needs."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import textwrap
from collections.abc import Iterator, Sequence

from adascale.engine.answers.program import names, parse

_FENCE = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)[^`\n]*+$|(?<![ \t])[ \t]*+(?<!`)`{3,}+[ \t]*+[\w+.-]*+[ \t]*+$",
    re.MULTILINE,
)
"""In time in proportion to the text, whatever repeats in it: nothing is given back, no run is begun twice."""
_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_CODE = _NAMED | ast.Import | ast.ImportFrom | ast.Assign
"""Statements that mark code; a word of prose may be an expression, too."""


def extract_program(text: str, entry_point: str) -> str | None:
    """The program in a model's text: the last block that defines what tests call, or the last one at all.

    Args:
        text: Python, or prose and Python between fences; what follows Python in a block is left out.
        entry_point: Name that tests call; empty without one.

    Returns:
        None if no block begins with Python.
    """
    blocks = [block for part in _FENCE.split("\n".join(text.splitlines())) if (block := _block(part))]
    defining = [block for block in blocks if entry_point in _defined(block)]
    return [None, *blocks, *defining][-1]


def _defined(source: str) -> list[str]:
    return [node.name for node in parse(source).body if isinstance(node, _NAMED)]


def _block(part: str) -> str:
    """The Python with which a part of a text begins; empty if it has none."""
    lines = textwrap.dedent(part).strip("\n").split("\n")
    while lines:
        source = "\n".join(lines).strip("\n")
        try:
            body = parse(source).body
        except SyntaxError as error:
            # One that nests too deeply names no line: halves end soon, where lines would take one parse each.
            del lines[min(len(lines), error.lineno or len(lines) // 2 + 1) - 1 :]
        else:
            return source if any(isinstance(node, _CODE) for node in body) else ""
    return ""


# Source as text: the names that it needs, statements left out

_BUILTINS = frozenset(dir(builtins)) | {"__file__", "pytest"}


def outside_names(source: str, entry_point: str = "") -> tuple[str, ...]:
    """Names that a source reads and binds nowhere, but for the builtins, by first appearance.

    Args:
        source: That ``parse`` accepts.
        entry_point: Name that counts even if a builtin has it.
    """
    tree = parse(source)
    top = symtable.symtable(ast.unparse(tree), "", "exec")
    outer = [symbol for symbol in _symbols(top) if symbol.is_global()]
    bound = {symbol.get_name() for symbol in outer if symbol.is_assigned() or symbol.is_imported()}
    outside = {symbol.get_name() for symbol in outer} - bound - (_BUILTINS - {entry_point})
    return tuple(name for name in names(tree) if name in outside)


def _symbols(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    yield from table.get_symbols()
    for inner in table.get_children():
        yield from _symbols(inner)


def unparse(body: Sequence[ast.stmt]) -> str:
    """Statements as source."""
    return ast.unparse(ast.fix_missing_locations(ast.Module(list(body), [])))
