"""Fact: a short question for a name, a date or a place, such as "What is the capital of Australia?".

Nothing is computed, so no program is drawn; several short answers are compared. Two are equal if they have
the same words, or one contains the other; numbers are compared by value.
"""

from __future__ import annotations

import re
import unicodedata

from ..answers.equality import same_answer
from ..answers.extract import last_boxed
from ..execution import Execution
from ..types import Finish, Mode, Problem, Same
from .base import Kind

_ARTICLES = frozenset(("a", "an", "the"))
_MARKS = re.compile(r"[^\w\s]")
_LEAD = re.compile(r"\W*(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|:)[:\s]*", re.IGNORECASE)

_SENTENCE = re.compile(
    r"[^.]{1,100}?\b(?:is|was|are|were)\s+(?:\w+(?:ed|en)\s+by\s+|in\s+|on\s+)?(?=\S+(?:\s+\S+){0,5}$)",
    re.IGNORECASE,
)
"""A whole sentence around a fact: "The capital of Australia is Canberra"."""


def words_of(text: str) -> tuple[str, ...]:
    """Words of an answer without case, accents, articles and marks."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(word for word in _MARKS.sub(" ", plain).split() if word not in _ARTICLES)


def same_name(a: str, b: str) -> bool:
    """True if they have the same words, one contains the other, or both have the same value."""
    first, second = sorted((words_of(a), words_of(b)), key=len)
    if not first:
        return a == b
    numbers = [{word for word in words if word[0].isdigit()} for words in (first, second)]
    return _contains(second, first) if numbers[0] == numbers[1] else same_answer(a, b)


def _contains(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    size = len(shorter)
    return any(longer[at : at + size] == shorter for at in range(len(longer) - size + 1))


class Fact(Kind):
    """See the module."""

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The first line of the text."""
        boxed = last_boxed(text)
        lines = [line for line in text.splitlines() if re.search(r"\w", line)]
        found = boxed if boxed is not None else lines[0] if lines else ""
        lead = _LEAD.match(found) or _SENTENCE.match(found)
        return found[lead.end() if lead else 0 :].strip("*`$. \t") or None

    def equality(self, problem: Problem) -> Same:
        """True for two names of one thing."""
        return same_name


KIND = Fact()
