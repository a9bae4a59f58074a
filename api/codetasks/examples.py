"""Tests that stand in the text of a problem: interactive sessions, asserts, and ``f(2) -> 4``.

Nobody has said that these are tests, so what is not plainly one is left alone and no error.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence

from adascale.engine.answers.program import called_names, try_parse

from .imports import missing_modules
from .syntax import is_literal, outside_names
from .task import CodeTest

_PROMPT, _CONTINUED = ">>>", "..."
_ARROW = re.compile(
    r"\s*(?:(?:#\s*)?(?:->|=>|==>|-->|→|⇒|➞)|==|should return|must return|returns|#(?:\s*\w+:)?)\s*"
)
_CALL = re.compile(r"(?<![\w.])[A-Za-z_]\w*\(.*\)$")
_BULLET = re.compile(r"[\s`*]*(?:(?:[-•]|\d+[.)])\s+)?[\s`*]*")
_OPERATOR = re.compile(r"(?:[+/%]\s*|\s\*\s+|\bnot\s+)`*$")
"""Stands before a call that is a part of a longer expression."""
_LONGEST_LINE = 1_000
"""Characters of the longest line that is searched for ``f(2) -> 4``, which takes the square of its length."""
_MARKUP = "`* \t"
"""Characters around an example of one line: code marks, emphasis. A bullet may stand before it."""
_LONGEST = 40
"""Lines of the longest assert that is looked for."""
_TRACEBACK = "Traceback (most recent call last):"


def read_examples(text: str) -> tuple[CodeTest, ...]:
    """The examples in a problem's text as tests, in its order and without copies.

    A test calls functions that nothing in the example defines and needs no other name but modules, so that a
    formula in the text is no test.
    """
    lines = text.splitlines()
    found: list[CodeTest] = []
    at = 0
    while at < len(lines):
        length, tests = _session(lines[at:]) or _assert(lines[at:]) or (1, _stated(lines[at]))
        found += [test for test in tests if _calls_a_program(test)]
        at += length
    return tuple(dict.fromkeys(found))


def _calls_a_program(test: CodeTest) -> bool:
    tree = try_parse(test.text)
    if tree is None:
        return False
    asked = set(outside_names(test.text)) - set(missing_modules(test.text))
    return bool(asked) and asked <= set(called_names(tree))


def _session(lines: Sequence[str]) -> tuple[int, list[CodeTest]] | None:
    """The interactive session that begins in the first line: its length in lines, and its tests."""
    if not lines[0].strip().startswith(_PROMPT):
        return None
    setup: list[str] = []
    tests: list[CodeTest] = []
    at = 0
    while at < len(lines) and lines[at].strip().startswith(_PROMPT):
        statement, at = _typed(lines, at)
        shown, at = _shown(lines, at)
        source = _expectation(statement, shown) if shown else None
        if source is not None:
            tests.append(CodeTest(source, "\n".join(setup)))
        if source is None or (setup and not shown.startswith(_TRACEBACK)):
            setup.append(statement)  # with a state behind it, what was asked before may have changed it
        while at < len(lines) and not lines[at].strip():
            at += 1
    return at, tests


def _typed(lines: Sequence[str], at: int) -> tuple[str, int]:
    """The statement behind a prompt, with its continued lines, and the line below it."""
    typed = [lines[at].strip().removeprefix(_PROMPT).removeprefix(" ")]
    at += 1
    while at < len(lines) and lines[at].strip().startswith(_CONTINUED):
        typed.append(lines[at].strip().removeprefix(_CONTINUED).removeprefix(" "))
        at += 1
    return "\n".join(typed).strip(), at


def _shown(lines: Sequence[str], at: int) -> tuple[str, int]:
    """Output of a statement in a session, up to an empty line, a prompt or the end of its block."""
    shown: list[str] = []
    while at < len(lines):
        line = lines[at].rstrip()
        if not line or line.lstrip().startswith((_PROMPT, "```", "~~~", '"""', "'''")):
            break
        shown.append(re.sub(r"(\"\"\"|''')$", "", line))
        at += 1
    return textwrap.dedent("\n".join(shown)).replace("<BLANKLINE>", ""), at


