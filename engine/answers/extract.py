r"""Reading the final answer of a solution from its text.

A model may fall into endless white space or braces, so every pattern here takes time in proportion to the
text: repetitions before another part do not backtrack (possessive quantifiers).
"""

from __future__ import annotations

import functools
import re

from ..types import Finish
from .equality import DIGITS, SCALE, plain_number
from .latex import bare, readable
from .moments import AMOUNT, AMOUNTS, DATE, MONTH_AND_YEAR, TIME, WEEKDAY

_NUMBERS = re.compile(
    rf"{AMOUNTS}|{TIME}|"
    r"(?<![\w.^])(?<!\^\{)(?<!than )(?:[-+±]|\\pm ?)?(?:(?:\d+\s?)?\\[dt]?frac\{\d+\}\{\d+\}"
    r"|\d+,\d\d?(?=\s?(?:[€%°]|euros?\b|k?g\b|[ckm]?m\b|l\b|litr|liter|kilo|gram))"
    r"|\$?(?:\d+(?:\.\d+)?\s?(?:[\u00d7\u00b7*]|\\times|\\cdot)\s?(?=10\s?\^))?\d+\s?\^\s?(?:-?\d+|\{-?\d+\})"
    r"|\$?(?:\d+\s\d+/\d+|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d{1,2})?"
    r"(?:/\d+|(?:(?::| : )(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)+)?)"
    r"(?:\s?[AaPp]\.?[Mm]\b)?(?![\w]|\.\d))",
    re.IGNORECASE,
)
"""Whole ones, as in 3/4, 2^10, 3:45 PM, 1 hour and 30 minutes, and none of an exponent or behind "than"."""
_ANSWER_IS = re.compile(
    r"answers?+(?:\s++to\s++(?:the|this|your)\s++\w++)?+[*_]*+\s*+(?:(?:is|are)(?!n['\u2019]t\b|\s++not\b)|=|:)"
    r"\s*+:?(?:[ \t]*+\n\s*+[-\u2022]\s++|\s*+)(?:```\w*+\s|[*$`\s]|\\\[|\\\()*+",
    re.IGNORECASE,
)
_INSIDE = functools.reduce(lambda inner, _: rf"(?:[^{{}}]++|\{{{inner}\}})*+", range(6), "[^{}]*+")
_BOXED = re.compile(rf"\\boxed\{{({_INSIDE})\}}")
_END_OF_ANSWER = re.compile(
    r"(?<=[\w)}\]$*%°])(?:\.\s|\s(?:because|since)\s"
    r"|[,;]\s(?![-+$\\(]*(?:\d|(?:[dt]?frac|sqrt|pi|infty)(?![a-z]))|\$?[A-Za-z]{1,3}\s*=|\$?[A-Za-z](?:,|\W*$)))"
)
_SURROUND = re.compile(r"^\\[(\[$]|\\[)\]]$")
_FORMULA = re.compile(
    r"\\(?!(?:text(?:bf|it|rm)?|mathrm|circ|pm|q?quad)(?![a-z])|[^a-z([]"
    r"|[dt]?frac\{[\d.]+\}\{[\d.]+\}(?! ?[\w\\(^]))|[_^](?!\{?\\circ)"
)
"""LaTeX that plain text has no form for."""

_LONGEST = 400
"""Characters of a text in which solutions or a sentence are looked for."""
_AND = r"(?:and|or|und|oder|et|ou|(?:y|o|e)(?! ?=))"
_APART = re.compile(rf"(?:,(?!\d)|[;\n]| (?={_AND} )) ?(?:{_AND} )?")
_NAME = r"(?:the )?(?:(?:first|second|third) )?(?:root|solution|zero|[a-z])(?:[ _]?\{?[\d₀-₉]\}?)?"
_VALUE = (
    r"(?=[^=\n]*[\dπ])"
    r"(?:[-+\d.,/()*^√π {}·\u00d7±]|\\(?:[dt]?frac|sqrt|pi|pm|cdot|times)(?![a-z])|sqrt|pi\b|i\b)++"
)
_SOLUTION = re.compile(
    rf"(?P<name>(?:{_NAME} ?(?:[=≈:]|\\approx|is\b)(?: approximately)? ?){{0,2}})"
    rf"(?:{_VALUE}[=≈] ?)*({_VALUE})",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"root|solution|zero|\b[a-z](?![a-z])", re.IGNORECASE)
