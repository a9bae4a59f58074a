"""A program and its tests as one source, and the verdicts in what running that source printed.

The source keeps to what both interpreters run: CPython, and the subset of pydantic-monty. Each test is a
function of its own, so that neither its imports nor its names change the program's. A verdict is a line that
begins with a nonce, a hash of the program and its tests: no text that stands in the program can be one, as it
would hold its own hash. (A program that searches the frames of a CPython for it could; what is meant is a
model's program that prints, not an attacker's, whom the sandbox holds.)
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from adascale.engine.answers.program import parse
from adascale.engine.types import Execution, TestOutcome, Verdict

from .syntax import is_from_future, unparse
from .task import Suite

_SHOWN = 200
"""Characters of a value or message that a verdict keeps."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_VERDICT = r"""{n} ([0-9]{{1,9}}) (passed|failed|error) ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
"""A line with a verdict. A test may print what it likes there, so only one string in quotes is read."""

_HARNESS = """\
print_{n}, repr_{n}, str_{n}, type_{n}, isinstance_{n} = print, repr, str, type, isinstance
given_{n}, messages_{n}, missed_{n} = [], [], []


def keep_{n}(value):
    given_{n}[:] = [value]
    return value


def call_{n}(function_{n}, *args, **kwargs):
    given_{n}.clear()
    return keep_{n}(function_{n}(*args, **kwargs))


def fail_{n}(message=""):
    messages_{n}.append(message)
    raise AssertionError(message)


def text_{n}(write, value):
    try:
        return write(value)[:{shown}]
    except BaseException:
        return "<unprintable>"


def run_{n}(number, test):
    given_{n}.clear()
    messages_{n}.clear()
    verdict, detail = "passed", ""
    try:
        test()
    except BaseException as error:
        is_assert = isinstance_{n}(error, AssertionError)
        if is_assert and given_{n}:
            verdict, detail = "failed", text_{n}(repr_{n}, given_{n}[0])
        elif is_assert and messages_{n}:
            verdict, detail = "failed", text_{n}(str_{n}, messages_{n}[0])
        else:
            message = text_{n}(str_{n}, error)
            verdict, detail = "error", type_{n}(error).__name__ + (": " + message if message else "")
    if verdict != "passed":
        missed_{n}.append(number)
    print_{n}("\\n{n}", number, verdict, repr_{n}(detail))
"""
_PYTEST = """\
abs_{n}, all_{n}, dict_{n}, len_{n}, max_{n}, zip_{n} = abs, all, dict, len, max, zip
infinity_{n} = float("inf")


class Raises_{n}:
    def __init__(self, expected, match):
        self.expected, self.pattern, self.type, self.value = expected, match, None, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            fail_{n}(getattr(self.expected, "__name__", "an expected error") + " was not raised")
        self.type, self.value = kind, error
        if not isinstance_{n}(error, self.expected):
            return False
        return self.pattern is None or self.match(self.pattern)

    def match(self, pattern):
        import re
        if not re.search(pattern, str_{n}(self.value)):
            fail_{n}(str_{n}(self.value))
        return True


class Approx_{n}:
    def __init__(self, expected, rel, least):
        self.expected, self.rel, self.least = expected, rel, least

    def __eq__(self, other):
        if isinstance_{n}(self.expected, dict):
            if self.expected.keys() != other.keys():
                return False
            return all_{n}([self.of(value) == other[key] for key, value in self.expected.items()])
        if isinstance_{n}(self.expected, (list, tuple)):
            near = [self.of(value) == found for value, found in zip_{n}(self.expected, other)]
            return len_{n}(self.expected) == len_{n}(other) and all_{n}(near)
        if self.expected == other:
            return True
        try:
            near = max_{n}(self.rel * abs_{n}(self.expected), self.least)
            return abs_{n}(self.expected - other) <= near < infinity_{n}
        except TypeError:  # no numbers
            return False

    def of(self, expected):
        return Approx_{n}(expected, self.rel, self.least)


class Param_{n}:
    def __init__(self, values):
        self.values = values


class Mark_{n}:
    def parametrize(self, names, rows, ids=None):
        is_text = isinstance_{n}(names, str_{n})
        names = names.replace(",", " ").split() if is_text else names

        def decorate(test):
            def run(**given):
                for row in rows:
                    if isinstance_{n}(row, Param_{n}):
                        row = row.values
                    elif is_text and len_{n}(names) == 1:
                        row = [row]
                    test(**given, **dict_{n}(zip_{n}(names, row)))
            return run
        return decorate


class Pytest_{n}:
    def __init__(self):
        self.mark = Mark_{n}()

    def raises(self, expected, *call, match=None):
        raising = Raises_{n}(expected, match)
        if not call:
            return raising
        with raising:
            call[0](*call[1:])
        return raising

    def approx(self, expected, rel=None, abs=None):
        if rel is None:
            rel = 1e-6 if abs is None else 0
        return Approx_{n}(expected, rel, 1e-12 if abs is None else abs)

    def param(self, *values, id=None):
        return Param_{n}(values)


pytest = Pytest_{n}()
"""
"""The stand-in for pytest, which is not installed where programs run."""
_END = 'missed_{n} and fail_{n}("not every test passed")'
"""So a source runs to its end where its program passes every test, and nowhere else."""


