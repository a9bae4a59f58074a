"""Makes a problem of a message, and guesses its kind from words (``wording``) and layout (``options``).

The kind decides how the message is answered (``kinds``). A wrong guess between a value and a text costs
little: a value taken for a text still gets a reply, and a search for a value ends after the first solutions
without an answer. So doubt goes to the value. A value or an explanation taken for a fact costs more, as the
reply has a few words and computes nothing: doubt goes to the other kind.

A quantity that one looks up ("How many people live in Paris?") is a fact; a quantity is a value if the
message gives numbers or speaks of mathematics. Code is never guessed: tests make a code task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError, command
from ..types import KindName, Problem, Turn
from . import KINDS, kind_named
from .options import Options, find_alternatives, find_options
from .wording import (
    ABOUT_US,
    ABROAD,
    ASKED,
    ASKED_FIRST,
    ASKS_DAY,
    ASKS_HOW_LONG,
    ASKS_NO_WEEKDAY,
    ASKS_SPAN,
    ASKS_TIME,
    ASKS_WEEKDAY,
    ASKS_YOU,
    BELOW_ZERO,
    BETWEEN_NUMBERS,
    CLOCK,
    CODE,
    CODE_RESULT,
    CONVERSION,
    COUNTED,
    COURTESY,
    DATE,
    DESCRIPTION,
    ENGLISH,
    EXPLANATION,
    FACT,
    FACT_ABROAD,
    FOR_PERSON_PLACE_TIME,
    FORMULA,
    GERMAN_WAS,
    GOES_ON,
    HOW_MUCH,
    INVERTED,
    MATHS_VERB,
    MATHS_WORD,
    MEASURED,
    MONTH,
    NAME_OR_SAY,
    NAMED_WILL,
    NUMBER,
    NUMBER_IN_NAME,
    OF_BEFORE,
    OPERATION,
    POLAR,
    POLAR_ABROAD,
    QUESTION_WORD,
    TEXT_OPENING,
    TO_ASSISTANT,
    YES_OR_NO,
)

_WINDOW = 4000
"""Characters at either end of a message in which a question or a request is looked for."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """Kind of a message.

    Attributes:
        kind: One of ``MessageKind``.
        why: Reason for people: "it has options A to D".
        choice: Options of a choice; None for any other kind.
    """

    kind: KindName
    why: str
    choice: Options | None = None


def recognise_message(message: str) -> Recognised:
    """Kind of a message, with its options if it is a choice; never raises, in time linear in its length."""
    parts = _Parts(message)
    choice = _options(parts)
    if choice and (not _text(parts) or re.match(r"(?i)which\b.*\?", parts.question)):
        return Recognised("choice", _why(choice), choice)
    for kind, reason in _REASONS:
        if why := reason(parts):
            return Recognised(kind, why)
    return Recognised("text", "it asks for no short answer")


def speaks_of_quantities(message: str) -> bool:
    """True if it has a number, a formula, or a word of mathematics."""
    return _has(message, NUMBER, FORMULA, OPERATION, MATHS_WORD)


def asking_sentence(message: str) -> str:
    """The sentence with the question, without courtesies."""
    return _Parts(message).question


def is_answered_by(message: str, moments: Collection[str]) -> bool:
    """True unless the question asks for a weekday and the answer has none, or the other way round.

    Args:
        message: The message.
        moments: Kinds of moments in an answer: ``date``, ``time``, ``amount``, ``weekday``.
    """
    question = asking_sentence(message)
    if _has(question, ASKS_WEEKDAY):
        return "weekday" in moments
    return moments != {"weekday"} or not _has(question, HOW_MUCH, ASKS_NO_WEEKDAY)


def is_counted(message: str) -> bool:
    """True if it asks how many or how much of something that cannot be negative."""
    is_asked = _has(asking_sentence(message), r"(?i)\bhow (?:many|much)\b")
    return is_asked and not _has(message, BELOW_ZERO, MATHS_WORD)


class _Parts:
    """A message in parts.

    Attributes:
        message: All of it.
        near: The message, or its two ends if it is long.
        opening: Its beginning, without courtesies.
        question: The sentence that asks, without courtesies.
        is_single: It has one sentence.
        is_abroad: It is rather German, French, Spanish or Italian than English, by its short words.
        has_formula: It has LaTeX or a drawing.
        has_code: It has lines of a program.
    """

    def __init__(self, message: str) -> None:
        self.message = text = message.strip()
        near = text if len(text) <= 2 * _WINDOW else f"{text[:_WINDOW]}\n{text[-_WINDOW:]}"
        self.near, pictures = re.subn(_PICTURE, " ", re.sub(_TAG, " ", near))
        head, *below = re.split(_PARAGRAPH_END, self.near)
        sentences = _sentences(self.near)
        self.opening = _without_courtesy(text[:_WINDOW])
        self.question = _question(sentences, head if below else "")
        self.is_single = len(sentences) < 2
        foreign, english = (re.findall(each, self.near) for each in (ABROAD, ENGLISH))
        self.is_abroad = len(foreign) > len(english)
        self.has_formula = pictures > 0 or _has(self.near, FORMULA)
        self.has_code = _has(self.near, CODE)


def _sentences(text: str) -> list[str]:
    """Sentences and lines of a text."""
    return [piece for piece in re.split(_SENTENCE_END, text) if piece.strip()]


def _question(sentences: Sequence[str], head: str) -> str:
    """The question: the last sentence with a question mark, or of the first paragraph, or the last."""
    last = sentences[-1] if sentences else ""
    if head and not _is_marked(last):
        first = _question(_sentences(head), "")
        if _is_marked(first) or _begins(first, TEXT_OPENING):
            return first
    marked = [sentence for sentence in sentences if _is_marked(sentence)]
    return _without_courtesy(marked[-1] if marked else last)


def _is_marked(sentence: str) -> bool:
    return sentence.rstrip(" \"')*_”»").endswith(("?", "？", "か"))


def _begins(text: str, *patterns: str) -> bool:
    return any(re.match(pattern, text) for pattern in patterns)


def _has(text: str, *patterns: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


_SENTENCE_END = (
    r"(?<=[.!?])(?:(?<!\b[a-zA-Z]\.)|(?=\s+(?:Who|What|Which|Where|When|How|Is|Are|Does|Do|Did|Was|Can)\b))"
    rf"(?!(?<=\d\.)\s+(?i:{MONTH})\b)"
    r"(?<!\bd(?:er|ie|as|em|en)\s\d\.)(?<!\bd(?:er|ie|as|em|en)\s\d\d\.)"
    r"(?<!\b(?:Mr|Dr|dr|St|st|Ft|Mt|Jr|jr|Sr)\.)(?<!\bMrs\.)[\"')\]*_]*\s+"
    r"|(?<=[。？！])|\n+"
)
"""Not behind an initial, U.S. or a title, unless a question follows, nor behind a German ordinal."""
_PICTURE = r"(?s)\[asy\].*?\[/asy\]"
"""A drawing in a problem of mathematics, which is a program of its own."""
_TAG = r"<[a-zA-Z]\w*(?:\s+[\w-]+=\"[^\"<>]*\")+\s*/?>"
"""Markup with attributes, by which clients mark documents: digits of an identifier are no sum."""
_PARAGRAPH_END = r"\n[ \t]*\n"
_BEFORE_SENTENCE = " \t\n\"'“”«¿¡*_>#(-,:「『《"


def _without_courtesy(text: str) -> str:
    """A sentence without the words before its question: "hi, can you please tell me what is 2 + 2"."""
    text = text.lstrip(_BEFORE_SENTENCE)
    for _ in range(6):
        match = re.match(COURTESY, text)
        if match is None and (request := re.match(ASKS_YOU, text)):
            # Not of "can you swim": what follows asks for an answer or a text.
            asks = (COURTESY, MATHS_VERB, TEXT_OPENING, NAME_OR_SAY)
            match = request if _begins(text[request.end() :].lstrip(), *asks) else None
        if match is None:
            break
        text = text[match.end() :].lstrip(_BEFORE_SENTENCE)
    return text.strip()


# Each function returns the reason why a message has a kind, for people; None if it does not.


def _text(parts: _Parts) -> str | None:
    """A request for a text, or a chat client's own task."""
    return "it asks for a text" if _begins(parts.opening, TEXT_OPENING) else None


