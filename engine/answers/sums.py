r"""Sums that a solution writes down, computed again: ``39 + 10 = 59`` is wrong.

A *sum* is any equation between two arithmetic expressions of numbers. A small model errs in arithmetic, the
hidden states hardly show the error (docs/research.md), and a calculator finds it. Equations with words are
left out, and a rounded result is not wrong.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import MAX_PREC, Context, Decimal
from fractions import Fraction
from itertools import pairwise

from ..kind_table import entry_of
from ..types import Problem, Step
from .latex import arithmetic

_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNIT_BEHIND = re.compile(
    r"(?<=\d)\s+(?!(?:squared|cubed|factorial|percent|dozen|hundred|thousand|million|billion)\b)"
    r"([a-z]{3,}(?: [a-z]{3,})?)(?=\s*[-+*/=)])"
)
_MARKDOWN = re.compile(r"(?<![\d) ])\*\*|\*\*(?!\s*[\d(])|(?m:^)\s*(?:[-*]|\d+[.)]) |`")

_TERMS = r"(?:[-\d.+*/() ^]|\x01[^\x02]*\x02){1,120}"
_UNIT = re.compile(r"\x01([^\x02]*)\x02")
_VARIABLE = re.compile(r"((?:^|[-+*/^(]) ?)\x01[^\x02]*[A-Za-z][^\x02]*\x02")
r"""Words in the place of a number, not of a unit: 3 * \text{price} - 1."""
_CHAIN = re.compile(rf"(?P<sums>(?=[ ]*[-(\d.]){_TERMS}(?:(?<![<>!:=])=(?!=){_TERMS})+)(?P<behind>.?)")
_OTHER_ARITHMETIC = re.compile(
    r"\s*(?:mod|percent|in (?:base|binary|octal|hex|Z)|o.?clock|[ap]\.?m\b)|[nxyz]\b", re.IGNORECASE
)
"""Behind 10 + 5 = 3: it holds on a clock, or goes on with an unknown."""
_NUMBER = re.compile(r"-?\d+(?:\.(?P<decimals>\d+))?")
_NO_PART = (
    r"(?!(?:of|by|than|from|plus|minus|negative|times|mod|between|and|over|twice|double|triple|half|third"
    r"|quarter|square|squared|cube|cubed|root|sqrt|power|abs|exp|log|ln|sin|cos|tan)\b)"
)
_BEFORE = re.compile(
    rf"(?:^|[\n=;,.\[\"]|(?<!\d):|:(?=\s)|(?<![\w^{{\\]){_NO_PART}[A-Za-z]{{2,}})\s*$",
    re.IGNORECASE,
)
"""Text that may stand in front of a whole sum: not a variable, an operator, or what acts on one number."""

_OPERATORS: Mapping[type, Callable[..., Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_CONTEXT = 40
_DECIMALS = 9
"""Further ones are a computer's noise: 0.1 + 0.2 = 0.30000000000000004."""
_LARGEST_POWER = 64
_LARGEST_BITS = 256


def equations(text: str) -> Iterator[tuple[str, bool]]:
    """Equations between numbers in a text, and whether each holds, in order; others are left out.

    Args:
        text: With or without LaTeX. Units are ignored, and so is everything that has a variable.
    """
    text = _UNIT_BEHIND.sub("\x01\\1\x02", _SEPARATOR.sub("", arithmetic(text)))
    text = _MARKDOWN.sub("", text)
    for match in _CHAIN.finditer(text):
        sums, behind = match["sums"], match["behind"]
        start = match.end("sums") - len(sums.lstrip())
        near = max(0, start - _CONTEXT)
        if not _BEFORE.search(text, near, start):
            continue
        is_call = sums.lstrip().startswith("(") and text[start - 1 : start].isalpha()  # factorial(5) = 120
        if is_call or _mixes_units(sums):
            continue
        sides = [_UNIT.sub("", _VARIABLE.sub(r"\1x", side)).strip() for side in sums.split("=")]
        sides[-1] = sides[-1].rstrip(".")
        *_, unit = "", *_UNIT.findall(sums.rpartition("=")[2])
        goes_on = behind and (behind in "\\{%_…" or (behind.isalpha() and not sums.endswith((" ", "\x02"))))
        other = _OTHER_ARITHMETIC.match
        if goes_on or other(text, match.end("sums")) or other(unit.lstrip(" (")):
            sides.pop()  # 12x, 75%, 3\sqrt{2}, 3 mod 12
        for at, (left, right) in enumerate(pairwise(sides)):
            if not _is_checkable(left, right, first=at == 0):
                continue
            a, b = _value(left), _value(right)
            if a is not None and b is not None:
                yield f"{left} = {right}", _equal(a, b, right) or _equal(b, a, left)


def _mixes_units(sums: str) -> bool:
    """1 hour + 30 minutes = 90 minutes."""
    units = {unit.strip().lower().rstrip("s.") for unit in _UNIT.findall(sums)} - {""}
    return len(units) > 1 and ("+" in sums or "-" in sums)


def _is_checkable(left: str, right: str, *, first: bool) -> bool:
    """Not 7 = 8, nor the rest of one ("- 1 = 13"), "the first 500 = 5 * 10" or 24 * 2/3 = 24 * 0.667."""
    if first and left.startswith("- "):
        return False
    if _NUMBER.fullmatch(left):
        return not first and not _NUMBER.fullmatch(right)
    return bool(_NUMBER.fullmatch(right)) or "." not in left + right


