"""The program in a model's text, as a person would cut it out, and mended so that tests can call it.

A repair changes lines of the text, so that comments and layout stay as the model wrote them.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence

from adascale.engine.answers.program import parse

from .imports import mend_imports
from .syntax import bound_names, is_main_guard, is_test_case, outside_names, unparse, without

_FENCE = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)[^`\n]*+$|(?<![ \t])[ \t]*+(?<!`)`{3,}+[ \t]*+[\w+.-]*+[ \t]*+$",
    re.MULTILINE,
)
"""In time in proportion to the text, whatever repeats in it: nothing is given back, no run is begun twice."""
_FIRST_LINE = re.compile(r"\s*(?:(?:async\s+)?def\s|class\s|import\s|from\s|@)")
_ASSIGNS = re.compile(r"\s*[A-Za-z_]\w*\s*=[^=]")
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_CODE = _FUNCTIONS | ast.ClassDef
_BINDINGS = ast.Import | ast.ImportFrom | ast.Assign
"""Statements that tell code from a word of prose that happens to be an expression."""
_DEFINITIONS = _CODE | ast.Import | ast.ImportFrom
_SHOWING = frozenset({"print", "exit", "quit", "sys.exit", "unittest.main", "doctest.testmod"})
"""Functions whose call at module level shows or ends something."""


def extract_program(text: str, entry_point: str) -> str | None:
    """The program in a model's text; None if no part of it is Python.

    Args:
        text: Prose, and code with or without fences.
        entry_point: Name that tests call; empty without one.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks = [block for part in _FENCE.split(plain) if (block := _block(part))]
    if not blocks:
        return None
    source = expose_entry_point(_chosen(blocks, entry_point), entry_point)
    return mend_imports(drop_examples(source, entry_point))


def _block(part: str) -> str:
    """The Python in a part of a text: where a definition is, else where an import or an assignment is."""
    lines = part.strip("\n").split("\n")
    starts = [at for at, line in enumerate(lines) if _FIRST_LINE.match(line)]
    starts += [at for at, line in enumerate(lines) if _ASSIGNS.match(line)][:1]
    found = ""
    for start in sorted({0, *starts}) if starts else ():
        source = _longest_beginning(textwrap.dedent("\n".join(lines[start:]))).strip("\n")
        body = parse(source).body
        if any(isinstance(node, _CODE) for node in body):
            return source
        if not found and any(isinstance(node, _BINDINGS) for node in body):
            found = source
    return found


def _longest_beginning(source: str) -> str:
    """Lines of a source up to where it ceases to be Python."""
    lines = source.split("\n")
    while lines:
        try:
            parse("\n".join(lines))
        except SyntaxError as error:
            # One that nests too deeply names no line: halves end soon, where lines would take one parse each.
            del lines[min(len(lines), error.lineno or len(lines) // 2 + 1) - 1 :]
        else:
            break
    return "\n".join(lines)


def _chosen(blocks: Sequence[str], entry_point: str) -> str:
    """The last block that defines the entry point, else the last that defines anything, else the last."""
    defines = [_defined_names(block) for block in blocks]
    ranks = [(entry_point in names, bool(names), at) for at, names in enumerate(defines)]
    return blocks[max(ranks)[-1]]


def _defined_names(source: str) -> set[str]:
    """Functions, methods, classes and variables that a source defines."""
    tree = parse(source)
    found = {node.name for node in ast.walk(tree) if isinstance(node, _CODE)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return found | {target.id for target in targets if isinstance(target, ast.Name)}


def expose_entry_point(source: str, entry_point: str) -> str:
    """The program with its only function called like the entry point, if that has another name."""
    body = parse(source).body
    functions = [node.name for node in body if isinstance(node, _FUNCTIONS)]
    if not entry_point or entry_point in bound_names(body) or len(functions) != 1:
        return source
    return f"{source}\n\n{entry_point} = {functions[0]}"


def drop_examples(source: str, entry_point: str) -> str:
    """The program without what runs on import and is no part of it.

    That is a main guard, input, prints, calls of the entry point, tests of its own, and what needs their
    results. A statement whose result a function reads stays, unless it waits for input.
    """
    tree = parse(source)
    defined = [node for node in tree.body if isinstance(node, _DEFINITIONS) and not is_test_case(node)]
    read = {*outside_names(unparse(defined)), entry_point}
    running = _running_names(tree, entry_point)
    dropped: list[ast.stmt] = []
    missing = set[str]()
    for node in tree.body:
        bound = bound_names([node])
        waits = "input" in _calls(node) and not isinstance(node, _DEFINITIONS)
        if waits or (_is_example(node, running | missing) and not bound & read):
            dropped.append(node)
            missing |= bound
    is_left = 0 < len(dropped) < len(tree.body)
    return without(source, tree, dropped) if is_left else source


def _running_names(tree: ast.Module, entry_point: str) -> set[str]:
    """Functions whose call at module level is an example: the entry point, and what prints or calls it."""
    running = {*_SHOWING, entry_point}
    functions = [node for node in tree.body if isinstance(node, _FUNCTIONS)]
    while found := {node.name for node in functions if _calls(node) & running} - running:
        running |= found
    return running


def _calls(node: ast.AST) -> set[str]:
    return {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}


def _is_example(node: ast.stmt, running: set[str]) -> bool:
    """True if a statement of a module is no part of the program.

    Args:
        node: The statement.
        running: Names that only examples call or read.
    """
    if isinstance(node, _DEFINITIONS):
        return is_test_case(node)
    return (
        is_main_guard(node)
        or any(isinstance(part, ast.Assert) for part in ast.walk(node))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Name))
        or bool(_calls(node) & running)
        or bool(running.intersection(outside_names(unparse([node]))))
    )
