"""Yes-no: a question that yes or no answers, such as "Is 91 prime?".

Yes and no are read before any solution. Solutions are drawn if the question has quantities and no text, as
programs compute; about facts, prose adds nothing to the look. Yes, true and correct are one answer; no, false
and incorrect the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..answers.extract import solution_answer
from ..answers.program import executed_answer
from ..types import Execution, Finish, Mode, Problem
from . import Kind, OptionsPrompt
from .recognising import speaks_of_quantities

_FAMILIES = {
    **dict.fromkeys(("yes", "true", "correct", "right", "yep", "yeah"), "yes"),
    **dict.fromkeys(("no", "false", "incorrect", "wrong", "nope"), "no"),
    **dict.fromkeys(("ja", "oui", "sí", "sì", "sim", "да"), "yes"),
    **dict.fromkeys(("nein", "non", "não", "нет"), "no"),
}
_WORD = re.compile(
    r"(?P<negated>(?:\bnot|n['\u2019]t)\s+(?:\w+\s+)?)?"
    rf"(?<!\bno )\b(?P<word>{'|'.join(_FAMILIES)})\b"
    r"(?!-\w|(?<=right)\s+\w|(?<=\bno)[ \t]+(?:idea|(?:\w+[ \t]+)?answers?)\b)"
    r"(?![ \t]+answers?[ \t]*(?:is\b|:))"
    r"(?=(?P<of>(?<=\bno)[ \t]+\w)?)",
    re.IGNORECASE,
)
"""A word of a family with its negation: "not true", "isn't always true".

It does not match "a right triangle", "no idea", "no correct answer" and "the correct answer is". The "no" of
"no divisors" (``of``) counts only in a text without another word.
"""
_OTHER = {"yes": "no", "no": "yes"}


def yes_or_no(text: str) -> str | None:
    """``yes`` or ``no``, by the first word of either family in a text; None without one."""
    return next(_words(text), None)


def _words(text: str) -> Iterator[str]:
    """``yes`` or ``no`` for each word of a family."""
    every = [*_WORD.finditer(text)]
    for match in [each for each in every if not each["of"]] or every:
        # Ignoring case, an expression takes letters that have no lower case here: the long s.
        if (family := _FAMILIES.get(match["word"].lower())) is not None:
            yield _OTHER[family] if match["negated"] else family


class YesNo(Kind):
    """See the module."""

    def modes(self, problem: Problem) -> tuple[Mode, ...]:
        """Prose, and programs if something may be computed and no text has it."""
        is_computed = speaks_of_quantities(problem.question) and not problem.has_text
        return ("prose", "program") if is_computed else ("prose",)

    def options(self, problem: Problem) -> tuple[str, ...]:
        """Yes and no."""
        return ("yes", "no")

    def option_prompts(self, problem: Problem) -> tuple[OptionsPrompt, ...]:
        """The question itself."""
        return (OptionsPrompt("look-yes-no", problem.question, ("Yes", "No")),)

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """Yes or no, as the prose ends or the program printed."""
        match = solution_answer(text, finish) if execution is None else executed_answer(execution)
        if match is not None and (word := yes_or_no(match)) is not None:
            return word
        return [None, *_words(text)][-1] if execution is None and finish == "stop" else None

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """``Yes`` or ``No``."""
        return None if answer is None else answer.capitalize()

    def matches(self, problem: Problem, answer: str, gold: str) -> bool:
        """True if the known one is of the same family."""
        return answer == yes_or_no(gold)
