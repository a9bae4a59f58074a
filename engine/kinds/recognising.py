"""Tells by a message's words what kind of question it is: ``recognise_message``.

The kind decides how the message is answered (``kinds``). It is guessed from words (``wording``) and layout
(``options``, ``alternatives``) before anything is read or drawn. A wrong guess costs little: a value taken
for text still gets its reply, and a text taken for a value is stopped after the first solutions without an
answer. So doubt between a text and a question that has an answer goes to the question.

A quantity that one looks up ("How many people live in Paris?") is a fact; a quantity is a value if the
message gives numbers or speaks of mathematics. Code is never guessed: tests make a code task.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..types import KindName
from . import wording
from .alternatives import find_alternatives
from .options import Options, find_options

_WINDOW = 4000
"""Characters at either end of a message in which a question or a request is looked for."""
_SHORT = 600
"""Characters of a message whose question may use a word of mathematics from before it."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """Kind of a message.

    Attributes:
        kind: ``value``, ``choice``, ``yes-no``, ``fact`` or ``text``.
        why: Reason for people: "it has options A to D".
        stem: Question of a choice without its options; the message for any other kind.
        options: Options of a choice in their order, without their letters.
        letters: Their letters or numbers as written; empty if they have none.
    """

    kind: KindName
    why: str
    stem: str
    options: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()


def recognise_message(message: str) -> Recognised:
    """Kind of a message, with its options if it is a choice; never raises, in time linear in its length."""
    parts = _Parts.of(message)
    if choice := None if _text(parts) else _options(parts):
        return Recognised("choice", _why(choice), choice.stem, choice.texts, choice.letters)
    for kind, reason in _REASONS:
        if why := reason(parts):
            return Recognised(kind, why, parts.message)
    return Recognised("text", "it asks for no short answer", parts.message)


def speaks_of_quantities(message: str) -> bool:
    """True if it has a number, a formula, or a word of mathematics."""
    signs = wording.NUMBER, wording.FORMULA, wording.OPERATION, wording.MATHS_WORD
    return any(sign.search(message) for sign in signs)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A message in parts.

    Attributes:
        message: All of it.
        near: The message, or its two ends if it is long.
        opening: Its beginning, without courtesies.
        closing: Its last paragraph, without courtesies.
        question: The sentence that asks, without courtesies: the last with a question mark, else the last.
        is_single: It has one sentence.
        has_formula: It has LaTeX or a drawing.
        has_code: It has lines of a program.
    """

    message: str
    near: str
    opening: str
    closing: str
    question: str
    is_single: bool
    has_formula: bool
    has_code: bool

    @classmethod
    def of(cls, message: str) -> _Parts:
        text = message.strip()
        near = text if len(text) <= 2 * _WINDOW else f"{text[:_WINDOW]}\n{text[-_WINDOW:]}"
        near, pictures = _PICTURE.subn(" ", near)
        sentences = [piece for piece in _SENTENCE_END.split(near) if piece.strip()]
        while len(sentences) > 1 and wording.AFTER_QUESTION.fullmatch(sentences[-1].strip(" \t*_#")):
            sentences.pop()
        asking = [piece for piece in sentences if piece.rstrip(" \"')*_”»").endswith(("?", "？"))]
        return cls(
            text,
            near,
            opening=_without_courtesy(text[:_WINDOW]),
            closing=_without_courtesy(_PARAGRAPH_END.split(near)[-1]),
            question=_without_courtesy((asking or sentences or [""])[-1]),
            is_single=len(sentences) < 2,
            has_formula=pictures > 0 or wording.FORMULA.search(near) is not None,
            has_code=wording.CODE.search(near) is not None,
        )


_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b[a-z]\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\bSt\.)[\"')\]*_]*\s+|(?<=[。？！])|\n+"
)
_PICTURE = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
"""A drawing in a problem of mathematics, which is a program of its own."""
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_BEFORE_SENTENCE = " \t\n\"'“”«¿¡*_>#(-,:"


def _without_courtesy(text: str) -> str:
    """A sentence from where it asks: "what is 2 + 2" of "hi, can you please tell me what is 2 + 2"."""
    text = text.lstrip(_BEFORE_SENTENCE)
    for _ in range(6):
        match = wording.COURTESY.match(text)
        if match is None:
            request = wording.ASKS_YOU.match(text)
            rest = text[request.end() :].lstrip() if request else ""
            match = request if _begins_request(rest) else None
        if match is None:
            break
        text = text[match.end() :].lstrip(_BEFORE_SENTENCE)
    return text.strip()


def _begins_request(text: str) -> bool:
    """True if what follows "can you" asks for an answer or a text, and does not ask whether somebody can."""
    asks = (wording.COURTESY, wording.MATHS_VERB, wording.TEXT_OPENING, wording.NAME_OR_SAY)
    return any(pattern.match(text) for pattern in asks)


# Each of the following gives the reason why a message is of a kind, for people; None if it is not.


def _text(parts: _Parts) -> str | None:
    """A request for a text, or a chat client's own task."""
    if not re.search(r"[^\W_]", parts.message):
        return None if wording.OPERATION.search(parts.near) else "it has no words"
    if parts.has_formula and not parts.has_code:
        return None
    is_fragment = parts.is_single and not wording.HOW_MUCH.search(parts.question)
    is_fragment = is_fragment and wording.TEXT_FRAGMENT.match(parts.opening) is not None
    if wording.TEXT_OPENING.match(parts.opening) or is_fragment:
        return "it asks for a text"
    if wording.CODE_WANTED.search(parts.near):
        return "it asks for code and gives no tests"
    if not parts.is_single and wording.TEXT_CLOSING.match(parts.closing):
        return "it ends by asking for a text"
    return None