@dataclass(frozen=True, slots=True)
class Harness:
    """A program with the tests that it has to pass."""

    program: str
    suite: Suite

    @property
    def source(self) -> str:
        """Source that an executor runs.

        Raises:
            SyntaxError: the program does not parse.
        """
        nonce = self.nonce
        shared: list[ast.stmt] = []
        runs: list[str] = []
        for number, test in enumerate(self.suite.tests):
            body = parse(test.text).body
            shared += [node for node in body if _is_for_modules(node)]
            instrumented = _Instrumented(nonce, self.suite.entry_point)
            steps = [instrumented.visit(node) for node in body if not _is_for_modules(node)]
            runs.append(_as_function(f"test_{nonce}", steps))
            runs.append(f"run_{nonce}({number}, test_{nonce})")
        program = parse(self.program).body
        future = [node for node in [*program, *shared] if is_from_future(node)]
        stars = [node for node in shared if not is_from_future(node)]
        rest = [node for node in program if not is_from_future(node)]
        harness = _HARNESS.format(n=nonce, shown=_SHOWN)
        if any("pytest" in test.text for test in self.suite.tests):
            harness += _PYTEST.replace("{n}", nonce)
        return "\n".join(
            [unparse(future), harness, unparse(stars), unparse(rest), *runs, _END.format(n=nonce)]
        )

    def verdicts(self, execution: Execution) -> tuple[Verdict, ...]:
        """One verdict for each test, in their order, from running ``source``."""
        line = re.compile(_VERDICT.format(n=self.nonce))
        found: dict[int, Verdict] = {}
        for match in filter(None, map(line.fullmatch, execution.output.split("\n"))):
            try:
                detail = ast.literal_eval(match[3])
            except (SyntaxError, ValueError):  # no string that ``repr`` writes
                continue
            found.setdefault(int(match[1]), Verdict(_OUTCOMES[match[2]], _shown(detail)))
        numbers = range(len(self.suite.tests))
        end = next((number for number in numbers if number not in found), None)
        ending = {} if end is None else {end: _ending(execution)}
        return tuple((found | ending).get(number, Verdict("not-run")) for number in numbers)

    def without_verdicts(self, output: str) -> str:
        """Output of the program itself."""
        return re.sub(rf"\n{self.nonce} [^\n]*(?:\n|$)", "", output)

    @property
    def nonce(self) -> str:
        """Mark of a verdict: 16 hexadecimal digits that nobody knows before the program is written."""
        texts = [self.program, self.suite.entry_point, *(test.text for test in self.suite.tests)]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


_OUTCOMES: dict[str, TestOutcome] = {"passed": "passed", "failed": "failed", "error": "error"}


def _ending(execution: Execution) -> Verdict:
    """The verdict of the test in which a run ended."""
    if execution.error.startswith("TimeoutError"):
        return Verdict("time-limit")
    return Verdict("error", _shown(execution.error) or "the program ended before its tests did")


def _shown(text: str) -> str:
    """A text as one line without addresses of objects, which differ from run to run."""
    return _ADDRESS.sub("", text.strip().split("\n")[0])[:_SHOWN]


class _Instrumented(ast.NodeTransformer):
    """Has calls of the entry point keep what they give, and failing asserts tell it."""

    def __init__(self, nonce: str, entry_point: str) -> None:
        self._nonce = nonce
        self._entry_point = entry_point

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == self._entry_point:
            return self._helper("call", node.func, *node.args, keywords=node.keywords)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        match node.value:  # of `Stack().pop()`, the object is not what is asked for
            case ast.Call(ast.Name(self._entry_point)):
                self.generic_visit(node.value)
            case _:
                self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.If:
        asks = ast.unparse(node.test)
        self.generic_visit(node)
        if ast.unparse(node.test) == asks and node.msg is None:
            node.test = self._keeping(node.test)
        fail = self._helper("fail", *([node.msg] if node.msg else []))
        return ast.If(ast.UnaryOp(ast.Not(), node.test), [ast.Expr(fail)], [])

    def _keeping(self, test: ast.expr) -> ast.expr:
        """A condition that keeps its left side, as it calls the entry point nowhere."""
        match test:
            case ast.Compare(left, operators, others):
                return ast.Compare(self._helper("keep", left), operators, others)
            case ast.UnaryOp(ast.Not(), operand):
                return ast.UnaryOp(ast.Not(), self._helper("keep", operand))
            case ast.Call():
                return self._helper("keep", test)
        return test

    def _helper(self, name: str, *arguments: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
        return ast.Call(ast.Name(f"{name}_{self._nonce}"), list(arguments), list(keywords))


def _as_function(name: str, body: Sequence[ast.stmt]) -> str:
    arguments = ast.arguments([], [], None, [], [], None, [])
    return unparse([ast.FunctionDef(name, arguments, list(body), [])])


def _is_for_modules(node: ast.stmt) -> bool:
    """True if a statement is one that no function may hold."""
    return isinstance(node, ast.ImportFrom) and (node.names[0].name == "*" or is_from_future(node))
