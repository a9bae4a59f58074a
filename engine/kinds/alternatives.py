"""Alternatives that one sentence gives: "Is a tomato a fruit or a vegetable?", "tea or coffee"."""

from __future__ import annotations

import re

from .options import split_items
from .wording import phrases

_LONGEST_QUESTION = 600
_LONGEST_ALTERNATIVE = 5
"""In words."""

_OR = re.compile(r"\s(?:or|oder)\s", re.IGNORECASE)
_COMPARISON = r"(?:\w+er|\w+est|first|last|more|most|less|better|best|worse)"

_WHICH = re.compile(
    r"(?:[^,.:?]{0,60},\s)?(?P<word>which|who|whose|what|where|when|in\s+which|welche[rs]?|wer)\b(?P<asked>[^:]*?)"
    r"(?P<mark>[:,]\s|\s[-–—]\s|(?=\s\S+\s+(?:or|oder)\s+\S+$))",
    re.IGNORECASE,
)
"""A question up to its alternatives, which a mark sets apart, or which are a word each."""
_COMPARES = phrases(rf"('s|is|was|are|were|came|comes|has|weighs)?( the)? ?{_COMPARISON}")

_POLAR = phrases(
    r"(is|are|was|were|am|do|does|did|should|would|ist|sind|war)(?! (there|you|any|it \w+ to|either))"
)
_TWO_SUBJECTS = re.compile(
    rf"(?P<first>\S.{{0,40}}?)\s+or\s+(?P<second>\S.{{0,40}}?)(?:\s.{{0,60}})?\s{_COMPARISON}(?:\s(?:in|at|on|than|to|for|by)\s|$)",
    re.IGNORECASE,
)
"""Rest of "Are cats or dogs smarter" after its verb."""
_NO_ALTERNATIVE = phrases(
    r"not|no|any|anything|something|else|more|less|so|others?|never|just|whether|if|is|are|was|what|how|why"
)
"""Beginnings of what no alternative is: "or not", "or something"; "spam or not spam" is one."""
_EITHER = phrases("either|how (many|much)|what (is|fraction|percent)( the)? (probability|chance)")
_DETERMINER = phrases("an?|the|ein(e[nr]?)?|der|die|das")
_PREPOSITION = phrases("in|on|at|by|before|after|to|with|from|under|over")

_SENTENCE = phrases(
    r"""
    is|are|was|were|do|does|did|can|could|will|would|should|has|have|may|how|why|if|i|we|you|give|tell|write|make
    more|now|then|one|two|three|what|yes|true|no|either|whether|let|use|go|please
    """
)
_CLAUSE = phrases("is|are|not|i|you|me|my")
_AFTER_ALTERNATIVES = re.compile(r":\s|\swho\s")
"""What follows the alternatives of "Is this active or passive: ..."."""
_FOLLOWS = re.compile(r"(?<=\w)\s(?:in|for|on|at|with|when|if|of|to|during)\s", re.IGNORECASE)
_FOR_WHAT = re.compile(r"\s(?:for|to)\s.*$", re.IGNORECASE)


def find_alternatives(question: str) -> tuple[str, ...]:
    """Alternatives of a sentence, as they stand in it; empty if it names none."""
    question = question.strip().rstrip("?!. ")
    if len(question) > _LONGEST_QUESTION:
        return ()
    if polar := _POLAR.match(question):
        rest = _AFTER_ALTERNATIVES.split(question[polar.end() :].strip(), maxsplit=1)[0]
        return (_two_subjects(rest) or _last_phrases(rest)) if _OR.search(rest) else ()
    return _after_which(question) or (_fragment(question) if _OR.search(question) else ())


def _after_which(question: str) -> tuple[str, ...]:
    """Of "Which is heavier, a or b" and "What is the past tense of go: goed or went"."""
    match = _WHICH.match(question)
    if match is None or len(match["asked"].split()) > 14 or _EITHER.search(question):
        return ()
    is_choice = match["word"].lower() not in ("what", "where", "when")
    if not _OR.search(question[match.end() :]):
        return split_items(question[match.end() :]) if is_choice and match["mark"].startswith(":") else ()
    is_choice = is_choice or match["mark"].startswith(":")
    return (
        split_items(question[match.end() :]) if is_choice or _COMPARES.match(match["asked"].strip()) else ()
    )


def _two_subjects(rest: str) -> tuple[str, ...]:
    """Of "(Are) cats or dogs smarter"."""
    match = _TWO_SUBJECTS.match(rest)
    if match is None or "," in match["first"] or len(match["first"].split()) > 3:
        return ()
    return match["first"], match["second"]


def _last_phrases(rest: str) -> tuple[str, ...]:
    """Of "(Is) a tomato a fruit or a vegetable" and "(Is) Pluto a planet, a dwarf planet or a moon"."""
    *_, joint = _OR.finditer(rest)
    last = _shortened(rest[joint.end() :].strip())
    first, *between = [piece.strip() for piece in rest[: joint.start()].split(",") if piece.strip()] or [""]
    first = _parallel(first, between[0] if between else last)
    items = (first, *between, last)
    if not first or any(len(item.split()) > _LONGEST_ALTERNATIVE for item in items):
        return ()
    return () if _NO_ALTERNATIVE.match(last) and first not in last else items


def _shortened(text: str) -> str:
    """A last alternative without what follows it: "effect" of "effect in this sentence"."""
    if len(text.split()) <= 3 or not (end := _FOLLOWS.search(text)):
        return text
    return text[: end.start()]


def _parallel(text: str, other: str) -> str:
    """The end of a text that has the form of another phrase: its kind of first word, or as many words.

    It is empty where nothing would be left of the text, which has the subject too.
    """
    words = re.findall(r"\S+", text)
    size = 1 if other.lower().startswith("not ") else len(other.split())
    for form in (_DETERMINER, _PREPOSITION):
        if form.match(other):
            size = next((n for n in range(1, len(words)) if form.fullmatch(words[-n])), 1)
            break
    size = min(size, len(words) - 1)
    ends = [match.start() for match in re.finditer(r"\S+", text)]
    return text[ends[-size] :] if size > 0 else ""


def _fragment(question: str) -> tuple[str, ...]:
    """Of "tea or coffee", which is no sentence."""
    if len(question.split()) > 9 or _SENTENCE.match(question) or _CLAUSE.search(question):
        return ()
    return split_items(_FOR_WHAT.sub("", question.rsplit(": ", 1)[-1]))