def _options(parts: _Parts) -> Options | None:
    """Options of a choice, or alternatives in its question."""
    options = find_options(parts.message)
    if options is None and (texts := find_alternatives(parts.question)):
        options = Options(parts.message, texts)
    if options is None or (not options.letters and _are_yes_and_no(parts, options.texts)):
        return None
    # Numbers below "Do these sentences mean the same?" mark no options.
    is_polar = _is_marked(parts.question) and _is_polar(parts, parts.question)
    return None if is_polar and options.letters[:1] == ("1",) else options


def _are_yes_and_no(parts: _Parts, texts: Sequence[str]) -> bool:
    last = {text.lower().split()[-1] for text in texts}
    return last <= {"yes", "no", "true", "false"} or _has(parts.near, YES_OR_NO)


def _why(choice: Options) -> str:
    if choice.letters:
        return f"it has options {choice.letters[0]} to {choice.letters[-1]}"
    if len(choice.texts) == 2:
        return 'it asks for "{}" or "{}"'.format(*choice.texts)
    return f"it has {len(choice.texts)} options"


def _yes_no(parts: _Parts) -> str | None:
    """A question for yes or no: in words, or by beginning with a verb ("Is", "Does")."""
    question = parts.question
    if _has(parts.near, YES_OR_NO):
        return "it asks for yes or no"
    if _is_polar(parts, question):
        return "it begins as a question for yes or no"
    clause = question.rsplit(", ", 1)[-1]
    is_last = not parts.is_abroad and _is_polar(parts, clause) and not _has(question, QUESTION_WORD)
    return "it ends in a question for yes or no" if is_last else None


