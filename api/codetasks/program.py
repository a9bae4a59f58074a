"""The program in a model's text, as a person would cut it out, and mended so that tests can call it.

A repair changes lines of the text, so that comments and layout stay as the model wrote them.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from adascale.engine.answers.program import names, parse, requires_arguments
from adascale.engine.execution import Repair

from .imports import mend_imports
from .syntax import bound_names, is_main_guard, is_test_case, outside_names, unparse, without

_FENCE = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)[^`\n]*+$|(?<![ \t])[ \t]*+(?<!`)`{3,}+[ \t]*+[\w+.-]*+[ \t]*+$",
    re.MULTILINE,
)
"""In time in proportion to the text, whatever repeats in it: nothing is given back, no run is begun twice."""
_FIRST_LINE = re.compile(r"\s*(?:(?:async\s+)?def\s|class\s|import\s|from\s|@|[A-Za-z_]\w*\s*=[^=])")
_DEFINES = re.compile(r"\s*(?:(?:async\s+)?def\s|class\s|@)")
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_CODE = _FUNCTIONS | ast.ClassDef
_BINDINGS = ast.Import | ast.ImportFrom | ast.Assign
"""Statements that tell code from a word of prose that happens to be an expression."""
_DEFINITIONS = _CODE | ast.Import | ast.ImportFrom
_ENDINGS = frozenset({"sys.exit", "unittest.main", "doctest.testmod", "os._exit"})

RepairKind = Literal["prose", "entry-point", "method", "main-guard", "input", "example"]
"""Faults that are repaired here: text around or within the code; the function's name; a method where tests
call a function; statements that wait for input or show an example on import."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a model wrote.

    Attributes:
        source: Python that compiles.
        repairs: Changes to it, in this order.
    """

    source: str
    repairs: tuple[Repair, ...] = ()


def extract_program(text: str, entry_point: str) -> Program | None:
    """The program in a model's text; None if no part of it is Python.

    Args:
        text: Prose, and code with or without fences.
        entry_point: Name that tests call; empty without one.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    found = [block for part in _FENCE.split(plain) if (block := _block(part))]
    if not found:
        return None
    blocks = [source for source, _ in found]
    chosen = _chosen(blocks, entry_point)
    source = _with_helpers(blocks, chosen)
    repairs = [Repair("prose", line) for line in [found[chosen][1]] if line]
    for repair in (expose_entry_point, drop_examples):
        source, more = repair(source, entry_point)
        repairs += more
    source, more = mend_imports(source)
    return Program(source, (*repairs, *more))


def _block(part: str) -> tuple[str, str] | None:
    """The Python in a part of a text, and the first line of that part that is none.

    It is where a definition is, else where an import or an assignment is.
    """
    lines = part.strip("\n").split("\n")
    starts = [at for at, line in enumerate(lines) if _FIRST_LINE.match(line)]
    first: tuple[str, str] | None = None
    read = 0  # lines up to which all is Python that holds no definition: a start in it finds no more
    for start in dict.fromkeys([0, *starts]) if starts else ():
        if start < read and not _DEFINES.match(lines[start]):
            continue
        rest = textwrap.dedent("\n".join(lines[start:]))
        source = _longest_beginning(rest)
        body = parse(source).body
        if any(isinstance(node, _CODE | _BINDINGS) for node in body):
            left_out = [*lines[:start], *rest[len(source) :].split("\n")]
            block = source.strip("\n"), next((line.strip() for line in left_out if line.strip()), "")
            if any(isinstance(node, _CODE) for node in body):
                return block
            first = first or block
            read = start + source.count("\n") + 1
    return first


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


def _chosen(blocks: Sequence[str], entry_point: str) -> int:
    """The last block that defines the entry point, else the last that defines anything, else the last."""
    defines = [_defined_names(block) for block in blocks]
    ranks = [(entry_point in names, bool(names), at) for at, names in enumerate(defines)]
    return max(ranks)[-1]


