"""The program in a model's text, as source, and the answer in the program's output."""

from __future__ import annotations

import ast
import functools
import re
import textwrap
import warnings
from collections.abc import Iterable
from decimal import Context, Decimal

from ..types import Execution
from .extract import said_in, solutions
from .latex import Rules, rewritten

_BLOCK = re.compile(
    r"```[ \t]*+(?:python3?|py)?[ \t]*+\n(.*?)(?:\n[ \t]*+```|```|\Z)", re.DOTALL | re.IGNORECASE
)
_NUMBER = r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d[\d_]*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
"""Commas stand before three digits each: 1,234 is a number and 2,3 are two."""
_MOST_LINES = 4
"""Lines in which a program may print one solution each."""
_ALONE = re.compile(rf"(?<![\w.:/-])(?:{_NUMBER})(?![\w:/-])")
_LARGEST = 30
"""Digits of a number that is written in full."""
_DIGITS = 12
"""Significant digits of a printed float that are believed: 41.000000000000036 is 41."""
_OBJECT = re.compile(r"<\w[^<>]*(?:<[^<>]*>)?[^<>]* at 0x[0-9a-f]+>|<(?:function|class|module|built-in)\b.*>")
"""The printed form of a function or another object, which is no value."""
_COMPUTING = ast.BinOp | ast.BoolOp | ast.Compare | ast.AugAssign | ast.comprehension | ast.For | ast.While
_LONGEST = 1000
"""Characters of a number that is converted: Python refuses more than 4,300 digits."""

_DEEPEST = 200
"""Levels of a tree: a walk that calls itself would exceed the depth of calls in a deeper one."""


@functools.lru_cache(maxsize=1024)
def read_program(text: str) -> str | None:
    """The program in a model's text, made to print its result; None without one.

    Without a fence the whole text counts if it parses; several blocks are joined if that parses, else
    the last one that parses counts. Where nothing is printed, the last statement is: the value of an
    expression or an assignment, or the result of a function without required arguments.
    """
    blocks = [textwrap.dedent(block).strip("\n") for block in _BLOCK.findall(text)]
    candidates = ["\n".join(blocks), *reversed(blocks)] if blocks else [textwrap.dedent(text).strip("\n")]
    for source in candidates:
        tree = try_parse(source)
        if tree is not None and tree.body:
            return source if "print" in called_names(tree) else ast.unparse(_printing(tree))
    return None


@functools.lru_cache(maxsize=1024)
def computes(source: str) -> bool:
    """True if a program does more than print what stands in it: it calculates, compares, loops or calls."""
    tree = try_parse(source)
    if tree is None:
        return False
    return any(
        isinstance(node, _COMPUTING)
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") not in ("print", "str"))
        for node in ast.walk(tree)
    )


def printed_answer(output: str) -> str | None:
    """The answer in a program's output: its last line with a value, as ``said_in`` reads it.

    Several last lines are one answer if each is a solution of the same unknown, and numbers are without float
    noise. ``None`` is none: it is what printing the call of a function without ``return`` shows.
    """
    stripped = (line.strip() for line in output.splitlines())
    lines = [text for text in stripped if text not in ("", "None") and not _OBJECT.fullmatch(text[:_LONGEST])]
    if not lines:
        return None
    if len(lines[-1]) > _LONGEST:
        return lines[-1]
    last = rewritten(lines[-1], _PRINTED)
    ends = ("\n".join(lines[-size:]) for size in range(min(len(lines), _MOST_LINES), 1, -1))
    answer = next(filter(None, map(solutions, ends)), None) or said_in(last)
    answer = answer and answer.lstrip("$")
    return _ALONE.sub(_plain, answer) if answer and answer[0] in "+-(.0123456789" else answer


def executed_answer(execution: Execution) -> str | None:
    """The answer of a program that has run; None if it failed, whatever it had printed before."""
    return None if execution.error else printed_answer(execution.output)


def _printing(tree: ast.Module) -> ast.Module:
    """The program with its result printed: its last value, or what its last function returns."""
    body, last = tree.body, tree.body[-1]
    match last:
        case ast.Expr(value):
            body = body[:-1]
        case ast.Assign(targets=[ast.Name(id=name)]):
            value = ast.Name(name)
        case ast.FunctionDef() if not requires_arguments(last):
            value = ast.Call(ast.Name(last.name), [], [])
        case _:
            return tree
    printing = ast.Expr(ast.Call(ast.Name("print"), [value], []))
    return ast.fix_missing_locations(ast.Module([*body, printing], []))


def _plain_complex(number: re.Match[str]) -> str:
    """``3+4i``, without noise of floats."""
    value = complex(number[0])
    return re.sub(r"[+-]0i$", "", f"{round(value.real, 9):.12g}{round(value.imag, 9):+.12g}i")


def _plain(number: re.Match[str]) -> str:
    """A number as a person writes it: in full and without noise of floats, not as 1e-07."""
    digits = re.sub(r"\.0*$|[,_]", "", number[0])
    value = Decimal(digits)
    if re.fullmatch(r"[-+]?\d+", digits) is None:
        value = value.normalize(Context(prec=_DIGITS))
    return f"{value:f}" if -15 < value.adjusted() < _LARGEST else number[0]


def _duration(printed: re.Match[str]) -> str:
    """``3 h 25 min`` for a ``timedelta``."""
    parts = zip(map(int, printed.groups("0")), ("d", "h", "min"), strict=True)
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"


_PRINTED: Rules = (
    (r"\A(?:(\d+) days?, )?(\d):(\d\d):00\Z", _duration),  # a time of day has two digits for the hour
    (r"Fraction\((-?\d+), (\d+)\)", r"\1/\2"),
    (r"\(-?[\d.e+-]+j\)", _plain_complex),
    (rf"\A{_NUMBER}(?: {_NUMBER})+\Z", lambda several: ", ".join(several[0].split())),
    (r"\A[\[{]([^\[\]{}():]+)[\]}]\Z", lambda listed: listed[1].replace("'", "")),
)
"""The forms of Python in which people do not write a value."""


def parse(source: str) -> ast.Module:
    """The tree of a source that compiles: not every one that parses does.

    Raises:
        SyntaxError: the source does not compile, or is nested too deeply or too large for this interpreter.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" and `x is 1` are the author's business
            tree = ast.parse(source)
            compile(source, "<program>", "exec", dont_inherit=True)
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or type(error).__name__) from error
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise SyntaxError("nested too deeply")
    return tree


def try_parse(source: str) -> ast.Module | None:
    """The tree of a source; None if ``parse`` raises."""
    try:
        return parse(source)
    except SyntaxError:
        return None


def requires_arguments(function: ast.FunctionDef) -> bool:
    """True if a function cannot be called without arguments."""
    parameters = function.args
    by_place = len(parameters.posonlyargs) + len(parameters.args) - len(parameters.defaults)
    return by_place > 0 or any(default is None for default in parameters.kw_defaults)


def names(tree: ast.AST) -> tuple[str, ...]:
    """Names that stand in a tree, each once, in the order of the text."""
    return _by_appearance(ast.walk(tree))


def called_names(tree: ast.AST) -> tuple[str, ...]:
    """Names that a tree calls, each once, in the order of the text."""
    return _by_appearance(node.func for node in ast.walk(tree) if isinstance(node, ast.Call))


def _by_appearance(nodes: Iterable[ast.AST]) -> tuple[str, ...]:
    appearances = [(node.lineno, node.col_offset, node.id) for node in nodes if isinstance(node, ast.Name)]
    return tuple(dict.fromkeys(name for *_, name in sorted(appearances)))
