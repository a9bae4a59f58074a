"""Alternatives that one sentence gives: "Is a tomato a fruit or a vegetable?", "tea or coffee"."""

from __future__ import annotations

import re

from .options import split_items
from .wording import phrases

_LONGEST_QUESTION = 600
_LONGEST_ALTERNATIVE = 5
"""In words."""

_OR = r"\s(?:[oO][rR]|oder|ou|или|o(?=\s(?:un|una|el|la|il|lo)\s))\s"
_COMPARISON = r"(?:\w+er|\w+est|first|last|more|most|less|better|best|worse)"

_WHICH = (
    r"(?i)(?:[^,.:?]{0,60},\s)?(?P<word>wh?ich|who|whose|what|where|when|in\s+which|welche[rs]?|wer|was|qu[ae]le?|quelle"
    r"|lequel|laquelle|qui[eé]n|qui|qué|chi|cu[aá]l(?:es)?|какая|какой|кто|что)\b(?P<asked>[^:]*?)"
    r"(?P<mark>\s?[:,]\s|\s[-–—]\s|(?=\s\S+\s+(?:or|oder|ou|o|или)\s+\S+$))"
)
"""A question up to its alternatives, which a mark sets apart, or which are a word each."""
_COMPARES = phrases(rf"('s|is|was|are|were|came|comes|has|weighs)?( the)? ?{_COMPARISON}")
_AMONG = r"(?i)(?:of|between|among|out\s+of)\s(?!all\b)(?P<items>[^?:.]+?),\s+(?:which|who|what|where)\b"
_CHINESE = "([^\\s，。,]{1,30})还是([^\\s，。？,]{1,30})"

_POLAR = phrases(
    r"(is|are|was|were|am|do|does|did|should|will|would|ist|sind|war|est-ce( que|\W)|es|è)"
    r"(?! (there|you|any|ist|sind|it \w+ to|either))"
)
_TWO_SUBJECTS = (
    r"(?i)(?P<first>\S.{0,40}?)\s+or\s+(?P<second>\S.{0,100}?)"
    rf"(?<!\sin)(?<!\sof)(?<!\son)(?<!\sa)(?<!\sthe)\s{_COMPARISON}(?:\s(?:in|at|on|than|to|for|by|after)\s|$)"
)
"""Rest of "Are cats or dogs smarter" after its verb; of "Do cats or dogs live longer" with another verb."""
_BE = phrases("is|are|was|were|ist|sind|war")
_NO_ALTERNATIVE = phrases(
    r"not|no|any|anything|something|else|more|less|so|others?|never|just|whether|if|is|are|was|what|how|why"
)
"""Beginnings of what no alternative is: "or not", "or something"; "spam or not spam" is one."""
_SEQUENCE = phrases("next|missing|follows|continues")
_EITHER = phrases("either|how (many|much)|what (is|fraction|percent)( the)? (probability|chance)")
_DETERMINER = phrases("an?|the|ein(e[nr]?)?|der|die|das")
_PREPOSITION = phrases("in|on|at|by|before|after|to|with|from|under|over")

_SENTENCE = phrases(
    r"""
    is|are|was|were|do|does|did|can|could|will|would|should|has|have|may|how|why|if|i|we|you|give|tell|write|make
    more|now|then|one|two|three|what|yes|true|no|either|whether|let|use|go|please
    find|solve|compute|calculate|evaluate|simplify|determine
    """
)
_CLAUSE = phrases("is|are|not|i|you|me|my")
_AFTER_ALTERNATIVES = r":\s|\swho\s"
"""Text behind the alternatives of "Is this active or passive: ..."."""
_TWO_COMPARISONS = (
    r"(?i)\b(?P<first>(?:more|less|\w+er)(?:\sthan)?)\sor\s"
    r"(?P<second>(?:(?:more|less)(?:\s(?!than)\w+)?|equal|the\ssame|(?!other)\w+er)(?:\sthan)?)(?=\s|$)"
)
"""Matches the alternatives of "Is 3/4 more or less than 5/7"."""
_FOLLOWS = r"(?i)(?<=[\w\"'”’])\s(?:in|for|on|at|with|when|if|of|to|during)\s"
_AFTER_FRAGMENT = (
    r"(?i)\s(?:for|to|in|on|at|when|if)\s.*$|,\s(?:which|who|what|where|i|we|she|he|it|they)\b.*$"
)
"""Text behind the alternatives of "tea or coffee for breakfast"."""


