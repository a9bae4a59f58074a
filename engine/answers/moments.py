"""Dates, weekdays, times of day, and amounts of time or money, as people write them in five languages.

``same_moment`` compares two answers by them: "9 pm" and 21:00, "11 April 2025" and 2025-04-11, Thu
and Thursday, "7 h 15 min" and 435 minutes. ``moments_in`` reads an answer; ``DATE``, ``TIME`` and ``WEEKDAY``
find them in a sentence.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

_MONTHS = (
    "jan(?:uary?|vier)?|enero|gennaio", "feb(?:ruary?|rero|braio)?|f[eé]vrier", "mar(?:ch|s|zo)?|märz",
    "apr(?:ile?)?|avril|abril", "may(?! [a-z])|mai|mayo|maggio", "june?|juni|juin|junio|giugno",
    "july?|juli|juillet|julio|luglio", "aug(?:ust)?|ao[uû]t|agosto",
    "sept?(?:em[bt]re|ember)?|septiembre|settembre", "oct(?:ober|obre)?|oktober|octubre|ottobre",
    "nov(?:ember|i?embre)?", "dec(?:ember)?|d[eé]cembre|dezember|diciembre|dicembre",
)  # fmt: skip
_WEEKDAYS = (
    "mon(?:day|tag)?|lun(?:di|es|ed[iì])", "tue(?:s|sday)?|dienstag|mar(?:di|tes|ted[iì])",
    "wed(?:nesday)?|mittwoch|mercredi|mi[eé]rcoles|mercoled[iì]",
    "thu(?:rs|rsday)?|donnerstag|jeudi|jueves|gioved[iì]", "fri(?:day)?|freitag|vendredi|viernes|venerd[iì]",
    "sat(?:urday)?|samstag|samedi|s[aá]bado|sabato", "sun(?:day)?|sonntag|dimanche|domingo|domenica",
)  # fmt: skip
_UNITS = re.findall(
    r"(\S+) +(\S+) (\S+)",
    """
    s|sec(?:ond)?s?|sekunden?|secondes?|segundos?|second[oi]  minutes 1/60
    min(?:ute|uten|uto)?s?|minuti                             minutes 1
    h|hrs?|hours?|stunden?|heures?|horas?|or[ae]              minutes 60
    d|days?|tage?n?|jours?|d[ií]as?|giorn[oi]                 minutes 1440
    weeks?|wochen?|semaines?|semanas?|settiman[ae]            minutes 10080
    months?|monate?n?|mois|mes(?:es)?|mes[ei]                 months 1
    years?|jahre?n?|ans?|años?|ann[oi]                        months 12
    cents?                                                    money 1/100
    dollars?|euros?                                           money 1
    """,
)
"""Names of a unit, its dimension, and its size in the base unit of that dimension."""


def _any(names: Iterable[str]) -> str:
    return f"(?:{'|'.join(names)})"


_MONTH = _any(_MONTHS)
_DAY = r"\d{1,2}(?:st|nd|rd|th|er|º|\.)?"
_YEAR = r"(?:,? (?:(?:of|de|del) )?\d{4}\b)?"
DATE = (
    r"(?:\b\d{4}-\d\d-\d\d(?:[ t]00:00(?::00)?)?(?!\d)|\b\d{1,2}(?:\.\d{1,2}\.|/\d{1,2}/)\d{4}\b"
    rf"|\b{_DAY} (?:(?:of|de) )?{_MONTH}\b\.?{_YEAR}|\b{_MONTH}\b\.? {_DAY}(?![\w:]){_YEAR})"
)
MONTH_AND_YEAR = rf"\b{_MONTH}\b\.? (?:of |de |del )?\d{{4}}\b"
TIME = (
    r"(?<![\w:.,])(?:(?:\d{1,2}:[0-5]\d(?::00)?(?! ?:|,?\d)(?: ?(?:[ap]\.?m\b|uhr\b))?"
    r"|\d{1,2}(?:\.[0-5]\d)? ?(?:[ap]\.?m\b|uhr\b(?: [0-5]\d\b)?|o['\u2019]?clock\b(?: [ap]\.?m\b)?)"
    r"|\d{1,2} ?h ?[0-5]\d\b)"
    r"(?: in the (?:morning|afternoon|evening))?|noon\b|midnight\b)"
)
WEEKDAY = rf"\b(?=[^\W\d]{{5}}){_any(_WEEKDAYS)}\b"
"""The name of a day in full."""

_COUNT = r"\b(?:(?:\d+ )?\d+/[1-9]\d*|\d+(?::[0-5]\d|\.\d+)?|an?\b)"
_UNIT = _any(names for names, *_ in _UNITS)
_ONE_AMOUNT = rf"{_COUNT} ?{_UNIT}\b"
AMOUNTS = rf"{_ONE_AMOUNT}(?:,? (?:(?:and|und|et|y|e) )?{_ONE_AMOUNT})+"
AMOUNT = rf"(?:{AMOUNTS}|{_ONE_AMOUNT})"
_SAID = re.compile(
    rf"(?P<date>{DATE})|(?P<amount>{AMOUNT})|(?P<time>{TIME})"
    rf"|(?P<weekday>\b{_any(_WEEKDAYS)}\b)"
)
_MORE = re.compile(
    r"[^\w\s.,;:()'\u2019-]|\d|\b(?:not|never|before|after|earlier|later|ago|from|until|between|or|per|than|each)\b"
)
"""Around a moment: what makes it another one, or a part of a sum."""


def _name_of(word: str, names: Iterable[str]) -> int:
    """Place of the name that a word is."""
    return next(at for at, name in enumerate(names) if re.fullmatch(name, word))


def _date(phrase: str) -> tuple[int, int, int] | None:
    """Year (0 without one), month and day; None if month and day could be exchanged."""
    numbers = re.findall(r"\d+", phrase)[:3]
    year = next((int(number) for number in numbers if len(number) > 2), 0)
    first, *others = (int(number) for number in numbers if len(number) < 3)
    if month := re.search(rf"\b{_MONTH}\b", phrase):
        return year, _name_of(month[0], _MONTHS) + 1, first
    second = others[0]
    if "/" in phrase and max(first, second) <= 12 and first != second:
        return None
    is_month_first = len(numbers[0]) > 2 or ("/" in phrase and first <= 12)
    return (year, first, second) if is_month_first else (year, second, first)


def _amount(phrase: str) -> tuple[str, Fraction]:
    """A measure, and the sum of its parts."""
    measure, total = "", Fraction(0)
    for number, unit in re.findall(rf"({_COUNT}) ?({_UNIT})\b", phrase):
        whole, _, minutes = number.partition(":")
        count = sum(map(Fraction, whole.split())) if whole[0].isdigit() else Fraction(1)
        count += Fraction(int(minutes or 0), 60)
        measure, size = next(meaning for names, *meaning in _UNITS if re.fullmatch(names, unit))
        total += count * Fraction(size)
    return measure, total


def _time(phrase: str) -> tuple[int, int, int | None]:
    """Hour and minute as they are written, and minutes since midnight if the half of the day is known."""
    if phrase in ("noon", "midnight"):
        return 12, 0, 720 if phrase == "noon" else 0
    hour, minute, *_ = (*map(int, re.findall(r"\d+", phrase)), 0)
    if half := re.search(r"(a\.?m\b|morning)|p\.?m\b|afternoon|evening", phrase):
        return hour, minute, hour % 12 * 60 + minute + (0 if half[1] else 720)
    return hour, minute, hour % 24 * 60 + minute if hour > 12 or phrase[0] == "0" else None


@functools.lru_cache(maxsize=1 << 12)
def moments_in(text: str) -> Mapping[str, Any]:
    """Dates, amounts, times and weekdays of a text in lower case, by kind.

    Empty for a text with other words, or with two of one kind.
    """
    matches = [*_SAID.finditer(text)]
    phrases = {match.lastgroup or "": match[0] for match in matches}
    if len(phrases) < len(matches) or _MORE.search(_SAID.sub("", text)):
        return {}
    return {kind: _READ[kind](words) for kind, words in phrases.items()}


_READ: Mapping[str, Callable[[str], Any]] = {
    "date": _date,
    "amount": _amount,
    "time": _time,
    "weekday": lambda phrase: _name_of(phrase, _WEEKDAYS),
}


def same_moment(left: str, right: str) -> bool | None:
    """True if two texts state the same date, weekday, time or amount, False if they state different ones.

    None if they state none in common, or one is ambiguous. A year, and the half of a day, count if both state
    them. A date with a year is nothing else, and no difference of numbers.

    Args:
        left: A text in lower case, with single spaces.
        right: Another one.
    """
    a, b = moments_in(left), moments_in(right)
    verdicts = [_same(kind, a[kind], b[kind]) for kind in a.keys() & b.keys()]
    if not verdicts and (date := a.get("date") or b.get("date")) and date[0]:
        return False
    return None if not verdicts or None in verdicts else all(verdicts)


def _same(kind: str, a: Any, b: Any) -> bool | None:
    if kind == "date":
        return None if a is None or b is None else a[1:] == b[1:] and (a[0] == b[0] or 0 in (a[0], b[0]))
    if kind == "time" and None in (a[2], b[2]):
        return a[:2] == b[:2] or None  # different ones may still be equal ratios
    return bool(a[-1] == b[-1]) if kind == "time" else bool(a == b)