def _is_polar(parts: _Parts, sentence: str) -> bool:
    """True if a sentence of the message asks for yes or no, and asks nothing of the assistant."""
    is_short = len(sentence.split()) < 3 and max(sentence, default="") < _FIRST_WITHOUT_SPACES
    if is_short or _begins(sentence, TO_ASSISTANT, GERMAN_WAS, NAMED_WILL):
        return False
    if _begins(sentence, POLAR_ABROAD):
        return True
    if not parts.is_abroad:
        return _begins(sentence, POLAR)
    is_asked = _has(sentence, ASKED) or _begins(sentence, ASKED_FIRST, FACT_ABROAD)
    is_question = _is_marked(sentence) or _has(sentence, INVERTED)
    return is_question and not is_asked


_FIRST_WITHOUT_SPACES = "\u2e80"
"""From here on, characters are of scripts without spaces between words, such as Chinese."""


_LONGEST_DATE = 40
"""Words. A longer story is a value: calibrations are fitted on such stories."""


def _date(parts: _Parts) -> str | None:
    """Dates and times to compute with."""
    text, question = parts.near, parts.question
    if len(text.split()) > _LONGEST_DATE:
        return None
    if _has(question, ASKS_DAY) and _has(text, DATE):
        return "it gives a date and asks for a day"
    if _has(question, ASKS_TIME) and _has(text, CLOCK):
        return "it gives a time and asks for another"
    is_counted = _has(question, ASKS_SPAN)
    is_between = sum(len(re.findall(moment, text)) for moment in (DATE, CLOCK)) > 1
    if is_between and (is_counted or _has(question, ASKS_HOW_LONG)):
        return "it gives dates or times and asks how long it is between them"
    return "it counts from a date" if is_counted and _has(question, DATE) else None


def _talk(parts: _Parts) -> str | None:
    """A question whose answer is an explanation or an opinion, or that is about the assistant; code."""
    question, has_number = parts.question, _has(parts.near, NUMBER)
    if parts.has_code and _begins(parts.opening, CODE_RESULT):
        return None
    if _begins(question, TEXT_OPENING):
        return "it ends by asking for a text"
    if _begins(question, TO_ASSISTANT):
        return "it asks something of the assistant"
    is_described = _begins(question, DESCRIPTION) and (parts.is_single or not has_number)
    is_computed = _has(question, OPERATION, BETWEEN_NUMBERS)
    if (is_described and not is_computed) or _begins(question, EXPLANATION):
        return "it asks for an explanation"
    if parts.has_code:
        return "it has code and no tests"
    return "it speaks of you" if _begins(question, ABOUT_US) and not has_number else None


def _value(parts: _Parts) -> str | None:
    """Quantities to compute with, or mathematics."""
    text, question = parts.near, parts.question
    if parts.has_formula:
        return "it has a formula"
    if parts.has_code:
        return "it asks what code gives"
    if _has(text, OPERATION):
        return "it has a sum"
    has_number = _has(re.sub(NUMBER_IN_NAME, " ", text, count=1), NUMBER)
    quantity = (HOW_MUCH, MEASURED, MATHS_WORD, MATHS_VERB)
    if has_number and _has(question, *quantity):
        return "it gives numbers and asks for a quantity"
    is_looked_up = _begins(question, FOR_PERSON_PLACE_TIME)
    if (_has(question, MATHS_WORD) and not is_looked_up) or _has(question, COUNTED):
        return "it speaks of mathematics"
    if _begins(parts.opening, MATHS_VERB):
        return "it asks to compute"
    if re.fullmatch(CONVERSION, parts.opening):
        return "it converts a quantity"
    if has_number and _asks(question) and not is_looked_up:
        return "it gives numbers and asks"
    return None


