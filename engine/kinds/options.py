"""Options in a message: lettered, numbered, in a list, or the alternatives of one sentence.

All is read from the words and their layout, in time linear in the message's length. Options are pieces of the
message as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .wording import ASKED, CHOOSE, WHICH, phrases

MOST_OPTIONS = 10
_WINDOW = 20_000
"""Characters at the end of a message in which options are looked for."""
_LONGEST_OPTION = 600
_SHORT_OPTION = 120
"""Characters of an option; numbers and bullets mark many other lists, so theirs are shorter."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options that a question gives.

    Attributes:
        stem: The question without them.
        texts: The options in their order, without their letters.
        letters: Their letters or numbers as written ("B" of "(B)"); empty if they have none.
    """

    stem: str
    texts: tuple[str, ...]
    letters: tuple[str, ...] = ()


def find_options(message: str) -> Options | None:
    """Options that the message gives to choose from, near its end; None if it gives none."""
    before, near = message[:-_WINDOW], message[-_WINDOW:]
    found = _labelled(near) or _in_a_row(near) or _listed(near) or _enumerated(near)
    return replace(found, stem=before + found.stem) if found else None


# Options with labels: (A), [A], A), A., A:

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_SEQUENCES: tuple[tuple[str, ...], ...] = (
    *map(tuple, ("ABCDEFGHIJ", "abcdefghij", "123456789", "①②③④⑤⑥⑦⑧⑨⑩")),
    *(_ROMAN, tuple(label.lower() for label in _ROMAN)),
)
"""Labels of options, the likeliest first."""
_LABEL = "[A-Ja-j1-9]|[IVX]{1,4}|[ivx]{1,4}"
_FORMS = (
    rf"\((?P<round>{_LABEL})\)|\[(?P<square>{_LABEL})\]|(?P<half>{_LABEL})\)|(?P<dot>{_LABEL})\.(?=[\s*_])"
    r"|(?P<colon>[A-Ja-j]) ?:(?!//)|(?P<angle>[A-Ja-j1-9])>|(?P<circle>[①-⑩])"
    r"|(?i:option|choice|response|answer) (?P<word>[A-J1-9])[:.)]"
)
_MARK = (
    rf"(?m)(?:^|(?<=[\s*{{>|;,]))(?:{_FORMS})"
    r"|^[ \t]*(?:(?P<bare>[A-J])(?=[ \t]+\w)|(?P<dash>[A-Ja-j1-9])[ \t]?[-–—](?=[ \t]))"
)
_ROW = r"(?i)\sa\s+(\S.{0,40}?)\s+b\s+(\S.{0,40}?)\s+c\s+(\S.{0,40}?)(?:\s+d\s+(\S.{0,40}?))?[.?]?\s*$"
"""Options with bare letters at the end of the message: "a 1917 b 1918 c 1919"."""
_NO_ROW = r"(?i)(?:is|are|was|has|have|and|to)\b|[^\w\s]"
_ANSWER_CUE = r"(?i)\W*(?:(?:the|your|correct|right|final)\s+)*answers?\W*(?:is\W*)?"
_FRONT = r"(?:[\s*_}]|\\[ \\])+"
_BACK = r"(?:\\q?quad|\\(?:textbf|mathbf|mathrm|text|rm)\s?\{|(?<=\s)\}|\*\*|__|[\s,;|$([{]|\\[ \\])+$"
_ASKS = rf"(?i)\?|_{{2,}}|\.{{3}}|…|\b(?:which|{CHOOSE}|choices?|options?|quiz|fill\s+in)\b"
_CHOOSES = rf"(?i)^which\b|\b(?:which\s+(?:of|one|is|statement|option)|{WHICH}|{CHOOSE})\b"
_NO_OPTION = r"[);,^]|\s*(?:--|&)"
"""Beginnings of what stands between labels in formulas."""
_LINE_FRONT = r"[\s*_>#$-]*(?:\\\w+\s?\{)*"
"""Characters that may stand before a label at the beginning of a line, such as ``$\\textbf{``."""
_FOLLOWED_BY_QUESTION = rf"(?i)(?:(?<=[.;])|\s[-–—])\s+(?=(?:which|what|who|{WHICH}|{CHOOSE}|answer)\b)"
_SUBQUESTION = (
    r"(?i)(?:what|why|how|who|when|where|explain|describe|discuss|find|calculate|compute|determine|show|prove"
    r"|write|list|give|state|draw|name|sketch|solve|define)\s+\w|[^?]{0,300}\?\s*$"
)


def _labelled(message: str) -> Options | None:
    """Options of the last list with labels of the first sequence that gives any."""
    marks = list(re.finditer(_MARK, message))
    for candidates in ([mark for mark in marks if _begins_line(message, mark)], marks):
        for sequence in _SEQUENCES:
            runs = [run for run in _runs(candidates, sequence) if len(run) > 1]
            alike = [run for run in runs if run[0].lastgroup == runs[-1][0].lastgroup]
            if alike and (found := _read_run(message, alike)):
                return found
    return None


def _begins_line(message: str, mark: re.Match[str]) -> bool:
    line = message.rfind("\n", 0, mark.start()) + 1
    return re.fullmatch(_LINE_FRONT, message[line : mark.start()]) is not None


def _runs(marks: Sequence[re.Match[str]], sequence: Sequence[str]) -> list[list[re.Match[str]]]:
    """Marks of one form with labels in sequence from its first."""
    runs: list[list[re.Match[str]]] = []
    running: dict[str | None, list[re.Match[str]]] = {}
    for mark in marks:
        form, label = mark.lastgroup, _label(mark)
        if label == sequence[0]:
            running[form] = [mark]
            runs.append(running[form])
        elif form in running and [label] == [*sequence[len(running[form]) :][:1]]:
            running[form].append(mark)
    return runs


def _label(mark: re.Match[str]) -> str:
    return mark[mark.lastgroup or 0]


def _read_run(message: str, runs: list[list[re.Match[str]]]) -> Options | None:
    """Options of the last of some lists with like marks; None if they are no options of one question."""
    run = runs[-1]
    between = message[runs[-2][-1].end() : run[0].start()] if len(runs) > 1 else "answer"
    if "answer" not in between.lower():
        return None  # a dialogue, or several questions
    stem = message[: run[0].start()]
    ends = [mark.start() for mark in run[1:]] + [_end_of_last(message, run)]
    pieces = [message[mark.end() : end] for mark, end in zip(run, ends, strict=True)]
    if any(re.match(_NO_OPTION, piece) or piece.count("(") > piece.count(")") for piece in pieces):
        return None
    texts = tuple(_trimmed(piece) for piece in pieces)
    tail = message[ends[-1] :].strip()
    found = Options(_joined(stem, tail), texts, tuple(_label(mark) for mark in run))
    return found if _are_options(found, stem, tail, run) else None


def _end_of_last(message: str, run: list[re.Match[str]]) -> int:
    """Where the last option ends: with its line, or with its sentence if all stand on one line."""
    start = run[-1].end()
    start += len(message[start : start + 200]) - len(message[start : start + 200].lstrip())
    end = message.find("\n", start)
    end = len(message) if end < 0 else end
    is_inline = "\n" not in message[run[0].start() : start].strip()
    question = re.search(_FOLLOWED_BY_QUESTION, message[start:end]) if is_inline else None
    return start + question.start() if question else end


def _are_options(found: Options, stem: str, tail: str, run: list[re.Match[str]]) -> bool:
    """True unless the list is one of subquestions, points or notes, or part of a formula or of prose."""
    form, texts, longest = run[0].lastgroup, found.texts, max(map(len, found.texts))
    if not all(texts) or longest > _LONGEST_OPTION or not re.search(r"\w", found.stem):
        return False
    if found.letters[0].isupper():  # "jar A. Then jar B." is prose
        return len(run) > 2 or form in ("round", "square", "word") or not stem.rstrip(" \t*")[-1:].isalnum()
    subquestions = sum(re.match(_SUBQUESTION, text) is not None for text in texts)
    if 2 * subquestions > len(texts) or (not found.letters[0].islower() and longest > _SHORT_OPTION):
        return False
    # The points of a text below a question are numbered, too.
    near = stem.rstrip().rpartition("\n")[2] if found.letters[0] == "1" else stem
    asks = re.search(_ASKS, near[-_LONGEST_OPTION:]) or re.search(_CHOOSES, tail[:_LONGEST_OPTION])
    # An option may end the sentence that the stem begins.
    is_begun = stem.rstrip()[-1:] not in (".", "!", ";", "$")
    is_begun = is_begun and (found.letters[0].islower() or (form == "round" and stem.rstrip()[-1:] != ":"))
    return asks is not None or is_begun


def _in_a_row(message: str) -> Options | None:
    """Options with bare letters at the end of the message."""
    match = re.search(_ROW, message[-_SHORT_OPTION * 2 :])
    texts = tuple(filter(None, match.groups())) if match else ()
    if match is None or any(re.match(_NO_ROW, text) for text in texts):
        return None
    stem = message[: len(message) - len(match[0])]
    return Options(_trimmed(stem), texts, _SEQUENCES[1][: len(texts)])


def _trimmed(text: str) -> str:
    """An option without white space, emphasis and the LaTeX that lays it out."""
    text = (text[match.end() :] if (match := re.match(_FRONT, text)) else text).rstrip()
    kept = text[:-_SHORT_OPTION] + re.sub(_BACK, "", text[-_SHORT_OPTION:])
    # A closing mark of mathematics belongs to the option that opened it.
    return text[: len(kept) + 1] if kept.count("$") % 2 and text[len(kept) :][:1] == "$" else kept


def _joined(stem: str, tail: str) -> str:
    """The text before and after the options, without a cue such as "Answer:"."""
    rest = "" if re.fullmatch(_ANSWER_CUE, tail) else tail
    return "\n".join(filter(None, [_trimmed(stem), rest]))


# Options on lines of their own, with a bullet or without a mark, and lists on one line

_BULLET = r"[ \t]*(?:[-*–·][ \t]+|(?:[•○◦●▪□☐‣]|\[ ?\]|\( ?\))[ \t]*)"
_BULLETS = rf"(?m)(?:^{_BULLET}(?=\S)[^\n]*(?:\n|\Z)){{2,}}"
_ASKS_FOR_ONE = (
    rf"(?i)\b(?:which|{WHICH}|{CHOOSE})\b|{ASKED[4:]}[^.?!\n]*\?\s*$|\bone\s+of\s+(?:these|the\s+following)\b|_{{2,}}"
    r"|\b(?:who|whose|whom|when|where|what\s+(?:is|was)\s+the\s+(?:capital|name|first|\w+est))\b[^.?!\n]*\?\s*$"
)
_ONE_OF_THESE = (
    r"(?im)\bwhich\s+(?:one\s+)?of\s+(?:these|the\s+following)\b"
    rf"|\b{CHOOSE}\b[^.?!\n]*[:?]\s*$|^[ \t]*which\b[^.?!\n]*\?[ \t]*$"
)
_NEXT_SENTENCE = r"[.!?] +[A-Z]"
_LIST_CUE = (
    rf"(?i)\b(?:options?|choices?|{CHOOSE}\s[^.:?!\n]{{0,60}})\s*:\s*([^\n:?[]+)"
    r"|\bone\s+of\s*(?:these\s*|the\s+following\s*)?:\s*([^\n:?.[]+)"
    r"|\b(?:classify|categori[sz]e|label|[ck]lass?ifi\w+)\b[^\n]{0,80}?\s(?:as|als|comme|como|come)\s(?:either\s+)?([^\n:?]+)"
    r"|\b(?:(?:choose|pick|select)\s+(?:one\s+)?(?:from|of|between|among)|fill\s[^\n:.]{0,40}with)\s+([^\n:?.[]+)"
    r"|\b(?:options?|choices|one\s+of|categor(?:y|ies)|labels?|from)(?:\W{0,3}\[|\s\()([^][()]{0,300}[a-z]{2})\W?[])]"
    r"|\b(?:would\s+you\s+say|(?:decide|determine|judge|tell|say|predict)\s(?:me\s)?(?:if|whether))"
    r"\s[^\n.?:]{1,60}\s(?:is|are|was)\s(?:about\s)?([^\n.?:]{3,120})"
    r"|\b(?:answer|reply|respond)\s+(?:only\s+)?(?:with\s+)?(?:either\s+)?(\S+\s+or\s+[^\s.]+)\s*[.:\n]"
)
_PARENTHESIS = r"\(([^()]{1,100})\)"
_BETWEEN_ITEMS = r"(?i)\s*[,;|]\s+(?:or\s|and\s|oder\s|ou\s|o\s)?\s*|\s+(?:or|oder|ou|или|o)\s+"
_BETWEEN_BARE_ITEMS = r"\s*[/,;|]\s*"


def _listed(message: str) -> Options | None:
    """Short lines that a question asks for one of, with bullets, or without below "which of these"."""
    text = message.rstrip()
    if blocks := list(re.finditer(_BULLETS, text)):
        start, end = blocks[-1].span()
        above = text[:start].rstrip().rpartition("\n")[2]
        is_asked = re.search(_ASKS_FOR_ONE, above[-_LONGEST_OPTION:]) or re.search(_CHOOSES, text[end:])
    elif cues := list(re.finditer(_ONE_OF_THESE, text)):
        start, end = text.find("\n", cues[-1].end()), len(text)
        is_asked = cues[-1] if start > 0 and not re.search(_NEXT_SENTENCE, text[start:]) else None
    else:
        return None
    lines = [line for line in text[start:end].splitlines() if not re.fullmatch(_ANSWER_CUE, line)]
    options = tuple(re.sub(_BULLET, "", line, count=1).strip(" \t*_,;") for line in lines if line.strip())
    is_short = all(0 < len(option) <= _SHORT_OPTION for option in options)
    if not is_asked or not is_short or not 2 <= len(options) <= MOST_OPTIONS:
        return None
    return Options(_joined(text[:start], text[end:].strip()), options)


def _enumerated(message: str) -> Options | None:
    """Items on one line, after words that announce options or beside a question."""
    match = re.search(_LIST_CUE, message)
    given = next(filter(None, match.groups())) if match else ""
    inside = re.search(_PARENTHESIS, given)
    items = split_items(inside[1] if inside else given) or _separated(message)
    return Options(message.strip(), items) if items else None


def _separated(message: str) -> tuple[str, ...]:
    """Options of "She is married ___ a doctor. (to, with, by)" and "Which is a metal? iron | wood"."""
    rows = [line for line in message.splitlines() if re.search(r"^[^|]+\s[/|]\s", line)]
    if len(rows) != 1 or not re.search(_ASKS, message):
        return ()
    return split_items(re.split(r"[?:(]\s*", rows[0].strip(" \t)."))[-1])


def split_items(text: str) -> tuple[str, ...]:
    """Items of a list on one line; empty unless they are two to ten different ones, of six words at most."""
    between = _BETWEEN_ITEMS if re.search(_BETWEEN_ITEMS, text) else _BETWEEN_BARE_ITEMS
    items = tuple(item for piece in re.split(between, text) if (item := piece.strip(" \t\n.?!*_\"'")))
    is_distinct = len({item.casefold() for item in items}) == len(items)
    if is_distinct and 2 <= len(items) <= MOST_OPTIONS and all(len(item.split()) <= 6 for item in items):
        return items
    return ()


# Alternatives that one sentence gives: "Is a tomato a fruit or a vegetable?", "tea or coffee"

_LONGEST_QUESTION = 600
_LONGEST_ALTERNATIVE = 5
"""In words."""

_OR = r"\s(?:[oO][rR]|oder|ou|или|(?<=\w\w\s)o)\s"
_COMPARISON = r"(?:\w+er|\w+est|first|last|more|most|less|better|best|worse)"

_WHICH = (
    r"(?i)(?:[^,.:?]{0,60},\s)?(?P<word>wh?ich|who|whose|what|where|when|in\s+which|welche[rs]?|wer|was|qu[ae]le?|quelle"
    r"|lequel|laquelle|qui[eé]n|qui|qué|chi|cu[aá]l(?:es)?|какая|какой|кто|что)\b(?P<asked>[^:]*?)"
    r"(?P<mark>\s?[:,]\s|\s[-–—]\s|(?=\s\S+\s+(?:or|oder|ou|o|или)\s+\S+$))"
)
"""A question up to its alternatives, which a mark sets apart, or which are a word each."""
_COMPARES = phrases(rf"('s|is|was|are|were|came|comes|has|weighs)?( the)? ?{_COMPARISON}")
_AMONG = (
    r"(?i)(?:of|between|among|out\s+of|von|entre|tra)\s(?!all\b)(?P<items>[^?:.]+?),"
    rf"\s+¿?(?:which|who|what|where|{WHICH})\b"
)
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
_SEQUENCE = phrases(r"next|missing|follows|continues|nächste\w*|suivant\w*|siguiente|successiv\w*")
_DETERMINER = phrases("an?|the|ein(e[nr]?)?|der|die|das")
_PREPOSITION = phrases("in|on|at|by|before|after|to|with|from|under|over")

_SENTENCE = phrases(
    r"""
    is|are|was|were|do|does|did|can|could|will|would|should|has|have|may|how|why|if|i|we|you|give|tell|write|make
    os?|que|more|now|then|one|two|three|what|yes|true|no|either|whether|let|use|go|please
    find|solve|compute|calculate|evaluate|simplify|determine
    """
)
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
        return split_items(re.sub(r"\s(?:and|und|et|y|e)\s", ", ", match["items"]))
    return _after_which(question) or (_fragment(question) if re.search(_OR, question) else ())


def _after_which(question: str) -> tuple[str, ...]:
    """The alternatives of "Which is heavier, a or b" and "What is the past tense of go: goed or went"."""
    match = re.match(_WHICH, question)
    if match is None:
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
    if match is None:
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
    first, *between = [
        piece.strip() for piece in re.split(r",(?!\d)", rest[: joint.start()]) if piece.strip()
    ] or [""]
    first = _parallel(first, between[0] if between else last)
    is_none = not first or (re.match(_NO_ALTERNATIVE, last) and first not in last)
    return () if is_none else (first, *between, last)


def _shortened(text: str) -> str:
    """A last alternative without what follows it: "effect" of "effect in this sentence"."""
    end = re.search(_FOLLOWS, text)
    return text[: end.start()] if end else text


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
    return () if re.match(_SENTENCE, named) else split_items(re.sub(_AFTER_FRAGMENT, "", named))
