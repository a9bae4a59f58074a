"""Imports of a program: those that it forgot, and those that it never uses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Mapping, Sequence

from adascale.engine.answers.program import names, parse
from adascale.engine.execution import Repair

from .syntax import bound_names, outside_names, without

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

_DATETIME_CLASSES = {"date", "datetime", "time", "timedelta", "timezone"}
"""Attributes of the module ``datetime``, not of its class of the same name."""


def mend_imports(source: str) -> tuple[str, Sequence[Repair]]:
    """The program with the imports that it lacks on top, and without those that nothing uses.

    An import that nothing uses may be of a package that is not there. A name before a dot is a module where
    the standard library has one of that name (``bisect.insort``), else what is commonly imported by it
    (``bisect(a, 3)``).
    """
    tree = parse(source)
    read = set(names(tree))
    unused = [node for node in tree.body if _is_unused(node, read)]
    repairs = [Repair("unused-import", ast.unparse(node)) for node in unused]
    lines = _missing_lines(outside_names(source), _attributes(tree))
    if unused and len(unused) < len(tree.body):
        source = without(source, tree, unused)
    if lines:
        source = _on_top(source, lines)
    return source, [*repairs, *(Repair("missing-import", line) for line in lines)]


def missing_modules(source: str) -> Sequence[str]:
    """Modules of the standard library that a source asks by a dot and does not import."""
    return _modules(outside_names(source), _attributes(parse(source)))


def _modules(outside: Sequence[str], asked: Collection[str]) -> list[str]:
    """Those of the names from outside that are modules of the standard library, and are asked by a dot."""
    return [name for name in outside if name in asked and name in sys.stdlib_module_names]


def _is_unused(node: ast.stmt, read: Collection[str]) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() if ast.unparse(node).split()[1] != "__future__":
            bound = bound_names([node])
            return "*" not in bound and not bound.intersection(read)
    return False


def _missing_lines(outside: Sequence[str], asked: Mapping[str, set[str]]) -> list[str]:
    """Imports of the names from outside, where there is a usual one."""
    modules = _modules(outside, asked)
    lines = []
    for name in outside:
        is_class = name == "datetime" and not asked.get(name, set()) & _DATETIME_CLASSES
        if name in modules and not is_class:
            lines.append(f"import {name}")
        elif name in _NAMES:
            lines.append(f"from {_NAMES[name]} import {name}")
    return lines


def _attributes(tree: ast.AST) -> dict[str, set[str]]:
    """Attributes that are read of each name."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name(name), attribute):
                found.setdefault(name, set()).add(attribute)
    return found


def _on_top(source: str, lines: Sequence[str]) -> str:
    """Lines on top of a source, but below its docstring and its imports from ``__future__``."""
    last = 0
    for node in parse(source).body:
        match node:
            case ast.Expr(ast.Constant(str())) | ast.ImportFrom("__future__"):
                last = node.end_lineno or 0
            case _:
                break
    before, behind = source.split("\n")[:last], source.split("\n")[last:]
    gap = [] if behind and behind[0].startswith(("import ", "from ")) else [""]
    return "\n".join([*before, *lines, *gap, *behind])
