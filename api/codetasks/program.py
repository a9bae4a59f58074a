"""The program in a model's text, as a person would cut it out, and repaired so that tests can call it."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence

from adascale.engine.answers.program import names, parse

_FENCE = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)[^`\n]*+$|(?<![ \t])[ \t]*+(?<!`)`{3,}+[ \t]*+[\w+.-]*+[ \t]*+$",
    re.MULTILINE,
)
"""In time in proportion to the text, whatever repeats in it: nothing is given back, no run is begun twice."""
_FIRST_LINE = re.compile(r"\s*(?:#|@|(?:(?:async\s+)?def|class|import|from)\s|[A-Za-z_]\w*\s*=[^=])")
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_CODE = _FUNCTIONS | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign
"""Statements that tell code from a word of prose that happens to be an expression."""


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
    defining = [block for block in blocks if entry_point in bound_names(parse(block).body)]
    return add_imports(expose_entry_point([*blocks, *defining][-1], entry_point))


def _block(part: str) -> str:
    """The Python in a part of a text, from its first line that begins some."""
    lines = part.strip("\n").split("\n")
    for start in (at for at, line in enumerate(lines) if _FIRST_LINE.match(line)):
        source = _longest_beginning(textwrap.dedent("\n".join(lines[start:]))).strip("\n")
        if any(isinstance(node, _CODE) for node in parse(source).body):
            return source
    return ""


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


def expose_entry_point(source: str, entry_point: str) -> str:
    """The program with its only function called like the entry point, if that has another name."""
    body = parse(source).body
    functions = [node.name for node in body if isinstance(node, _FUNCTIONS)]
    if not entry_point or entry_point in bound_names(body) or len(functions) != 1:
        return source
    return f"{source}\n\n{entry_point} = {functions[0]}"


# Imports that a program or a test has forgotten

_NAMES: Mapping[str, str] = {
    name: module
    for module, names in {
        "typing": "Any Callable Dict Generator Iterable Iterator List Mapping NamedTuple Optional Sequence "
        "Set Tuple TypeVar Union",
        "collections": "ChainMap Counter OrderedDict defaultdict deque namedtuple",
        "itertools": "accumulate chain combinations combinations_with_replacement compress "
        "groupby islice pairwise permutations product starmap takewhile zip_longest",
        "functools": "cache cmp_to_key lru_cache partial reduce total_ordering wraps",
        "math": "ceil comb cos exp factorial fabs floor gcd hypot inf isclose isqrt lcm log log10 log2 "
        "perm pi prod radians sin sqrt tan",
        "heapq": "heapify heappop heappush heappushpop heapreplace nlargest nsmallest",
        "bisect": "bisect bisect_left bisect_right insort",
        "datetime": "date datetime timedelta timezone",
        "string": "ascii_letters ascii_lowercase ascii_uppercase punctuation",
        "operator": "attrgetter itemgetter",
        "dataclasses": "dataclass",
        "abc": "ABC abstractmethod",
        "enum": "Enum",
        "copy": "deepcopy",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "statistics": "mean median",
    }.items()
    for name in names.split()
}


def missing_imports(source: str) -> Sequence[str]:
    """Lines that import what a source lacks.

    A name before a dot is a module where the standard library has one of that name (``bisect.insort``), else
    what is commonly imported by it (``bisect(a, 3)``).
    """
    return [
        f"import {name}" if is_module else f"from {_NAMES[name]} import {name}"
        for name in outside_names(source)
        if (is_module := f"{name}." in source and name in sys.stdlib_module_names) or name in _NAMES
    ]


def add_imports(source: str) -> str:
    """The program with the imports that it lacks above it."""
    lines = missing_imports(source)
    is_first = "from __future__" not in source  # nothing may stand above that
    return "\n".join([*lines, "", source]) if lines and is_first else source


# Source as text: the names that it binds and needs, statements left out

_BUILTINS = frozenset(dir(builtins)) | {"__file__", "pytest"}


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
