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
from ..answers.latex import readable
from ..codec import build
from ..errors import UsageError, setting
from ..types import Execution, Finish, Mode, Problem
from . import Kind, OptionsPrompt
from .options import Options
from .recognising import recognise_message

_LETTER = re.compile(r"[\s(\[*]*([A-Z])[\s)\].:*]*")
_MARKED_LETTER = re.compile(r"[\s(\[*]*([A-Za-z])(?:\s?[)\].:,*]|\s[-\u2013]|\s*\Z)(?!\w)")
_LAST_LETTER = re.compile(
    r"(?i:option|answer|choice)\W+(?:(?i:is)\W+)?\(?([A-Zb-hj-z]|[ai](?!\s+\w))(?![\w+#])"
)


def options_of(problem: Problem) -> Options:
    """The options of a problem, which its details have."""
    return build(Options, problem.details)


def names_of(options: Options) -> tuple[str, ...]:
    """Answers, as they are compared: the letters, or the texts of options without letters."""
    return options.letters or options.texts


def find_option(options: Options, answer: str) -> str | None:
    """The name of the option that an answer means: ``B``, ``(b)``, ``B. Jupiter`` or ``jupiter``.

    A letter refers to the statement, whatever letters the user gave.
    """
    return _stated(options, answer) or _mentioned(options, answer)


def _stated(options: Options, answer: str) -> str | None:
    """The option that an answer is, or begins with the letter of."""
    answer, names = readable(answer), names_of(options)
    if (letter := _LETTER.fullmatch(answer)) and (name := _by_letter(letter[1], names)):
        return name
    for form in (_exact, _normal):
        words = form(answer)
        for forms in (map(form, options.texts), map(form, names)):
            matches = [name for name, each in zip(names, forms, strict=True) if words and each == words]
            if len(matches) == 1:
                return matches[0]
    marked = _MARKED_LETTER.match(answer)
    return _by_letter(marked[1], names) if marked else None


def _mentioned(options: Options, answer: str) -> str | None:
    """The option whose text occurs in an answer; of several the one whose text contains the others."""
    words, texts = _normal(answer), [_normal(text) for text in options.texts]
    inside = [text for text in texts if text and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", words)]
    longest = max(inside, key=len, default="")
    if longest and texts.count(longest) == 1 and all(text in longest for text in inside):
        return names_of(options)[texts.index(longest)]
    return None


def _exact(text: str) -> str:
    """A text without case, emphasis and a final full stop."""
    return " ".join(readable(text).casefold().split()).strip("*`$ ").removesuffix(".")


def _normal(text: str) -> str:
    """A text without case and marks; empty if it has nothing else."""
    return " ".join(re.sub(r"[^\w\s.,%/+-]", " ", readable(text).lower()).split()).strip(" .,")


def _by_letter(letter: str, names: Sequence[str]) -> str | None:
    """The name of the option with a letter of the statement; None if it has fewer options."""
    at = string.ascii_uppercase.find(letter.upper())
    return names[at] if 0 <= at < len(names) else None


def with_options(question: str, options: Sequence[str]) -> Mapping[str, object]:
    """Details of a question whose options were given beside it.

    Raises:
        UsageError: fewer than two options, more than 26, or two that are equal.
    """
    texts = [option.strip() for option in options if option.strip()]
    if len(texts) < 2 or len({_exact(text) for text in texts}) < len(texts):
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
        """The options in the text, or in the field ``options``: a list, or an object by their letters.

        Raises:
            UsageError: there are none.
        """
        choice, options = recognise_message(question).choice, record.get("options")
        if isinstance(options, Mapping):
            by_letter = {letter: str(text) for letter, text in options.items() if str(text).strip()}
            return {**with_options(question, [*by_letter.values()]), "letters": [*by_letter]}
        in_question = list(choice.texts) if choice else []
        texts = [str(text) for text in options] if isinstance(options, list) else in_question
        if choice and len(in_question) == len(texts):
            return {"stem": choice.stem, "texts": texts, "letters": list(choice.letters)}
        return with_options(question, texts)

    def statement(self, problem: Problem) -> str:
        """The question, and below it the options with letters A, B, ..."""
        options = options_of(problem)
        return _lettered(options.stem, options.texts)

    def options(self, problem: Problem) -> tuple[str, ...]:
        """Names of the options."""
        return names_of(options_of(problem))

    def option_prompts(self, problem: Problem) -> tuple[OptionsPrompt, ...]:
        """The options in their order, and the other way round."""
        options = options_of(problem)
        stem, texts = options.stem, options.texts
        letters = string.ascii_uppercase[: len(texts)]
        return (
            OptionsPrompt("look-choice", _lettered(stem, texts), tuple(letters)),
            OptionsPrompt("look-choice", _lettered(stem, texts[::-1]), tuple(letters[::-1])),
        )

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The name of the option that the text ends in, or the only one that a line of it states."""
        options = options_of(problem)
        answer = solution_answer(text, finish)
        if answer is not None and (name := find_option(options, answer)) is not None:
            return name
        if finish != "stop":
            return None
        letters = _LAST_LETTER.findall(text)
        if letters and (name := _by_letter(letters[-1], names_of(options))):
            return name
        names = {name for line in text.splitlines() if (name := _stated(options, line)) is not None}
        return names.pop() if len(names) == 1 else None

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """``B. Jupiter``; the text alone of an option without a letter."""
        options = options_of(problem)
        if answer is None or answer not in options.letters:
            return answer
        return f"{answer}. {options.texts[options.letters.index(answer)]}"

    def matches(self, problem: Problem, answer: str, gold: str) -> bool:
        """True if it names the option that the known one means."""
        options, gold = options_of(problem), gold.strip()
        return answer == (gold if gold in names_of(options) else find_option(options, gold))


def _lettered(stem: str, texts: Sequence[str]) -> str:
    lines = [f"{letter}. {text}" for letter, text in zip(string.ascii_uppercase, texts, strict=False)]
    return "\n".join([stem, *lines])