_LISTED = re.compile(r"(?<!\\)\[([^][()]*)\]\Z")
_BULLET = re.compile(r"\A(?:[-•*]|\d\d?[.)]) ")
_SOLUTIONS_ARE = re.compile(
    r"\b(?:solutions|roots|zeros|answers|values|numbers|lösungen|nullstellen|racines|soluciones|raíces|soluzioni|radici)\b"
    r"[^.:\n]{0,80}?(?:\b(?:are|sind|sont|son|sono)\b:?|:)",
    re.IGNORECASE,
)
_EQUATIONS = re.compile(rf"(?<![\w\\)^]){_NAME}\s*(?:=|is\b)", re.IGNORECASE)
_MORE_WORDS = re.compile(r"(?:\.\s|\s(?=are\b|\())[^\d=]*\Z")

_SENTENCE = re.compile(r"[^\W\d](?:[^\W\d]|['\u2019])*+(?::|,? [^\W\d])")
_IS = r"\b(?:is|was|are|were|be|been|equals|ist|war|sein|est|sera|es|será|fue|è|era|sarà)\b:?"
_IS_MOMENT = re.compile(
    rf"(?<!today )(?:{_IS}|\bfalls?|\bfell|:)[\s*_]+"
    r"(?:(?:on|an?|the|der|ein(?:em)?|une?|una|le|il|el)[\s*_]+)*"
    rf"({WEEKDAY}|{DATE})",
    re.IGNORECASE,
)
_ONLY_VALUE = re.compile(
    rf"{TIME}|(?:(?<![\w./^-])-|(?<![\w.,/^-]))"
    rf"(?:(?=\d[\d./:]* ){AMOUNT}"
    rf"|(?:\d+ \d+/\d+|{DIGITS}(?:\.\d+)?(?: ?/ ?\d+)?)(?![\w/^!]|[.,]\d)(?: {SCALE}s?\b)?)",
    re.IGNORECASE,
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

_LABEL = re.compile(
    rf"\A(?:[^:]*{_IS}|[^:=]*:) (?:(?:approximately|about|around|exactly|roughly) )?", re.IGNORECASE
)
_DATES, _AMOUNTS, _WEEKDAYS, _MONTHS = (
    re.compile(pattern, re.IGNORECASE) for pattern in (DATE, AMOUNT, WEEKDAY, MONTH_AND_YEAR)
)


def extract_answer(text: str) -> str | None:
    r"""The final answer of a solution, or None.

    In this order: the last ``\boxed{}``, or all that the solutions at the end stand in; the last "answer is
    ..."; "the solutions are ..." at the end; on the last line "x = 2 or x = 3", the weekday or date that
    something "is", or the last number. ``said_in`` reads the text of each.
    """
    if (box := last_boxed(text)) is not None:
        opened = _BOXED.sub(r"\1", text)[-_LONGEST:] if text.count(r"\boxed") > 1 else ""
        return solutions(opened) or said_in(_strip_markup(box))
    for lead in reversed([*_ANSWER_IS.finditer(text)]):
        line = text[lead.end() :].partition("\n")[0]
        # An exclamation mark at the very end belongs to the sentence.
        answer = _END_OF_ANSWER.split(_strip_markup(line.rstrip("! \t")))[0]
        if value := said_in(_strip_markup(answer)):
            return value
    lines = [line for line in text.splitlines() if re.search(r"\w", line)]
    if not lines:
        return None
    return solutions(text[-_LONGEST:]) or solutions(lines[-1]) or _in_sentence(lines[-1][-5 * _LONGEST :])


def _in_sentence(line: str) -> str | None:
    """The weekday or date that something is, the last number of no date, or else the last of those."""
    line = _BULLET.sub("", line.strip().replace("−", "-"))
    if moments := _IS_MOMENT.findall(line):
        return str(moments[-1])
    undated = _DATES.sub(" ", line)
    matches = _NUMBERS.findall(undated) or _DATES.findall(line) or _WEEKDAYS.findall(line)
    return _plain(_strip_markup(matches[-1])) if matches else None


def said_in(answer: str) -> str | None:
    """An answer in plain words: its solutions, or the value of its sentence; None for an empty text.

    A sentence that gives more than one value, or none, stays as it is.
    """
    if len(answer) > _LONGEST:
        return answer
    return solutions(answer) or _value_of(readable(answer).rstrip(".")) or _plain(answer) or None


def _value_of(sentence: str) -> str | None:
    """The value that a sentence gives, with its unit; None without one, or with several."""
    if moments := _IS_MOMENT.findall(sentence):
        return str(moments[-1])
    sentence = _MONTHS.sub("it", sentence)  # the year of a month is no value
    if not _SENTENCE.match(sentence):
        return None
    rest = _LABEL.sub("", sentence)
    is_value = _NUMBERS.fullmatch(rest) or _AMOUNTS.fullmatch(rest)
    if is_value or (
        len(rest.split()) < 4 and _NUMBERS.match(rest) and plain_number(rest.lower()) is not None
    ):
        return rest
    matches = [*_ONLY_VALUE.finditer(sentence)]
    if len(matches) != 1:
        return None
    [value] = matches
    beside = f"{sentence[: value.start()]}1{sentence[value.end() :]}".lower()
    return None if _NO_PLAIN_WORDS.search(beside) or _ANOTHER_NUMBER.search(beside) else value[0]


def solutions(text: str) -> str | None:
    """``2, -1/3`` of "x = 2 or x = -1/3", or of a text that ends so; None if it ends in anything else."""
    if len(text) > _LONGEST:
        return None
    text = _MORE_WORDS.sub("", text)
    for lead in reversed([*_SOLUTIONS_ARE.finditer(text)]):
        if values := _values_of_one(text[lead.end() :], is_list=True):
            return values
    starts = (0, *(match.start() for match in _EQUATIONS.finditer(text)))
    return next(filter(None, (_values_of_one(text[start:]) for start in starts)), None)


def _values_of_one(text: str, *, is_list: bool = False) -> str | None:
    """Values of the same unknown; without its name they are ones ``is_list``, or with a word between them."""
    lines = (_BULLET.sub("", bare(line)) for line in _LISTED.sub(r"\1", text).splitlines())
    parts = [part for each in _APART.split("\n".join(lines)) if (part := each.strip(" .*"))]
    matches = [match for part in parts if (match := _SOLUTION.fullmatch(part))]
    unknowns = {_UNKNOWN.findall(match["name"])[-1] for match in matches if match["name"]}
    if len(matches) < max(2, len(parts)) or len(unknowns) > 1:
        return None
    if not is_list and not unknowns and not re.search(rf" {_AND} ", text):
        return None
    return ", ".join(dict.fromkeys(_plain(match[2].strip()) for match in matches))


def _plain(answer: str) -> str:
    r"""An answer without LaTeX where nothing is lost: ``3/8`` for ``\frac{3}{8}``."""
    return answer if _FORMULA.search(answer) else readable(answer).strip()


def solution_answer(text: str, finish: Finish) -> str | None:
    """The final answer of a solution that ended; one that was cut off has one only in a box."""
    return extract_answer(text) if finish == "stop" or last_boxed(text) is not None else None


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{...}`` with balanced braces and something in it, or None."""
    return next(filter(None, reversed(_BOXED.findall(text))), None)


def _strip_markup(answer: str) -> str:
    """Drop what surrounds an answer: emphasis, dollar signs, LaTeX brackets, a final full stop."""
    answer = answer.strip()
    while (inner := _SURROUND.sub("", answer.strip("*`$ \t")).rstrip(".")) != answer:
        answer = inner
    return answer
