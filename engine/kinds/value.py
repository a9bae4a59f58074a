"""Questions without options: values, dates, facts and texts.

A value is a number, a formula or a few words, such as 17 * 23; solutions reason in prose or as programs that
print the answer, and answers are equal by value. A date is a value that a program settles by the calendar or
the clock, so programs come first, and have a prompt of their own. A number is no weekday: 3 answers no
"Which weekday was 14 March 2024?".

A fact is a name, a date or a place, such as "What is the capital of Australia?". Nothing is computed, so no
program is drawn. Two answers are equal if they have the same words, or one contains the other; numbers are
compared by value.

A text is a message of a conversation, whose reply nobody can check. It is asked below no built-in prompt,
one reply is drawn, no calibration judges it, and it is reported token by token as it is written.
"""

from __future__ import annotations

import re
import unicodedata

from ..answers.equality import is_right, same_answer
from ..answers.extract import last_boxed, solution_answer
from ..answers.latex import readable
from ..answers.moments import moments_in, same_moment
from ..answers.program import executed_answer
from ..answers.sums import expression_value
from ..types import Execution, Finish, Mode, Problem, Same
from . import Kind
from .recognising import is_answered_by, is_counted
from .units import with_unit


class Value(Kind):
    """See the module."""

    def computed(self, problem: Problem) -> str | None:
        """The value of a question that is an expression of numbers."""
        return expression_value(problem.question)

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The output of the program, or the end of the prose; None for a number of things below zero."""
        answer = solution_answer(text, finish) if execution is None else executed_answer(execution)
        is_below = re.match(r"[-−]\W?\d", answer or "") and is_counted(problem.question)
        return None if is_below else answer

    def equality(self, problem: Problem) -> Same:
        """True for two answers with the same value."""
        return same_answer

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """With the unit that the question asks for."""
        return answer and with_unit(problem.question, answer)

    def matches(self, problem: Problem, answer: str, gold: str) -> bool:
        """True if it has the value of the known one."""
        return is_right(answer, gold=gold)


class Date(Value):
    """See the module."""

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """As for a value, but a weekday if the question asks for one, and no weekday otherwise; else None."""
        answer = super().answer(problem, mode, text, finish, execution)
        is_one = answer and is_answered_by(problem.question, {*moments_in(answer.lower())})
        return answer if is_one else None


_LEFT_OUT = frozenset(("a", "an", "the", "of"))
_MARKS = re.compile(r"(?<!\d)\.|\.(?!\d)|(?<=\w)-|-(?!\d)|[^\w\s.-]")
"""All but a decimal point and the sign of a number."""
_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"-?\d")
_ORDINAL = re.compile(r"(\d)(?:st|nd|rd|th)\b")
_INITIALS = re.compile(r"\b([^\W\d])\.\s?(?=[^\W\d](?![^\W\d]))")
"""D.C. is DC, and J. R. R. Tolkien JRR Tolkien."""
_UNITS = {"m": "meters", "metres": "meters", "km": "kilometers", "kilometres": "kilometers", "ft": "feet"}
_ANOTHER = frozenset((
    "not", "never", "and", "or", "new", "north", "south", "east", "west", "northern", "southern", "eastern",
    "western", "equatorial",
))  # fmt: skip
"""In front of a name: what follows is another one, or half of an answer."""
_HALVES = frozenset(("and", "or"))
_LEAD = re.compile(r"\W*(?:the\s+)?(?:final\s+|correct\s+)?answer[*_]*\s*(?:is\b|:)[:\s]*", re.IGNORECASE)

_SENTENCE = re.compile(
    r"[^.]{1,100}?\b(?:is|was|are|were)\s+(?:\w+(?:ed|en)\s+by\s+|in\s+|on\s+)?(?=\S+(?:\s+\S+){0,5}$)",
    re.IGNORECASE,
)
"""A whole sentence around a fact: "The capital of Australia is Canberra"."""
_VERB = re.compile(r"\s(?:is|was|are|were)\s", re.IGNORECASE)


def words_of(text: str) -> tuple[str, ...]:
    """Words of an answer without case, accents, articles and marks; units are written out."""
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("\u2212", "-")
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    for pattern, by in ((_SEPARATOR, ""), (_ORDINAL, r"\1"), (_INITIALS, r"\1"), (_MARKS, " ")):
        plain = pattern.sub(by, plain)
    return tuple(_UNITS.get(word, word) for word in plain.split() if word not in _LEFT_OUT)


def same_name(a: str, b: str) -> bool:
    """True if they have the same words, one contains the other, or both have the same value.

    The order of words counts beside numbers, except in a date.
    """
    first, second = sorted((words_of(a), words_of(b)), key=len)
    if not first:
        return a == b
    numbers = [{word for word in words if _NUMBER.match(word)} for words in (first, second)]
    if numbers[0] != numbers[1]:
        return same_answer(a, b)
    if numbers[0] and same_moment(a.lower(), b.lower()):
        return True
    return _contains(second, first) or (not numbers[0] and sorted(first) == sorted(second))


def _contains(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    """True for Paris in "Paris, France", not for Mexico in "New Mexico" or Crick in "Watson and Crick"."""
    size = len(shorter)
    return any(
        longer[at : at + size] == shorter
        and _ANOTHER.isdisjoint(longer[max(at - 1, 0) : at])
        and _HALVES.isdisjoint(longer[at + size : at + size + 1])
        for at in range(len(longer) - size + 1)
    )


class Fact(Kind):
    """See the module."""

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The first line, but for one that only leads to it ("Sure!"); None for a text without end."""
        if finish == "length":
            return None
        boxed = last_boxed(text)
        lines = [line for line in text.splitlines() if re.search(r"\w", line)]
        if len(lines) > 1 and lines[0].rstrip("* ").endswith(("!", ":")):
            del lines[0]
        reply = readable(boxed or [*lines, ""][0])
        if lead := _LEAD.match(reply):
            reply = reply[lead.end() :]
        elif lead := _SENTENCE.match(reply):
            rest = reply[lead.end() :]
            # "Canberra is the capital of Australia" ends with the question's own words.
            repeats = {*words_of(rest)} <= {*words_of(problem.question)}
            reply = _VERB.split(reply)[0] if repeats else rest
        return reply.strip("*`$. \t") or None

    def equality(self, problem: Problem) -> Same:
        """True for two names of one thing."""
        return same_name


class Text(Kind):
    """A reply is shown as it is, and has no answer."""

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> None:
        """None: two replies cannot be compared."""
