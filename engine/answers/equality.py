"""Equality of answers.

A cheap exact path comes first: texts without their white space and LaTeX spacing, numbers as fractions (with
a unit, mixed, or the only one in a sentence of plain words), option letters. math-verify decides the rest
(``use_verifier``). It is not symmetric: an interval answers for a gold inequality, and an inequality not for
a gold interval. So there are two questions here: ``is_right`` knows which answer is gold, ``same_answer``
compares two answers of a model.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from .latex import normal_latex
from .moments import same_moment

_OPTION = re.compile(r"\(?([A-Ha-h])(?:\)?[.:]?|\)?[.):]\s.*)", re.DOTALL)
_SETS_APART = re.compile(r"(?<=[(\[{|=<>+/^;-]) | (?=\\?[)\]},;|=<>+/^-])|(?<=,) (?!\d{3}(?!\d))")
"""White space that only sets the parts of an answer apart. Behind a comma it tells 3, 500 from 3,500."""

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
_SCALE = rf"(?:{'|'.join(_SCALES)})"
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:\.\d{3})+|\d+),\d{1,2}(?![\d,])")
"""2,10 as in 2,10 Euro; 1,234 is a number of English."""
_NEGATIVE = re.compile(r"^(?:negative|minus) (?=[\d.])")
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_NUMBER = rf"[-+]?{_DIGITS}?(?:\.\d+)?(?:\s?/\s?\d+)?"
# A formula that goes on is no unit: 2x, 2 x, 5i, 2 sin x, 5 factorial. The other letters are: g, l, m.
_NO_UNIT = r"(?:[abdefiknopqrtuxyz]|pi|and|or|squared|cubed|factorial|sin|cos|tan|log|ln|sqrt|more|less|to)\b"
_POWER = r"\s+(?:mm|cm|dm|km|m|in|ft|yd|mi|units?|inches|feet|meters)\^\{?[23]\}?"
_WORDS = r"[A-Za-z](?:(?! (?:or|and|plus|minus|below)\b)[A-Za-z .²³/-])*"
_UNIT = rf"\s*[%°]|\s+(?!{_NO_UNIT}){_WORDS}|{_POWER}|\s*/\s?[A-Za-z]{{3,}}"
_WITH_UNIT = re.compile(rf"[$€£]?\s*({_NUMBER})(?:\s+({_SCALE})s?\b)?(?:{_UNIT})?")
_MIXED = re.compile(r"(-?)(?:(\d+)\s*)?\\frac\{(-?\d+)\}\{(-?\d+)\}")
_PLAIN_MIXED = re.compile(r"(-?)(\d+) (\d+)/(\d+)")

_IN_WORDS = re.compile(
    r"(?:(?<![\w./^-])-|(?<![\w.,/^-]))"
    rf"(?:\d+ \d+/\d+|{_DIGITS}(?:\.\d+)?(?: ?/ ?\d+)?)(?![\w/^!]|[.,]\d)(?: {_SCALE}s?\b)?"
)
_NO_PLAIN_WORDS = re.compile(
    r"[\\^_=+*<>{}|\u00b1\u2213\u2264\u2265\u221a]|\d ?[-\u2013/:] ?[\d(a-z]*[a-z(]|\d ?[-\u2013:] ?\d"
    r"|\d ?(?:[b-z]|pi)\b|[-\u2013] \d|,[^\s\d]|[-+]i\b|(?<!['\u2019])\b[b-hj-z]\b"
)
"""Signs of a formula: operators, names of unknowns, and hyphens that may be a minus."""
_ANOTHER_NUMBER = re.compile(
    r"\b(?:negative|than|least|most|not|never|except|between|or|over|under|above|below"
    r"|plus|minus|divided|factorial|squared?|cubed?|roots?|power|twice|double|triple|half|halves|thirds?|quarters?"
    r"|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
)
"""Beside these words a number is not the whole answer, or not the only one: more than 5, twice 5."""

_FORMULA = re.compile(r"(?=.*[a-z]).*(?:[-+*/^|]|\d\s*[a-z\\]|\\frac|\\sqrt)")
"""A left side that has more than a name: an equation of a line, not the value of an unknown."""
_HALF_OF_DAY = re.compile(r"(?<![a-z])([ap])\.? ?m\b")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_LIST = re.compile(r"\[([^()\[\]]+)\]")
_IN_BASE = re.compile(r"(\d[\da-z]*)_\{?([2-9]|[1-3]\d)\}?")
_PI = re.compile(r"π|(?<![\\a-z])pi\b")
_SCIENTIFIC = re.compile(
    r"(?<![\w.,^/])(?<!/ )(\d+(?:\.\d+)?)(?:e|\s?(?:[\u00d7·*]|\\times|\\cdot)\s?10\s?\^)"
    r"\{?([-+]?\d{1,2})\}?(?![\w^]|\.\d)"
)
"""1.5e-3, 3 \\cdot 10^8."""

_LONG_DECIMAL = re.compile(r"(?<![\d.])(\d*)\.(\d{6,})(?![\d.])")
_DECIMAL = re.compile(r"(?<![\d.,])(\d+)\.(\d+)(?![\d.])")
_FEWEST = 5
"""Digits of a decimal that is taken for the rounding of a longer one."""
_INVOLVED = re.compile(r"[\\^_=+*\u00d7·÷√(){}]|(?: \S+){3}")
"""A formula, or a sentence."""
_SIGNIFICANT = 6
"""Digits from which a decimal is taken for a rounded number, as math-verify rounds to six."""
_FLOAT_NOISE = Fraction(1, 10**11)
"""Share of a number by which computed ones differ: a program's are printed with twelve digits."""

