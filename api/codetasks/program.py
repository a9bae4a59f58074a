"""The program in a model's text, as a person would cut it out, and mended so that tests can call it.

A repair changes lines of the text, so that comments and layout stay as the model wrote them.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from adascale.engine.answers.program import names, parse, try_parse

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


# Source as text: the names that it binds and needs, statements left out

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