def wrong_sums(text: str, question: str = "") -> tuple[str, ...]:
    """Equations between numbers in a text that do not hold: ``39 + 10 = 59``.

    Args:
        text: Text of a model, usually one step.
        question: Its wrong sums are asked about ("Is 7 * 8 = 54?"): repeating one is no mistake.
    """
    wrong = tuple(equation for equation, holds in equations(text) if not holds)
    expression = wrong_sums(question) if wrong and question else ()
    return tuple(equation for equation in wrong if equation not in expression)


_IDLE = re.compile(r"#.*|^(\w+) = [\d.]+ *(?:#.*)?$(?![\s\S]{0,4000}\b\1\b)", re.MULTILINE)
"""A comment, and a name for a number that is not read again."""
_FIGURE = re.compile(r"\d{1,40}(?:\.\d{1,40})?")


def leaves_out(problem: Problem, solution: Iterable[Step]) -> bool:
    """True if a solution for a value does not use a number above 1 that the question gives in digits.

    A percentage is also used as a share. With a comma, a number may be one or two: it is not looked for. Nor
    belong to a text to read, and the question needs few of them.
    """
    if not entry_of(problem).is_fitted or problem.has_text:
        return False
    figures = _figures(_IDLE.sub("", "".join(step.text for step in solution)))
    return any(
        number > 1 and figures.isdisjoint((number, number / 100, 1 - number / 100, 1 + number / 100))
        for number in _figures(_DECIMAL_COMMA.sub(" ", problem.question))
    )


def _figures(text: str) -> set[Fraction]:
    return {Fraction(figure) for figure in _FIGURE.findall(_SEPARATOR.sub("", text))}


_ASKS_VALUE = re.compile(
    r"(?:(?:what(?:'s| is| are)|how much is|calculate|compute|evaluate|was ist|wie viel ist|combien font"
    r"|quanto fa|cu[aá]nto es)\b)?(?P<terms>[^=?]+)(?:=\s*)?\??\s*",
    re.IGNORECASE,
)
_PERCENT_OF = re.compile(r"(\d+(?:\.\d+)?) ?(?:%|percent) of (?=[\d(])")
_DECIMAL_COMMA = re.compile(r"(?<![\d,.])(\d+),(\d{1,2}|\d{4,})(?![\d,.])")
_TERMS_ONLY = re.compile(r"[-\d.+*/() ^]+")
_OPERATION = re.compile(r"[\d)] ?[-+*/^]")
_NO_EXPRESSION = re.compile(r"\d+([-/.])\d+\1\d+|\d{3,}-\d{3,}")
"""A date, or the number of a telephone."""
_MOST_DECIMALS = 10
_EXACT = Context(prec=MAX_PREC)


def expression_value(text: str) -> str | None:
    """The value of a message that is an expression: ``17 * 23``, ``15 % of 80``, ``3/4 + 1/8``.

    It is a whole number, a decimal number that ends, or else a fraction. None for any other message, and for
    one that people read in two ways, such as -5^2 or 100 + 10 %.
    """
    expression = _ASKS_VALUE.fullmatch(text.strip())
    if (
        expression is None
        or expression["terms"].count("$") == 1
        or _NO_EXPRESSION.fullmatch(expression["terms"].strip())
    ):
        return None
    terms = _DECIMAL_COMMA.sub(r"\1.\2", _SEPARATOR.sub("", arithmetic(expression["terms"]))).strip()
    terms = _PERCENT_OF.sub(r"(\1 / 100) * ", re.sub(r"(?<=\d) ?x ?(?=\d)", " * ", terms))
    if not _TERMS_ONLY.fullmatch(terms) or not _OPERATION.search(terms) or (value := _value(terms)) is None:
        return None
    exact = value * 10**_MOST_DECIMALS
    if exact.denominator > 1:
        return f"{value.numerator}/{value.denominator}"
    decimal = f"{Decimal(exact.numerator).scaleb(-_MOST_DECIMALS, _EXACT):f}"
    return decimal.rstrip("0").rstrip(".")


def _equal(exact: Fraction, rounded: Fraction, text: str) -> bool:
    """True if ``stated`` is ``exact``, or rounds it to the decimals that ``text`` has."""
    number = _NUMBER.fullmatch(text)
    if exact == rounded or number is None:
        return exact == rounded
    decimals = min(len(number["decimals"] or ""), _DECIMALS)
    rounds = decimals > 0 or exact.denominator > 1
    return rounds and abs(exact - rounded) < Fraction(1, 10**decimals)


def _value(text: str) -> Fraction | None:
    try:
        return _evaluate(ast.parse(text.replace("^", "**"), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _evaluate(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float()):
            return Fraction(repr(node.value))
        case ast.UnaryOp(op=ast.USub(), operand=inner) if not isinstance(inner, ast.BinOp):
            return -_evaluate(inner)  # -5^2 is meant either way
        case ast.BinOp(op=ast.Pow(), left=base, right=ast.Constant(value=int(power))):
            return _power(_evaluate(base), power)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left), _evaluate(right))
    raise ValueError("no sum of numbers")


def _power(base: Fraction, power: int) -> Fraction:
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if power > _LARGEST_POWER or bits > _LARGEST_BITS:
        raise ValueError("too large to be a sum")
    return base**power