_ATTEMPTS = 2
"""Tries of a comparison that runs out of time."""

_out_of_time: Counter[tuple[str, str]] = Counter()
_endless: set[str] = set()
"""Answers of which no comparison ends: 9^{9^{9^9}} is a tower that sympy builds."""


Verifier = Callable[[str, str], bool | None]
"""``verifier(gold, answer)``: is ``answer`` right where ``gold`` is; None without a verdict in time.

The port of computer algebra, where ``models`` puts math-verify. Has to end on any two texts, in any thread.
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
    separators, currency signs and LaTeX spacing do not matter; 1/2, 0.5 and a LaTeX fraction are the same;
    a sentence with one number in it is that number where the known answer is a number; the list ``[2, 3]``,
    as a program prints it, is ``2, 3``. An answer that is no mathematics is compared as text without case.
    """
    if answer is None:
        return False
    known, found = _normal(gold), _normal(answer)
    if _is_listed(found, known) or (known.count(",") > 1 and _is_listed(known, found)):
        return True
    verdict = _cheap_verdict(known, found, plain_number(known), number(found))
    return _verify(gold, answer) is True if verdict is None else verdict


def same_answer(a: str, b: str) -> bool:
    """True if two answers of a model mean the same: either would be right if the other were gold."""
    left, right = _normal(a), _normal(b)
    if _is_listed(left, right) or _is_listed(right, left):
        return True
    verdict = _cheap_verdict(left, right, number(left), number(right))
    if verdict is None and (verdict := _verify(a, b)) is False:
        verdict = _verify(b, a)
    return verdict is True


def _is_listed(listed: str, other: str) -> bool:
    """True for ``[2, 3]`` and ``2, 3``; beside another bracket it is an interval."""
    found = _LIST.fullmatch(listed)
    return found is not None and not other.startswith(("[", "(")) and is_right(found[1], gold=other)


def _cheap_verdict(left: str, right: str, x: Fraction | None, y: Fraction | None) -> bool | None:
    """The verdict on two normal forms and their numbers; None if it takes computer algebra."""
    compact = _compact(left), _compact(right)
    if left == right or compact[0] == compact[1]:
        return True
    inner = [found[1] for each in compact if (found := _BRACKETS.fullmatch(each))]
    if len(inner) == 2 and inner[0] == inner[1]:
        return False  # (1, 2] and [1, 2]
    based = _in_base(left), _in_base(right)
    if None not in based:
        return based[0] == based[1]
    if (verdict := same_moment(left, right)) is not None:
        return verdict
    if x is None or y is None:
        x, y = _with_comma(left, x, y), _with_comma(right, y, x)
    if x is not None and y is not None:
        return x == y or abs(x - y) <= _rounding(left, right, x)
    if not _is_mathematics(left) or not _is_mathematics(right):
        return _same_option(left, right)
    return None


def _with_comma(text: str, value: Fraction | None, other: Fraction | None) -> Fraction | None:
    """The number of a text; with a decimal comma if it has none else, and a unit or the other one says so."""
    found = _DECIMAL_COMMA.findall(text)
    if value is not None or len(found) != 1 or (other is None and found[0] == text):
        return value
    return number(text.replace(found[0], found[0].replace(".", "").replace(",", ".")))


def simplicity(answer: str) -> tuple[bool, bool]:
    """Larger for the simpler of two equal answers: 16/63 beside 0.253968253968, 12 beside (15 * 80)/100."""
    return not _long_decimals(answer), not _INVOLVED.search(answer)


def _rounding(left: str, right: str, value: Fraction) -> Fraction:
    """Half a unit of the last place of a rounded decimal: 0.333333333333 is 1/3. The coarser of two decides.

    Beside a longer decimal five digits are enough, two of them behind the point, as in 8.0467 for 8.04672.
    0 without one: others are exact.
    """
    places = [*_long_decimals(left), *_long_decimals(right)]
    if (a := _DECIMAL.search(left)) and (b := _DECIMAL.search(right)) and len(a[2]) != len(b[2]):
        shorter = min(a, b, key=lambda match: len(match[2]))
        if len(shorter[2]) > 1 and len((shorter[1] + shorter[2]).lstrip("0")) >= _FEWEST:
            places.append(len(shorter[2]))
    return max(Fraction(1, 2 * 10 ** min(places)), abs(value) * _FLOAT_NOISE) if places else Fraction(0)