def _defined_names(source: str) -> set[str]:
    """Functions, methods, classes and variables that a source defines, stubs left out."""
    tree = parse(source)
    found = {node.name for node in ast.walk(tree) if isinstance(node, _CODE) and not _is_stub(node)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return found | {target.id for target in targets if isinstance(target, ast.Name)}


def _is_stub(node: ast.stmt) -> bool:
    """True if a definition has no more than a docstring, ``pass`` or ``...``."""
    body: list[ast.stmt] = getattr(node, "body", [])
    return all(
        isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        for line in body
    )


def _with_helpers(blocks: Sequence[str], chosen: int) -> str:
    """A block, below those that define or import what it lacks."""
    source = blocks[chosen]
    for block in [*reversed(blocks[:chosen]), *blocks[chosen + 1 :]]:
        imports = [node for node in parse(block).body if isinstance(node, ast.Import | ast.ImportFrom)]
        if {*_defined_names(block), *bound_names(imports)}.intersection(outside_names(source)):
            source = f"{block}\n\n\n{source}"
    return source


def expose_entry_point(source: str, entry_point: str) -> tuple[str, Sequence[Repair]]:
    """The program with its function called like the entry point, if it has another name or is a method."""
    tree = parse(source)
    if not entry_point or entry_point in bound_names(tree.body):
        return source, ()
    functions = [node for node in tree.body if isinstance(node, _FUNCTIONS)]
    methods = list(_methods(tree))
    for class_name, method in methods:
        if method == entry_point:
            return _with_method(source, class_name, method, entry_point)
    name = _renamed(functions, entry_point)
    if name:
        return f"{source}\n\n{entry_point} = {name}", [Repair("entry-point", f"{name} is {entry_point}")]
    public = [method for method in methods if not method[1].startswith("_")]
    if not functions and len(public) == 1:
        return _with_method(source, *public[0], entry_point)
    return source, ()


def _renamed(functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef], entry_point: str) -> str | None:
    """The function that should have been called like the entry point."""
    alike = [node.name for node in functions if _letters(node.name) == _letters(entry_point)]
    if alike:
        return alike[-1]
    helpers = {name for node in functions for name in names(node) if name != node.name}
    roots = [
        node.name
        for node in functions
        if node.name not in helpers and node.name != "main" and not node.name.startswith("test")
    ]
    return roots[0] if len(roots) == 1 else None


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _methods(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Class and name of each method of classes that are made without arguments."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [method for method in node.body if isinstance(method, ast.FunctionDef)]
            constructors = [method for method in methods if method.name == "__init__"]
            if not any(requires_arguments(each, given=1) for each in constructors):
                yield from ((node.name, method.name) for method in methods)


def _with_method(source: str, class_name: str, method: str, entry_point: str) -> tuple[str, Sequence[Repair]]:
    call = f"{class_name}().{method}"
    function = f"def {entry_point}(*args, **kwargs):\n    return {call}(*args, **kwargs)"
    return f"{source}\n\n\n{function}", [Repair("method", f"{class_name}.{method} is {entry_point}")]


def drop_examples(source: str, entry_point: str) -> tuple[str, Sequence[Repair]]:
    """The program without what runs on import and is no part of it.

    That is a main guard, input, prints, calls of the entry point, tests of its own, and what needs their
    results. A statement whose result a function reads stays, unless it waits for input.
    """
    tree = parse(source)
    running = _running_names(tree, entry_point)
    defined = [node for node in tree.body if isinstance(node, _DEFINITIONS) and not is_test_case(node)]
    read = {*outside_names(unparse(defined)), entry_point}
    dropped: dict[ast.stmt, Repair] = {}
    missing = set[str]()
    for node in tree.body:
        kind = _example_kind(node, running, missing)
        if kind is None or (kind == "example" and bound_names([node]) & read):
            continue
        dropped[node] = _example(node, kind)
        missing |= bound_names([node])
    for node in reversed(tree.body if dropped else []):
        if isinstance(node, ast.Assign) and node not in dropped and _serves(node, tree, dropped, entry_point):
            dropped[node] = _example(node, "example")
    if not dropped or len(dropped) == len(tree.body):
        return source, ()
    return without(source, tree, dropped), list(dropped.values())


def _example(node: ast.stmt, kind: RepairKind) -> Repair:
    return Repair(kind, ast.unparse(node).split("\n")[0])


def _serves(node: ast.Assign, tree: ast.Module, dropped: Collection[ast.stmt], entry_point: str) -> bool:
    """True if an assignment serves nothing but examples."""
    bound = bound_names([node]) - {entry_point}
    kept = [other for other in tree.body if other not in dropped and other is not node]
    shown = set(outside_names(unparse(list(dropped))))
    return bool(bound & shown) and not bound.intersection(outside_names(unparse(kept)))


def _running_names(tree: ast.Module, entry_point: str) -> set[str]:
    """Functions whose call at module level is an example: the entry point, and what prints or calls it."""
    running = {"print", "input", "exit", "quit", entry_point}
    for node in tree.body:
        if isinstance(node, ast.Assign) and entry_point in bound_names([node]):
            running |= set(names(node.value))
    functions = [node for node in tree.body if isinstance(node, _FUNCTIONS)]
    callers = [(node.name, _calls(node)) for node in functions]
    while found := {name for name, calls in callers if calls & running} - running:
        running |= found
    return running


def _calls(node: ast.AST) -> set[str]:
    return {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}


def _example_kind(node: ast.stmt, running: Collection[str], missing: Collection[str]) -> RepairKind | None:
    """Reason why a statement of a module is no part of the program; None if it is one."""
    match node:
        case ast.Expr(ast.Name()):
            return "prose"
        case _ if is_main_guard(node):
            return "main-guard"
    if isinstance(node, _DEFINITIONS):
        return "example" if is_test_case(node) else None
    calls = _calls(node)
    if "input" in calls:
        return "input"
    asserts = any(isinstance(part, ast.Assert) for part in ast.walk(node))
    if (
        asserts
        or calls & (_ENDINGS | set(running))
        or set(missing).intersection(outside_names(unparse([node])))
    ):
        return "example"
    return None
