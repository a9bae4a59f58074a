"""Imports that a program or a test has forgotten."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence

from adascale.engine.answers.program import parse

from .syntax import outside_names

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


def missing_imports(source: str) -> Sequence[str]:
    """Lines that import what a source lacks.

    A name before a dot is a module where the standard library has one of that name (``bisect.insort``), else
    what is commonly imported by it (``bisect(a, 3)``).
    """
    attributes = _attributes(parse(source))
    lines = []
    for name in outside_names(source):
        asked = attributes.get(name, set())
        is_class = name == "datetime" and not asked & _DATETIME_CLASSES
        if asked and name in sys.stdlib_module_names and not is_class:
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


def mend_imports(source: str) -> str:
    """The program with the imports that it lacks below its docstring and its imports from ``__future__``."""
    lines = missing_imports(source)
    if not lines:
        return source
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
