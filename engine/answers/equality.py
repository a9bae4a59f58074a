"""Equality of answers.

A cheap exact path comes first: texts without their white space and LaTeX spacing, numbers as fractions (with
a unit, mixed, or the only one in a sentence of plain words), option letters. math-verify decides the rest
(``use_verifier``). It is not symmetric: an interval answers for a gold inequality, and an inequality not for
a gold interval. So there are two functions: ``is_right`` gets a gold answer, ``same_answer``
compares two answers of a model.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from .latex import Rules, bare, readable, rewritten
from .moments import same_moment

_DIFFERENT = re.compile(r"[(\[]([^()\[\]]*)[)\]]\n[(\[]\1[)\]]|\d[\da-z]*_\d+\n\d[\da-z]*_\d+")
"""Two intervals such as (1,2] and [1,2], or numbers in bases such as 10_4 and 10_9."""
_SETS_APART = re.compile(r"(?<=[(\[{|=<>+/^;-]) | (?=\\?[)\]},;|=<>+/^-])|(?<=,) (?!\d{3}(?!\d))")
"""White space between the parts of an answer. Behind a comma it separates 3, 500 from 3,500."""

_SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
SCALE = rf"(?:{'|'.join(_SCALES)})"
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:\.\d{3})+|\d+),\d{1,2}(?![\d,])")
"""2,10 as in 2,10 Euro; 1,234 is a number of English."""
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_NUMBER = rf"([-+]?)(?:(\d+) (?=\d+ ?/))?(\(?[-+]?{DIGITS}?(?:\.\d+)?\)?)(?:\s?/\s?(\d+))?"
# A formula that goes on is no unit: 2x, 2 x, 5i, 2 sin x, 5 factorial. The other letters are: g, l, m.
_NO_UNIT = r"(?:[abdefiknopqrtuxyz]|pi|and|or|squared|cubed|factorial|sin|cos|tan|log|ln|sqrt|more|less|to)\b"
_POWER = r"\s+(?:mm|cm|dm|km|m|in|ft|yd|mi|units?|inches|feet|meters)\^\{?[23]\}?"
_WORDS = r"[A-Za-z](?:(?! (?:or|and|plus|minus|below)\b)[A-Za-z .²³/-])*"
_UNIT = rf"\s*[%°€]|\s+(?!{_NO_UNIT}){_WORDS}|{_POWER}|\s*/\s?[A-Za-z]{{3,}}"
_WITH_UNIT = re.compile(rf"[$€£]?\s*{_NUMBER}(?:\s+({SCALE})s?\b)?(?:{_UNIT})?")
_EQUATION = re.compile(
    r"(?=[^=,]*+=[^=,]*+\Z)"
    r"(?!(?=[^=]*[a-z])[^=]*(?:[-+*/^|]|\d\s*[a-z\\]|\\frac|\\sqrt))[^=]*(?<![<>!])= *(.*)"
)
"""The value of an unknown or of a sum: with letters on its left, a line has more than a name there."""

_NORMAL: Rules = (
    (r"(?<![a-z])([ap])\.? ?m\b", r"\1m"),
    (r"^(?:negative|minus) (?=[\d.])", "-"),
    (  # 1.5e-3, 3 \cdot 10^8
        r"(?<![\w.,^/])(?<!/ )(\d+(?:\.\d+)?)(?:e|\s?(?:[\u00d7·*]|\\times|\\cdot)\s?10\s?\^)"
        r"\{?([-+]?\d{1,2})\}?(?![\w^]|\.\d)",
        lambda number: f"{Decimal(f'{number[1]}e{number[2]}'):f}",
    ),
    (r"(?<![a-z])pi\b", "π"),
    ("infinity", "∞"),
)
_DECIMAL = re.compile(r"(?<![\d.,])(\d*)\.(\d{2,})(?![\d.])")
_FEWEST = 5
"""Digits of a decimal that is taken for a rounded number."""
_INVOLVED = re.compile(r"[\\^_=+*\u00d7·÷√(){}]|(?: \S+){3}")
"""A formula, or a sentence."""
_FLOAT_NOISE = Fraction(1, 10**11)
"""Share of a number by which computed ones differ: a program's are printed with twelve digits."""

Verifier = Callable[[str, str], bool | None]
"""``verifier(gold, answer)``: True if ``answer`` equals ``gold``; None without a verdict in time.

The port of computer algebra; ``models`` connects math-verify. Has to end on any two texts, in any thread.
"""


def _no_verifier(gold: str, answer: str) -> bool | None:
    raise RuntimeError("no verifier compares answers: import adascale.models, or call use_verifier")


_verifier: Verifier = _no_verifier