def _expectation(statement: str, shown: str) -> str | None:
    """An assert that a typed expression shows this; None if the input is not one, or shows more or less."""
    if "# doctest:" in statement:  # what is shown is no more than alike
        return None
    if shown.startswith(_TRACEBACK):
        error = shown.rsplit("\n", 1)[-1].split(":")[0].strip()
        return _raising(statement, error) if error.isidentifier() else None
    match getattr(try_parse(statement), "body", None):
        case [ast.Expr(ast.Call(ast.Name("print")) as call)]:
            return _printing(call, shown)
        case [ast.Expr(typed)]:
            if is_literal(shown):
                return f"assert {_operand(typed)} == {shown}"
            return f"assert repr({ast.unparse(typed)}) == {shown!r}"
    return None


def _printing(call: ast.Call, shown: str) -> str | None:
    """An assert that a call of ``print`` writes this; None if it has more than its values (``end``)."""
    if call.keywords or any(isinstance(value, ast.Starred) for value in call.args):
        return None
    printed = " + ' ' + ".join(f"str({ast.unparse(value)})" for value in call.args)
    return f"assert {printed} == {shown!r}"


def _raising(statement: str, error: str) -> str:
    body = "\n".join(f"    {line}" for line in statement.splitlines())
    message = f"{error} was not raised"
    return f"try:\n{body}\nexcept {error}:\n    pass\nelse:\n    assert False, {message!r}"


def _assert(lines: Sequence[str]) -> tuple[int, list[CodeTest]] | None:
    """The assert that begins in the first line: its length in lines, and itself as a test."""
    first = lines[0].lstrip(_MARKUP + "-•").rstrip(_MARKUP)
    if not first.startswith("assert "):
        return None
    for length in range(1, min(len(lines), _LONGEST) + 1):
        source = "\n".join([first, *(line.rstrip(_MARKUP) for line in lines[1:length])])
        if try_parse(source) is not None:
            return length, [CodeTest(source)]
    return None


def _stated(line: str) -> Iterator[CodeTest]:
    """``f(2) -> 4`` and its kin as a test, where the left is a call and the right a literal."""
    if len(line) > _LONGEST_LINE:
        return
    for arrow in _ARROW.finditer(line):
        call = _call_at_end(line[: arrow.start()].rstrip(_MARKUP))
        right = line[arrow.end() :].strip(_MARKUP)
        expected = next(filter(is_literal, [right.rstrip(".,;`"), right]), None)
        if not call or expected is None:
            continue
        match getattr(try_parse(call), "body", None):
            case [ast.Expr(ast.Call(ast.Name("print")) as printing)]:
                value = ast.literal_eval(expected)
                shown = expected if isinstance(value, int | float | complex) else str(value)
                if (source := _printing(printing, shown)) is not None:
                    yield CodeTest(source)
                return
            case [ast.Expr(ast.Call())]:
                yield CodeTest(f"assert {call} == {ast.unparse(ast.parse(expected, mode='eval'))}")
                return


def _call_at_end(text: str) -> str:
    """The call at the end of a text; empty where it is a part of an expression, as in ``2 * f(2)``."""
    if not text.endswith(")"):
        return ""
    whole = text[_BULLET.match(text).end() :]  # type: ignore[union-attr]
    match getattr(try_parse(whole), "body", None):
        case [ast.Expr(value)]:
            return whole if isinstance(value, ast.Call) else ""
    call = _CALL.search(text)
    return "" if call is None or _OPERATOR.search(text[: call.start()]) else call[0]


def _operand(node: ast.expr) -> str:
    """An expression as the left side of a comparison."""
    source = ast.unparse(node)
    atoms = ast.Call | ast.Name | ast.Attribute | ast.Subscript | ast.BinOp
    return source if isinstance(node, atoms) else f"({source})"
