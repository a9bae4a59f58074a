"""The program in a model's text, as a person would cut it out, and mended so that tests can call it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from .imports import mend_imports
from .repairs import Program, Repair, drop_examples, expose_entry_point
from .syntax import bound_names, outside_names, parse

_FENCE = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)[^`\n]*+$|(?<![ \t])[ \t]*+(?<!`)`{3,}+[ \t]*+[\w+.-]*+[ \t]*+$",
    re.MULTILINE,
)
"""In time in proportion to the text, whatever repeats in it: nothing is given back, no run is begun twice."""
_FIRST_LINE = re.compile(r"\s*(?:(?:async\s+)?def\s|class\s|import\s|from\s|@|[A-Za-z_]\w*\s*=[^=])")
_DEFINES = re.compile(r"\s*(?:(?:async\s+)?def\s|class\s|@)")
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_BINDINGS = ast.Import | ast.ImportFrom | ast.Assign
"""What tells code from a word of prose that happens to be an expression."""


def extract_program(text: str, entry_point: str) -> Program | None:
    """The program in a model's text; None where no part of it is Python.

    Args:
        text: Prose, and code with or without fences.
        entry_point: What tests call; empty where there is none.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    found = [block for part in _FENCE.split(plain) if (block := _block(part))]
    if not found:
        return None
    blocks = [block.source for block in found]
    chosen = _chosen(blocks, entry_point)
    source = _with_helpers(blocks, chosen)
    repairs = [Repair("prose", line) for line in [found[chosen].left_out] if line]
    for repair in (expose_entry_point, drop_examples):
        source, more = repair(source, entry_point)
        repairs += more
    source, more = mend_imports(source)
    return Program(source, (*repairs, *more))


@dataclass(frozen=True, slots=True)
class _Block:
    """Python in a part of a text, and the first line of that part that is none."""

    source: str
    left_out: str


def _block(part: str) -> _Block | None:
    """The Python in a part of a text: where a definition is, else where an import or an assignment is."""
    lines = part.strip("\n").split("\n")
    starts = [at for at, line in enumerate(lines) if _FIRST_LINE.match(line)]
    first: _Block | None = None
    read = 0  # lines up to which all is Python that holds no definition: a start in it finds no more
    for start in dict.fromkeys([0, *starts]) if starts else ():
        if start < read and not _DEFINES.match(lines[start]):
            continue
        rest = textwrap.dedent("\n".join(lines[start:]))
        source = _longest_beginning(rest)
        body = parse(source).body
        if any(isinstance(node, _DEFINITIONS | _BINDINGS) for node in body):
            left_out = [*lines[:start], *rest[len(source) :].split("\n")]
            shown = next((line.strip() for line in left_out if line.strip()), "")
            block = _Block(source.strip("\n"), shown)
            if any(isinstance(node, _DEFINITIONS) for node in body):
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
    found = {node.name for node in ast.walk(tree) if isinstance(node, _DEFINITIONS) and not _is_stub(node)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return found | {target.id for target in targets if isinstance(target, ast.Name)}


def _is_stub(node: ast.stmt) -> bool:
    """Whether a definition has no more than a docstring, ``pass`` or ``...``."""
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
