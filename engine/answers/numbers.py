"""The number that an answer is: with a unit, as a fraction, in a sentence of plain words."""

from __future__ import annotations

import re
from fractions import Fraction

_SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_SCALE = rf"(?:{'|'.join(_SCALES)})"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_NUMBER = rf"[-+]?{_DIGITS}?(?:\.\d+)?(?:\s?/\s?\d+)?"
# A letter at a number, or the name of an unknown, is no unit: 2x, 2 x, 5i.
_UNIT = r"\s*[%°]|\s+(?!(?:[xyznie]|pi|and|or|squared|cubed)\b)[A-Za-z][A-Za-z .²³/-]*"
_WITH_UNIT = re.compile(rf"[$€£]?\s*({_NUMBER})(?:\s+({_SCALE}))?(?:{_UNIT})?")
_MIXED = re.compile(r"(-?)(?:(\d+)\s*)?\\frac\{(-?\d+)\}\{(-?\d+)\}")
_PLAIN_MIXED = re.compile(r"(-?)(\d+) (\d+)/(\d+)")

_IN_WORDS = re.compile(
    rf"(?<![\w.,/^-])-?(?:\d+ \d+/\d+|{_DIGITS}(?:\.\d+)?(?: ?/ ?\d+)?)(?![\w/^]|[.,]\d)(?: {_SCALE}\b)?"
)
_NO_PLAIN_WORDS = re.compile(
    r"[\\^_=+*<>{}|\u2264\u2265\u221a]|\d ?[-\u2013/:] ?[\d(a-z]*[a-z(]|\d ?[-\u2013:] ?\d|\d ?(?:[b-z]|pi)\b"
    r"|[-\u2013] \d|(?<!['\u2019])\b[b-hj-z]\b"
)
"""Signs of a formula: operators, names of unknowns, and hyphens that may be a minus."""
_ANOTHER_NUMBER = re.compile(
    r"\b(?:than|least|most|not|never|except|between|or|over|under|above|below"
    r"|plus|minus|divided|squared?|cubed?|roots?|power|twice|double|triple|half|halves|thirds?|quarters?"
    r"|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
)
"""Beside these words a number is not the whole answer, or not the only one: more than 5, twice 5."""


def number(answer: str) -> Fraction | None:
    """The exact number that an answer is, or that a sentence gives as the only one; None where there is none.

    Args:
        answer: In normal form: lower case, no LaTeX but fractions, single spaces.
    """
    if (value := plain_number(answer)) is not None:
        return value
    found = _IN_WORDS.findall(answer)
    if len(found) != 1 or _NO_PLAIN_WORDS.search(answer) or _ANOTHER_NUMBER.search(answer):
        return None
    return plain_number(found[0])


def plain_number(answer: str) -> Fraction | None:
    """The exact number that an answer is, its unit ignored; of an equation its right side."""
    if answer.count("=") == 1 and "," not in answer and not re.search(r"[<>!]=", answer):
        answer = answer.rpartition("=")[2].strip()
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