def _long_decimals(text: str) -> list[int]:
    """Decimal places of each long decimal."""
    found = _LONG_DECIMAL.findall(text)
    return [len(after) for before, after in found if len((before + after).lstrip("0")) >= _SIGNIFICANT]


def _in_base(normal: str) -> int | None:
    """Value of ``1110_{4}``; None for what names no base, and is read as it stands."""
    if not (match := _IN_BASE.fullmatch(normal)):
        return None
    try:
        return int(match[1], int(match[2]))
    except ValueError:
        return None


def number(answer: str) -> Fraction | None:
    """The exact number that an answer is, or that a sentence gives as the only one; None without one.

    Args:
        answer: In normal form: lower case, no LaTeX but fractions, single spaces.
    """
    if (value := plain_number(answer)) is not None:
        return value
    found = the_number(answer)
    return plain_number(found[0]) if found else None


def the_number(sentence: str) -> re.Match[str] | None:
    """The only number of a sentence of plain words, in lower case; None without one."""
    found = [*_IN_WORDS.finditer(sentence)]
    if len(found) != 1 or _NO_PLAIN_WORDS.search(sentence) or _ANOTHER_NUMBER.search(sentence):
        return None
    return found[0]


@functools.lru_cache(maxsize=1 << 14)
def plain_number(answer: str) -> Fraction | None:
    """The exact number that an answer is, its unit ignored; of ``x = 3`` and ``5 - 2 = 3`` the right side."""
    if answer.count("=") == 1 and "," not in answer and not re.search(r"[<>!]=", answer):
        left, _, right = answer.partition("=")
        if _FORMULA.match(left):
            return None
        answer = right.strip()
    if answer in _NUMBER_WORDS:
        return Fraction(_NUMBER_WORDS.index(answer))
    try:
        if mixed := _MIXED.fullmatch(answer) or _PLAIN_MIXED.fullmatch(answer):
            sign, whole, over, under = mixed.groups()
            value = int(whole or 0) + Fraction(int(over), int(under))
            return -value if sign else value
        match = _WITH_UNIT.fullmatch(answer)
        if not match or not re.search(r"\d", match[1]):
            return None
        return Fraction(match[1].replace(",", "").replace(" ", "")) * _SCALES.get(match[2], 1)
    except (ValueError, ZeroDivisionError):
        return None


@functools.lru_cache(maxsize=1 << 14)
def _normal(answer: str) -> str:
    plain = _HALF_OF_DAY.sub(r"\1m", normal_latex(answer).rstrip(".").lower())
    plain = _SCIENTIFIC.sub(lambda found: f"{Decimal(f'{found[1]}e{found[2]}'):f}", _NEGATIVE.sub("-", plain))
    return _PI.sub(r"\\pi", plain).replace("∞", r"\infty").replace("infinity", r"\infty")


def _compact(normal: str) -> str:
    """A normal form without the white space that only sets its parts apart: ``(1, 2)`` as ``(1,2)``.

    No interval is closed at infinity.
    """
    compact = _SETS_APART.sub("", normal)
    return compact.replace(r"[-\infty", r"(-\infty").replace(r"\infty]", r"\infty)")


def _is_mathematics(normal: str) -> bool:
    return bool(re.search(r"[\d\\^_=+]|(?<![a-z])[a-z] ?[-*/] ?[a-z(](?![a-z])", normal))


def _same_option(left: str, right: str) -> bool:
    """True if both name the same option letter: "(b)" and "b) 12 apples"."""
    a, b = _OPTION.fullmatch(left), _OPTION.fullmatch(right)
    return bool(a and b and a[1] == b[1] and (len(left) <= 3 or len(right) <= 3))


def _verify(gold: str, answer: str) -> bool | None:
    """The verifier's verdict, None without one in time.

    Running out of time is not remembered as a verdict, but it is not tried for ever either: a search compares
    its answers anew whenever one is added.
    """
    if _out_of_time[gold, answer] >= _ATTEMPTS or not _endless.isdisjoint((gold, answer)):
        return None
    try:
        return _verdict(gold, answer)
    except TimeoutError:
        _out_of_time[gold, answer] += 1
        # One that cannot even be told from 1 is to blame, and is compared with no other.
        blamed = (text for text in (gold, answer) if _verifier(text, "1") is None)
        _endless.update(itertools.islice(blamed, 1))
        return None


@functools.lru_cache(maxsize=1 << 14)
def _verdict(gold: str, answer: str) -> bool:
    """The verifier's verdict; a TimeoutError without one, which the cache does not keep."""
    verdict = _verifier(gold, answer)
    if verdict is None:
        raise TimeoutError
    return verdict