def use_verifier(verifier: Verifier) -> None:
    """Compare answers by this verifier from now on."""
    global _verifier
    _verifier = verifier


def is_right(answer: str | None, *, gold: str) -> bool:
    """True if a model's answer is the known right one; no answer never is.

    White space, units (but for minutes and hours and their like, cents and dollars, and months), thousands
    separators, currency signs and LaTeX spacing do not matter; 1/2, 0.5 and a LaTeX fraction are the same.
    An answer that is no mathematics is compared as text without case.
    """
    if answer is None:
        return False
    verdict = _cheap_verdict(_normal(gold), _normal(answer))
    return _verify(gold, answer) if verdict is None else verdict


def same_answer(a: str, b: str) -> bool:
    """True if two answers of a model mean the same: either would be right if the other were gold."""
    return is_right(a, gold=b) or is_right(b, gold=a)


def _cheap_verdict(left: str, right: str) -> bool | None:
    """The verdict on two normal forms; None if it takes computer algebra."""
    compact = _compact(left), _compact(right)
    if compact[0] == compact[1]:
        return True
    if _DIFFERENT.fullmatch("\n".join(compact)):
        return False
    if (verdict := same_moment(left, right)) is not None:
        return verdict
    x, y = plain_number(left), plain_number(right)
    if (x is None) != (y is None):  # only beside a number is 2,10 one too
        x, y = (plain_number(_DECIMAL_COMMA.sub(_with_point, text)) for text in (left, right))
    if x is not None and y is not None:
        return x == y or abs(x - y) <= _rounding(f"{left} {right}", x)
    if not _is_mathematics(left) or not _is_mathematics(right):
        return False
    return None


def _with_point(decimal: re.Match[str]) -> str:
    return decimal[0].replace(".", "").replace(",", ".")


def simplicity(answer: str) -> tuple[bool, bool]:
    """Larger for the simpler of two equal answers: 16/63 beside 0.253968253968, 12 beside (15 * 80)/100."""
    return not re.search(r"\d\.\d{6}|\.0*[1-9]\d{5}", answer.lstrip("0")), not _INVOLVED.search(answer)


def _rounding(decimals: str, value: Fraction) -> Fraction:
    """Half a unit of the last place of a rounded decimal: 0.333333333333 is 1/3. The coarser of two decides.

    0 without one: others are exact.
    """
    parts = _DECIMAL.findall(decimals)
    places = [len(after) for before, after in parts if len((before + after).lstrip("0")) >= _FEWEST]
    return max(Fraction(1, 2 * 10 ** min(places)), abs(value) * _FLOAT_NOISE) if places else Fraction(0)


@functools.lru_cache(maxsize=1 << 14)
def plain_number(answer: str) -> Fraction | None:
    """The exact number that an answer is, its unit ignored; of ``x = 3`` and ``5 - 2 = 3`` the right side."""
    if equation := _EQUATION.match(answer):
        answer = equation[1]
    if answer in _NUMBER_WORDS:
        return Fraction(_NUMBER_WORDS.index(answer))
    try:
        match = _WITH_UNIT.fullmatch(answer)
        if not match or not re.search(r"\d", match[3]):
            return None
        sign, whole, over, under, scale = match.groups()
        value = Fraction(over.strip("()").replace(",", "")) / int(under or 1) + int(whole or 0)
        return (-value if sign == "-" else value) * _SCALES.get(scale, 1)
    except (ValueError, ZeroDivisionError):
        return None


@functools.lru_cache(maxsize=1 << 14)
def _normal(answer: str) -> str:
    plain = readable(bare(answer).replace(r"\overline", "overline"))
    return rewritten(plain.rstrip(".").lower(), _NORMAL)


def _compact(normal: str) -> str:
    """A normal form without the white space that only sets its parts apart: ``(1, 2)`` as ``(1,2)``.

    No interval is closed at infinity.
    """
    return _SETS_APART.sub("", normal).replace("[-∞", "(-∞").replace("∞]", "∞)")


def _is_mathematics(normal: str) -> bool:
    return bool(re.search(r"[\d\\^_=+√π∞<>≤≥≠∅]|(?<![a-z])[a-z] ?[-*/] ?[a-z(](?![a-z])", normal))


@functools.lru_cache(maxsize=1 << 14)
def _verify(gold: str, answer: str) -> bool:
    """The verifier's verdict; without one in time they differ.

    9^{9^{9^9}} is a tower that sympy builds: one that cannot even be told from 1 is compared with no other.
    """
    return not _is_endless(gold) and not _is_endless(answer) and _verifier(gold, answer) is True


@functools.lru_cache(maxsize=1 << 14)
def _is_endless(answer: str) -> bool:
    return _verifier(answer, "1") is None
