"""Tests that stand in the text of a problem: interactive sessions, asserts, and ``f(2) -> 4``.

Nobody has said that these are tests, so what is not plainly one is left alone and no error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from doctest import DocTestParser, Example

from adascale.engine.answers.program import called_names, try_parse

from .imports import missing_imports
from .syntax import is_literal, outside_names
from .task import CodeTest

_FENCES = re.compile(r"^[ \t]*(?:```|~~~).*$|\"\"\"|'''", re.MULTILINE)
_STATED = re.compile(
    r"(?:[-•*]\s+|\d+[.)]\s+|[\w ]{1,20}:\s+)?[`*]*(?P<call>.+\))[`*\s]*"
    r"(?:#?\s*(?:->|=>|==|→|⇒|➞)|should return|must return|returns|#)\s*(?P<value>.+)"
)
_LONGEST_LINE = 1_000
"""Characters of the longest line that is searched for ``f(2) -> 4``."""
_LONGEST = 40
"""Lines of the longest assert that is looked for."""
_MARKUP = "`* \t"
"""Characters around an example of one line: code marks, emphasis. A bullet may stand before it."""


def read_examples(text: str) -> tuple[CodeTest, ...]:
    """The examples in a problem's text as tests, in its order and without copies.

    A test calls functions that nothing in the example defines and needs no other name but modules, so that a
    formula in the text is no test.
    """
    plain = _FENCES.sub("", text)
    try:
        parts = DocTestParser().parse(plain)
    except ValueError:  # a session of another form
        parts = [plain]
    found: list[CodeTest] = []
    setup: list[str] = []
    for part in parts:
        if isinstance(part, Example):
            found += _typed(part, setup)
        elif part.strip():
            setup = []
            found += _written(part.splitlines())
    return tuple(dict.fromkeys(filter(_calls_a_program, found)))


def _calls_a_program(test: CodeTest) -> bool:
    tree = try_parse(test.text)
    if tree is None:
        return False
    modules = {line.removeprefix("import ") for line in missing_imports(test.text)}
    asked = set(outside_names(test.text)) - modules
    return bool(asked) and asked <= set(called_names(tree))


def _typed(example: Example, setup: list[str]) -> Iterator[CodeTest]:
    """The test of one input of a session; what may have changed its state becomes the setup of the next."""
    source = _expectation(example)
    if source is not None:
        yield CodeTest(source, "\n".join(setup))
    if source is None or (setup and not example.exc_msg):
        setup.append(example.source.strip())


def _expectation(example: Example) -> str | None:
    """An assert that an input shows this; None if it shows nothing, or more or less than its value."""
    statement, shown = example.source.strip(), example.want.rstrip("\n").replace("<BLANKLINE>", "")
    if not shown or example.options:
        return None
    if example.exc_msg:
        error = example.exc_msg.split(":")[0].strip()
        return _raising(statement, error) if error.isidentifier() else None
    match getattr(try_parse(statement), "body", None):
        case [ast.Expr(ast.Call(ast.Name("print"), values, []))]:
            printed = " + ' ' + ".join(f"str({ast.unparse(value)})" for value in values)
            return f"assert {printed} == {shown!r}"
        case [ast.Expr(ast.Call(ast.Name("print")))]:
            return None
        case [ast.Expr(typed)]:
            asked = ast.unparse(typed)
            if not is_literal(shown):
                return f"assert repr({asked}) == {shown!r}"
            is_compared = isinstance(typed, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.IfExp)
            return f"assert ({asked}) == {shown}" if is_compared else f"assert {asked} == {shown}"
    return None


def _raising(statement: str, error: str) -> str:
    body = "\n".join(f"    {line}" for line in statement.splitlines())
    message = f"{error} was not raised"
    return f"try:\n{body}\nexcept {error}:\n    pass\nelse:\n    assert False, {message!r}"


def _written(lines: list[str]) -> Iterator[CodeTest]:
    """Asserts in prose, and calls with what they give."""
    at = 0
    while at < len(lines):
        source = _assert(lines[at:]) or _stated(lines[at].strip(_MARKUP))
        if source:
            yield CodeTest(source)
        at += 1 + source.count("\n")


def _assert(lines: list[str]) -> str:
    """The assert that begins in the first line; empty if none does."""
    first = lines[0].lstrip(_MARKUP + "-•").rstrip(_MARKUP)
    for length in range(1, min(len(lines), _LONGEST) + 1) if first.startswith("assert ") else ():
        source = "\n".join([first, *(line.rstrip(_MARKUP) for line in lines[1:length])])
        if try_parse(source) is not None:
            return source
    return ""


def _stated(line: str) -> str:
    """``f(2) -> 4`` and its kin as an assert, where the left is a call and the right a literal."""
    found = _STATED.fullmatch(line) if len(line) <= _LONGEST_LINE else None
    if found is None:
        return ""
    value = found["value"].strip(_MARKUP + ".,;")
    match getattr(try_parse(found["call"]), "body", None):
        case [ast.Expr(ast.Call(function))] if ast.unparse(function) != "print" and is_literal(value):
            return f"assert {found['call']} == {ast.unparse(ast.parse(value, mode='eval'))}"
    return ""