def _asks(sentence: str) -> bool:
    """True if a sentence has a question mark or its main clause begins with a question word."""
    clauses = (sentence, sentence.rsplit(", ", 1)[-1])
    return _is_marked(sentence) or any(_begins(c, QUESTION_WORD) for c in clauses)


def _fact(parts: _Parts) -> str | None:
    """A short question for a name, a date, a place or a word."""
    patterns = (FACT, FACT_ABROAD) if parts.is_abroad else (FACT,)
    match = next(filter(None, (re.match(pattern, parts.question) for pattern in patterns)), None)
    if match is None:
        return None
    return f'it is a short question that begins with "{" ".join(match[0].lower().split())}"'


_REASONS: tuple[tuple[KindName, Callable[[_Parts], str | None]], ...] = (
    ("text", _text),
    ("yes-no", _yes_no),
    ("date", _date),
    ("text", _talk),
    ("value", _value),
    ("fact", _fact),
)
"""Kinds in the order of the attempts; choices come after the first."""


_LONGEST_FRAGMENT = 6
"""Words of a fragment with a question mark; one without has three at most."""


def _follow_up(message: str, history: Sequence[Turn]) -> Recognised | None:
    """The kind of the question before, for a fragment such as "and of Brazil?"; None for another message.

    "and a cucumber?" takes over the options of "Is a tomato a fruit or a vegetable?", but options with
    letters belong to one question. "How many are left?" follows a value.
    """
    earlier = (turn.content for turn in reversed(history) if turn.role == "user")
    before = recognise_message(next((content for content in earlier if not _is_fragment(content)), ""))
    if _is_fragment(message):
        is_follow_up = not KINDS[before.kind].is_reply and not (before.choice and before.choice.letters)
    else:
        rest = _without_and(message)
        is_follow_up = before.kind == "value" and _begins(rest, HOW_MUCH) and _has(rest, OF_BEFORE)
    return replace(before, why="it goes on from the question before") if is_follow_up else None


def _without_and(message: str) -> str:
    """The message without "and" or "what about" at its beginning."""
    start = message.strip(_BEFORE_SENTENCE)
    match = re.match(GOES_ON, start)
    return start[match.end() :].strip() if match else start


def _is_fragment(message: str) -> bool:
    """True for "and of Brazil?" and "what about two?": no whole question, request or sum."""
    rest = _without_and(message)
    if rest == message.strip(_BEFORE_SENTENCE) or not rest:
        return False
    whole = QUESTION_WORD, POLAR, TEXT_OPENING, EXPLANATION, ABOUT_US
    is_short = len(rest.split()) <= (_LONGEST_FRAGMENT if _is_marked(rest) else 3)
    return is_short and not _begins(rest, *whole) and not _has(rest, OPERATION)


def problem_of(
    id_: str,
    message: str,
    *,
    kind: KindName | None = None,
    choices: Sequence[str] = (),
    is_searched: bool = False,
    history: tuple[Turn, ...] = (),
    schema: Mapping[str, object] | None = None,
) -> Problem:
    """The problem of a message.

    Args:
        id_: Id of the problem.
        message: The message.
        kind: Its kind; None to recognise it.
        choices: Options beside the message, which make it a choice.
        is_searched: The caller asks for a search: a message without a checkable answer becomes a value.
        history: The conversation before it.
        schema: JSON schema of the object to extract from it.

    Raises:
        UsageError: the message cannot be of that kind.
    """
    reasons: dict[KindName, str] = {}
    if schema is not None:
        reasons["json"] = "a schema was given"
    if choices:
        reasons["choice"] = "its options were given"
    if kind is not None:
        reasons.setdefault(kind, "it was asked for")
    if len(reasons) > 1:
        raise UsageError(
            f"a message is of one kind, not {' and '.join(reasons)}",
            "a schema makes it json, options make it a choice",
        )
    if not reasons:
        before = _follow_up(message, history)
        choices = before.choice.texts if before and before.choice else ()
        match = before or recognise_message(message)
        is_value = is_searched and KINDS[match.kind].is_reply
        reasons = {"value": "a search was asked for"} if is_value else {match.kind: match.why}
    [(kind, why)] = reasons.items()
    if KINDS[kind].has_tests:
        raise UsageError("code is judged by tests, and a message has none", hint=command("code"))
    if choices:
        from .choice import with_options

        details = with_options(message, choices)
    else:
        details = kind_named(kind).read_details(message, {"schema": schema})
    return Problem(id_, message, history=history, kind=kind, why=why, details=details)
