"""Choice: a question with options, such as "Which planet is the largest? A. Mars B. Jupiter".

Its details have the options, the letters they were given (none for "tea or coffee?"), and the question
without them. The options are read before any solution, in two orders: a small model favours some letters,
whatever stands behind them. A solution ends in a letter. Where the user gave letters, the answer is one;
otherwise it is the text of the option.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence

from ..answers.extract import solution_answer
from ..codec import build
from ..errors import UsageError, setting
from ..execution import Execution
from ..types import Finish, Mode, Problem
from .base import Kind, Look, Run
from .options import Options
from .recognising import recognise_message

_LETTERED = re.compile(r"\W*([A-Za-z])(?![A-Za-z])")
_LAST_LETTER = re.compile(r"(?:option|answer|choice)\W+(?:is\W+)?\(?([A-Za-z])\b", re.IGNORECASE)


def options_of(problem: Problem) -> Options:
    """The options of a problem, which its details have."""
    options: Options = build(Options, problem.details)
    return options


def names_of(options: Options) -> tuple[str, ...]:
    """Answers, as they are compared: the letters, or the texts of options without letters."""
    return options.letters or options.texts


def find_option(options: Options, answer: str) -> str | None:
    """The name of the option that an answer means: ``B``, ``(b)``, ``B. Jupiter`` or ``jupiter``."""
    named = [*zip(names_of(options), map(_normal, options.texts), strict=True)]
    wanted = _normal(answer)
    for name, text in named:
        if wanted in (text, _normal(name)):
            return name
    if (letter := _LETTERED.match(answer)) and (at := _place(letter[1], len(named))) is not None:
        return named[at][0]
    contained = [name for name, text in named if re.search(rf"\b{re.escape(text)}\b", wanted)]
    return contained[0] if len(contained) == 1 else None


def _normal(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s.,%/+-]", " ", text.lower()).split()).strip(" .,")


def _place(letter: str, count: int) -> int | None:
    at = string.ascii_uppercase.find(letter.upper())
    return at if 0 <= at < count else None


def with_options(question: str, options: Sequence[str]) -> Mapping[str, object]:
    """Details of a question whose options were given beside it.

    Raises:
        UsageError: fewer than two options, more than 26, or two that are equal.
    """
    texts = [option.strip() for option in options if option.strip()]
    if len(texts) < 2 or len({_normal(text) for text in texts}) < len(texts):
        raise UsageError(
            "a choice needs two different options at least",
            f"given: {', '.join(texts) or 'none'}",
            hint=setting("choices", "red,green,blue"),
        )
    if len(texts) > len(string.ascii_uppercase):
        raise UsageError(f"{len(texts)} options are too many", "26 can be told apart by their letters")
    return {"stem": question, "texts": texts}


class Choice(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The options in the text, or those of the field ``options``.

        Raises:
            UsageError: there are none.
        """
        found, given = recognise_message(question), record.get("options")
        texts = [str(each) for each in given] if isinstance(given, list) else list(found.options)
        if found.kind == "choice" and len(found.options) == len(texts):
            return {"stem": found.stem, "texts": texts, "letters": list(found.letters)}
        return with_options(question, texts)

    def statement(self, problem: Problem) -> str:
        """The question, and below it the options with letters A, B, ..."""
        options = options_of(problem)
        return _lettered(options.stem, options.texts)

    def options(self, problem: Problem) -> tuple[str, ...]:
        """Names of the options."""
        return names_of(options_of(problem))

    def looks(self, problem: Problem) -> tuple[Look, ...]:
        """The options in their order, and the other way round."""
        options = options_of(problem)
        stem, texts = options.stem, options.texts
        letters = string.ascii_uppercase[: len(texts)]
        return (
            Look("look-choice", _lettered(stem, texts), tuple(letters)),
            Look("look-choice", _lettered(stem, texts[::-1]), tuple(letters[::-1])),
        )

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The name of the option that the text ends in."""
        options = options_of(problem)
        found = solution_answer(text, finish)
        if found is not None and (name := find_option(options, found)) is not None:
            return name
        letters = _LAST_LETTER.findall(text) if finish == "stop" else []
        place = _place(letters[-1], len(options.texts)) if letters else None
        return None if place is None else names_of(options)[place]

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """``B. Jupiter``; the text alone of an option without a letter."""
        options = options_of(problem)
        if answer is None or answer not in options.letters:
            return answer
        return f"{answer}. {options.texts[options.letters.index(answer)]}"

    def is_right(
        self, problem: Problem, answer: str | None, execution: Execution | None, run: Run | None
    ) -> bool:
        """True if it names the option that the known answer means."""
        assert problem.answer is not None, "the answer of the question is not known"
        return answer is not None and answer == find_option(options_of(problem), problem.answer)


def _lettered(stem: str, texts: Sequence[str]) -> str:
    lines = [f"{letter}. {text}" for letter, text in zip(string.ascii_uppercase, texts, strict=False)]
    return "\n".join([stem, *lines])


KIND = Choice()