def _ends_in_request(parts: _Parts) -> str | None:
    """A request for a text in the sentence that asks, after a passage or data."""
    is_request = wording.TEXT_OPENING.match(parts.question) and not parts.has_formula
    return "it ends by asking for a text" if is_request else None


def _options(parts: _Parts) -> Options | None:
    """Options of a choice, or alternatives that its question names."""
    if found := find_options(parts.message):
        return found
    texts = find_alternatives(parts.question)
    return Options(parts.message, texts) if texts else None


def _why(choice: Options) -> str:
    if choice.letters:
        return f"it has options {choice.letters[0]} to {choice.letters[-1]}"
    if len(choice.texts) == 2:
        return 'it asks for "{}" or "{}"'.format(*choice.texts)
    return f"it has {len(choice.texts)} options"


def _yes_no(parts: _Parts) -> str | None:
    """A question that says so, or that begins as one for yes or no and is no request and no talk."""
    if wording.YES_OR_NO.search(parts.near) and not wording.HOW_MUCH.match(parts.question):
        return "it asks for yes or no"
    if _begins_polar(parts.question):
        return "it begins as a question for yes or no"
    clause = parts.question.rsplit(", ", 1)[-1]
    if clause.endswith("?") and _begins_polar(clause) and not wording.QUESTION_WORD.search(parts.question):
        return "it ends in a question for yes or no"
    return None


def _begins_polar(sentence: str) -> bool:
    """True if a sentence begins as a question for yes or no that is not meant for the assistant."""
    if len(sentence) > 600 or len(sentence.split()) < 3 or wording.TO_ASSISTANT.match(sentence):
        return False
    if wording.GERMAN_WAS.match(sentence) or wording.NAMED_WILL.match(sentence):
        return False
    if sentence.endswith("?"):
        return bool(wording.POLAR.match(sentence) or wording.POLAR_ABROAD.match(sentence))
    return bool(wording.POLAR.match(sentence)) and not wording.NOT_POLAR.match(sentence)


def _talk(parts: _Parts) -> str | None:
    """A question whose answer is an explanation or an opinion, or that is about the assistant; code."""
    has_number = wording.NUMBER.search(parts.near)
    is_computed = parts.has_formula or (
        has_number and wording.MATHS_VERB.search(parts.question) and not _REASON.match(parts.question)
    )
    if is_computed and not parts.has_code:
        return None
    if wording.TO_ASSISTANT.match(parts.question) or wording.TO_ASSISTANT.match(parts.opening):
        return "it asks something of the assistant"
    is_described = wording.DESCRIPTION.match(parts.question) and (parts.is_single or not has_number)
    if wording.EXPLANATION.match(parts.question) or wording.EXPLANATION.match(parts.opening) or is_described:
        return "it asks for an explanation"
    if parts.has_code and not wording.CODE_RESULT.search(parts.question):
        return "it has code and no tests"
    if wording.ABOUT_US.match(parts.question) and not has_number:
        return "it speaks of you or of the assistant"
    return None


_REASON = re.compile(r"why|wieso|warum|weshalb|pourquoi|what\b", re.IGNORECASE)


def _value(parts: _Parts) -> str | None:
    """Quantities to compute with, or mathematics."""
    text, question = parts.near, parts.question
    if parts.has_formula:
        return "it has a formula"
    if wording.OPERATION.search(text) and (_asks(question) or len(text) < 200):
        return "it has a sum"
    counted = wording.NUMBER_IN_NAME.sub(" ", text, count=1) if parts.is_single else text
    has_number = wording.NUMBER.search(counted) is not None
    quantity = (wording.HOW_MUCH, wording.MEASURED, wording.MATHS_WORD, wording.MATHS_VERB)
    if has_number and any(pattern.search(question) for pattern in quantity):
        return "it gives numbers and asks for a quantity"
    is_asked = _asks(question) or wording.MATHS_VERB.search(question) is not None
    is_looked_up = wording.FOR_PERSON_PLACE_TIME.match(question) and not wording.MEASURE.search(question)
    near = text if is_asked and len(text) < _SHORT else question
    if (wording.MATHS_WORD.search(near) and not is_looked_up) or wording.COUNTED.search(question):
        return "it speaks of mathematics"
    is_measured = wording.NUMBER.search(text) or wording.MEASURED.search(question)
    if wording.MATHS_VERB.match(parts.opening) and is_measured:
        return "it asks to compute"
    if wording.CONVERSION.fullmatch(parts.opening):
        return "it converts a quantity"
    if has_number and _asks(question) and not is_looked_up:
        return "it gives numbers and asks"
    return None


def _asks(sentence: str) -> bool:
    clauses = (sentence, sentence.rsplit(", ", 1)[-1])
    return sentence.endswith(("?", "？")) or any(map(wording.QUESTION_WORD.match, clauses))


def _fact(parts: _Parts) -> str | None:
    """A short question for a name, a date, a place or a word."""
    match = wording.FACT.match(parts.question)
    if match is None or len(parts.question.split()) > 30:
        return None
    return f'it is a short question that begins with "{" ".join(match[0].lower().split())}"'


_REASONS: tuple[tuple[KindName, Callable[[_Parts], str | None]], ...] = (
    ("text", _text),
    ("text", _ends_in_request),
    ("yes-no", _yes_no),
    ("text", _talk),
    ("value", _value),
    ("fact", _fact),
)
"""Kinds in the order in which they are tried; choices come after the first."""