def find_alternatives(question: str) -> tuple[str, ...]:
    """Alternatives of a sentence, as they stand in it; empty if it names none."""
    question = question.strip().rstrip("?!.？ ")
    if len(question) > _LONGEST_QUESTION:
        return ()
    if chinese := re.search(_CHINESE, question):
        first, second = chinese.groups()
        return first[max(first.rfind(second[0]), 0) :], second  # the subject of both stands before the first
    if polar := re.match(_POLAR, question):
        rest = re.split(_AFTER_ALTERNATIVES, question[polar.end() :].strip(), maxsplit=1)[0]
        if not re.search(_OR, rest):
            return ()
        if match := re.search(_TWO_COMPARISONS, rest):
            return match["first"], match["second"]
        return _two_subjects(polar[0], rest) or _last_phrases(rest)
    if match := re.match(_AMONG, question):
        return split_items(re.sub(r"\sand\s", ", ", match["items"]))
    return _after_which(question) or (_fragment(question) if re.search(_OR, question) else ())


def _after_which(question: str) -> tuple[str, ...]:
    """The alternatives of "Which is heavier, a or b" and "What is the past tense of go: goed or went"."""
    match = re.match(_WHICH, question)
    if match is None or len(match["asked"].split()) > 14 or re.search(_EITHER, question):
        return ()
    rest, has_colon = question[match.end() :], match["mark"].strip() not in ("", ",")
    is_choice = match["word"].lower() not in ("what", "was", "where", "when")
    if re.search(_OR, rest) or " o " in rest:
        is_choice = is_choice or has_colon or re.match(_COMPARES, match["asked"].strip()) is not None
    else:
        is_choice = is_choice and has_colon and not re.search(_SEQUENCE, match["asked"])
    return split_items(rest) if is_choice else ()


def _two_subjects(verb: str, rest: str) -> tuple[str, ...]:
    """The alternatives of "(Are) cats or dogs smarter"; the second has as many words as the first."""
    match = re.match(_TWO_SUBJECTS, rest)
    if match is None or "," in match["first"] or len(match["first"].split()) > 3:
        return ()
    words = match["second"].split()
    if len(words) > _LONGEST_ALTERNATIVE or not re.match(_BE, verb):
        nouns = len(re.sub(_DETERMINER, "", match["first"]).split())
        size = nouns + (re.match(_DETERMINER, match["second"]) is not None)
        words = words[: max(1, min(size, len(words) - 1))]
    return match["first"], " ".join(words)


def _last_phrases(rest: str) -> tuple[str, ...]:
    """The alternatives of "(Is) Pluto a planet, a dwarf planet or a moon"."""
    *_, joint = re.finditer(_OR, rest)
    last = _shortened(rest[joint.end() :].strip())
    first, *between = [piece.strip() for piece in rest[: joint.start()].split(",") if piece.strip()] or [""]
    first = _parallel(first, between[0] if between else last)
    items = (first, *between, last)
    if not first or any(len(item.split()) > _LONGEST_ALTERNATIVE for item in items):
        return ()
    return () if re.match(_NO_ALTERNATIVE, last) and first not in last else items


def _shortened(text: str) -> str:
    """A last alternative without what follows it: "effect" of "effect in this sentence"."""
    if len(text.split()) <= 3 or not (end := re.search(_FOLLOWS, text)):
        return text
    return text[: end.start()]


def _parallel(text: str, other: str) -> str:
    """The end of a text that has the form of another phrase: its kind of first word, or as many words.

    It is empty where nothing would be left of the text, which has the subject too.
    """
    words = re.findall(r"\S+", text)
    size = 1 if other.lower().startswith("not ") else len(other.split())
    for form in (_DETERMINER, _PREPOSITION):
        if re.match(form, other):
            size = next((n for n in range(1, len(words)) if re.fullmatch(form, words[-n])), 1)
            break
    size = min(size, len(words) - 1)
    ends = [match.start() for match in re.finditer(r"\S+", text)]
    return text[ends[-size] :] if size > 0 else ""


def _fragment(question: str) -> tuple[str, ...]:
    """The alternatives of what is no sentence, as "colour of the sun: yellow, white, or orange"."""
    named = next((piece for piece in question.split(": ") if re.search(_OR, piece)), "")
    items = () if re.match(_SENTENCE, named) else split_items(re.sub(_AFTER_FRAGMENT, "", named))
    is_clause = any(len(item.split()) > 4 or re.search(_CLAUSE, item) for item in items)
    return () if is_clause else items
