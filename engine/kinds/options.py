"""Options in a message: with letters, numbers or bullets, in a row, or as "A or B?".

All is read from words and layout, in time linear in the length of the message. Options are pieces of the
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
"""Characters of an option; bullets mark many other lists, so theirs are shorter."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a question.

    Attributes:
        stem: The question without them.
        texts: The options in their order, without their letters.
        letters: Their letters or numbers as written ("B" of "(B)"); empty if they have none.
    """

    stem: str
    texts: tuple[str, ...]
    letters: tuple[str, ...] = ()


def find_options(message: str) -> Options | None:
    """Options near the end of a message; None without any."""
    before, near = message[:-_WINDOW], message[-_WINDOW:]
    options = _labelled(near) or _bulleted(near) or _in_a_row(near)
    return replace(options, stem=before + options.stem) if options else None


# Options with labels: (A), [A], A), A., A:

_SEQUENCES = "ABCDEFGHIJ", "abcdefghij", "123456789"
_LABEL = "[A-Ja-j1-9]"
_FORMS = (
    rf"\((?P<round>{_LABEL})\)|\[(?P<square>{_LABEL})\]|(?P<half>{_LABEL})\)|(?P<dot>{_LABEL})\.(?=[\s*_])"
    rf"|(?P<colon>[A-Ja-j]) ?:(?!//)|(?P<angle>{_LABEL})>"
    r"|(?i:option|choice|response|answer) (?P<word>[A-J1-9])[:.)]"
)
_LINE_MARK = (
    r"(?m)^[ \t*_>#$-]*(?:\\\w+\s?\{)*"
    rf"(?:{_FORMS}|(?P<bare>[A-Ja-j])(?=[ \t]+\w)|(?P<dash>{_LABEL})[ \t]?[-–—](?=[ \t]))"
)
"""A label at the beginning of a line, behind emphasis or LaTeX such as ``$\\textbf{``."""
_MARK = rf"(?:^|(?<=[\s*{{>|;,]))(?:{_FORMS})|(?<=[ \t][ \t])(?P<apart>[A-Ja-j])(?=[ \t]\w)"
_ANSWER_CUE = r"(?i)\W*(?:(?:the|your|correct|right|final)\s+)*answers?\W*(?:is\W*)?"
_FRONT = r"\A(?:[\s*_}]|\\[ \\])+"
_BACK = r"(?:\\q?quad|\\(?:textbf|mathbf|mathrm|text|rm)\s?\{|(?<=\s)\}|\*\*|__|[\s,;|$([{]|\\[ \\])+$"
_ASKS = rf"(?i)\?|_{{2,}}|\.{{3}}|…|\b(?:which|{CHOOSE}|choices?|options?|quiz|fill\s+in)\b"
_CHOOSES = rf"(?i)^which\b|\b(?:which\s+(?:of|one|is|statement|option)|{WHICH}|{CHOOSE})\b"
_NO_OPTION = r"[);,^]|\s*(?:--|&)"
"""Text behind a label in a formula."""
_END_OF_LAST = rf"(?<=\S)[^\S\n]*\n|(?:(?<=[.;])|\s[-–—])\s+(?=(?i:which|what|who|{WHICH}|{CHOOSE}|answer)\b)"
"""The last option ends with its line, or before a question behind it."""
_SUBQUESTION = (
    r"(?i)(?:what|why|how|who|when|where|explain|describe|discuss|find|calculate|compute|determine|show|prove"
    r"|write|list|give|state|draw|name|sketch|solve|define)\s+\w|[^?]{0,300}\?\s*$"
)


def _labelled(message: str) -> Options | None:
    """Options of the last list with labels of the first sequence that gives any."""
    for pattern in (_LINE_MARK, _MARK):
        marks = [*re.finditer(pattern, message)]
        for sequence in _SEQUENCES:
            runs = _runs(marks, sequence)
            if runs and not _is_dialogue(message, runs) and (options := _read_run(message, runs[-1])):
                return options
    return None


def _runs(marks: Sequence[re.Match[str]], sequence: str) -> list[list[re.Match[str]]]:
    """Two marks or more of one form with labels in sequence from its first."""
    runs: list[list[re.Match[str]]] = []
    latest: dict[str | None, list[re.Match[str]]] = {}
    for mark in marks:
        form, label = mark.lastgroup, _label(mark)
        if label == sequence[0]:
            latest[form] = [mark]
            runs.append(latest[form])
        elif label == sequence[len(latest.get(form, ())) :][:1]:
            latest[form].append(mark)
    return [run for run in runs if len(run) > 1]


def _is_dialogue(message: str, runs: Sequence[Sequence[re.Match[str]]]) -> bool:
    """True for two lists without the word "answer" between them: a dialogue, or several questions."""
    return len(runs) > 1 and "answer" not in message[runs[-2][-1].end() : runs[-1][0].start()].lower()


def _label(mark: re.Match[str]) -> str:
    return mark[mark.lastgroup or 0]


def _read_run(message: str, run: Sequence[re.Match[str]]) -> Options | None:
    """Options of a list; None if its items are no options."""
    start, last = run[0].start(), run[-1].end()
    end = last + len(re.split(_END_OF_LAST, message[last:], maxsplit=1)[0])
    ends = [*(mark.start() for mark in run[1:]), end]
    pieces = [message[mark.end() : end] for mark, end in zip(run, ends, strict=True)]
    stem, texts, tail = message[:start].rstrip(), tuple(map(_trimmed, pieces)), message[end:].strip()
    if any(re.match(_NO_OPTION, piece) for piece in pieces) or not _asks(run, stem, texts, tail):
        return None
    return Options(_joined(stem, tail), texts, tuple(map(_label, run)))


def _asks(run: Sequence[re.Match[str]], stem: str, texts: Sequence[str], tail: str) -> bool:
    """True unless the list has subquestions, points or notes, or is part of prose."""
    if not all(0 < len(text) <= _LONGEST_OPTION for text in texts):
        return False
    first, is_round = _label(run[0]), run[0].lastgroup == "round"
    if first == "A":  # "jar A. Then jar B." is prose
        return len(texts) > 2 or is_round or not stem[-1:].isalnum()
    if any(re.match(_SUBQUESTION, text) for text in texts):
        return False
    if (first == "a" and stem[-1:] not in ".!;$") or (is_round and stem[-1:] not in ".!;$:"):
        return True  # an option may end the sentence that the stem begins
    # The points of a text below a question are numbered, too.
    near = stem.rpartition("\n")[2] if first == "1" else stem
    return bool(re.search(_ASKS, near[-_LONGEST_OPTION:]) or re.search(_CHOOSES, tail[:_LONGEST_OPTION]))


def _trimmed(text: str) -> str:
    """An option without white space, emphasis and the LaTeX that lays it out."""
    text = re.sub(_FRONT, "", text).rstrip() or text.strip()
    return text[:-_SHORT_OPTION] + re.sub(_BACK, "", text[-_SHORT_OPTION:])


def _joined(stem: str, tail: str) -> str:
    """The text before and after the options, without a cue such as "Answer:"."""
    rest = "" if re.fullmatch(_ANSWER_CUE, tail) else tail
    return "\n".join(filter(None, [_trimmed(stem), rest]))


# Options with bullets

_BULLET = r"[ \t]*(?:[-*–·][ \t]+|(?:[•○◦●▪□☐‣]|\[ ?\]|\( ?\))[ \t]*)"
_BULLETS = rf"(?m)(?:^{_BULLET}(?=\S)[^\n]*(?:\n|\Z)){{2,}}"
_ASKS_FOR_ONE = (
    rf"(?i)\b(?:which|{WHICH}|{CHOOSE})\b|{ASKED[4:]}[^.?!\n]*\?\s*$|\bone\s+of\s+(?:these|the\s+following)\b|_{{2,}}"
    r"|\b(?:who|whose|whom|when|where|what\s+(?:is|was)\s+the\s+(?:capital|name|first|\w+est))\b[^.?!\n]*\?\s*$"
)


def _bulleted(message: str) -> Options | None:
    """Short items with bullets, below or above a question that asks for one of them."""
    *_, block = None, *re.finditer(_BULLETS, message)
    if block is None:
        return None
    stem, tail = message[: block.start()].rstrip(), message[block.end() :].strip()
    lines = (re.sub(_BULLET, "", line, count=1).strip(" \t*_,;") for line in block[0].splitlines())
    texts = tuple(line for line in lines if not re.fullmatch(_ANSWER_CUE, line))
    asks = re.search(_ASKS_FOR_ONE, stem.rpartition("\n")[2][-_LONGEST_OPTION:]) or re.search(_CHOOSES, tail)
    is_short = max(map(len, texts), default=0) <= _SHORT_OPTION
    return (
        Options(_joined(stem, tail), texts) if asks and is_short and 2 <= len(texts) <= MOST_OPTIONS else None
    )


# Options in a row: "Choose one: red, green, blue", "Which is a metal? iron | wood"

_ROW = (
    rf"(?i)\b(?:(?:options?|choices?|{CHOOSE}\b[^.:?!\n\[]{{0,60}}|one\s+of(?:\s+these|\s+the\s+following)?)\s*:"
    r"|(?:options?|choices|one\s+of|categor(?:y|ies)|labels?|from)\W{0,3}\["
    r"|(?:classify|categori[sz]e|label|[ck]lass?ifi\w+)\b[^\n]{0,80}?\s(?:as|als|comme|como|come)\s)"
    r"\s*\[?((?:[^\n:?.\[\]]|\.(?=\d))+)"
)
_BAR = r"\s[/|]\s"
_BETWEEN_ITEMS = r"(?i)\s*[,;|]\s+(?:or\s|and\s|oder\s|ou\s|o\s)?\s*|\s+(?:or|oder|ou|или|o|[/|])\s+"
_LONGEST_ITEM = 6
"""In words."""


def _in_a_row(message: str) -> Options | None:
    """Items on one line, with bars between them or behind words that announce options."""
    rows = re.findall(_ROW, message)
    if re.search(_ASKS_FOR_ONE, message):
        rows = [*(piece for piece in re.split(r"[\n?:()]", message) if re.search(_BAR, piece)), *rows]
    items = _distinct(re.split(_BETWEEN_ITEMS, rows[0])) if rows else ()
    return Options(message.strip(), items) if items else None


def _distinct(pieces: Sequence[str]) -> tuple[str, ...]:
    """Items without their marks; empty unless they are two to ten different and short ones."""
    items = tuple(item for piece in pieces if (item := piece.strip(" \t\n.?!*_\"'“”«»")))
    is_distinct = len({item.casefold() for item in items}) == len(items)
    is_short = all(len(item.split()) <= _LONGEST_ITEM for item in items)
    return items if is_distinct and is_short and 2 <= len(items) <= MOST_OPTIONS else ()


# Alternatives of one sentence: "Is a tomato a fruit or a vegetable?", "tea or coffee"

_LONGEST_QUESTION = 600
_OR = r"(?:\sthan)?\s(?:[oO][rR]|oder|ou|или|(?<=\w\w\s)o)\s|还是"
_COMPARISON = r"\b(?:\w+er|\w+est|first|last|more|most|less|better|best|worse)\b"
_POLAR = phrases(
    r"(is|are|was|were|am|do|does|did|should|will|would|ist|sind|war|est-ce( que|\W)|es|è)"
    r"(?! (there|you|any|ist|sind|it \w+ to|either))"
)
_WHICH = (
    r"(?i)(?:[^,.:?]{0,60},\s)?(?:wh?ich|who|whose|in\s+which|welche[rs]?|wer|qu[ae]le?|quelle|lequel|laquelle"
    r"|qui[eé]n|qui|qué|chi|cu[aá]l(?:es)?|какая|какой|кто|что"
    rf"|(?:what|was|where|when)(?:'s|\s+(?:is|was|are|were|came|comes|has|weighs))?(?:\s+the)?\s+{_COMPARISON})\b"
)
_NO_ALTERNATIVE = phrases(
    r"not|no|any|anything|something|else|more|so|others?|never|just|whether|if|is|are|was|what|how|why"
)
"""Beginnings of what no alternative is: "or not", "or something"; "spam or not spam" is one."""
_SENTENCE = phrases(
    r"""
    is|are|was|were|do|does|did|can|could|will|would|should|has|have|may|how|why|if|i|we|you|give|tell|write|make
    os?|que|more|now|then|one|two|three|what|yes|true|no|either|whether|let|use|go|please
    find|solve|compute|calculate|evaluate|simplify|determine
    """
)
_SEQUENCE = r"(?i)\b(?:next|missing|follows|continues|nächste\w*|suivant\w*|siguiente|successiv\w*)\b"
_BEHIND = (
    r"(?i)[,.]\s.*"
    r"|(?<=[\w\"'”’])\s(?:in|for|on|at|with|when|if|to|from|during|who|than|als|für|per|pour|para|con)\s.*"
)
"""Text behind the last alternative: "effect in this sentence"."""


def find_alternatives(question: str) -> tuple[str, ...]:
    """Alternatives of a sentence, as they stand in it; empty if it names none."""
    if len(question) > _LONGEST_QUESTION:
        return ()
    pieces = re.split(r":\s|\s[-–—]\s", question.strip().rstrip("?!.？ "))
    if len(pieces) > 1 and re.match(_WHICH, pieces[0]) and not re.search(_SEQUENCE, pieces[0]):
        return _distinct(re.split(_BETWEEN_ITEMS, pieces[-1]))
    sentence = next((piece for piece in pieces if re.search(_OR, piece)), None)
    return _alternatives(sentence) if sentence else ()


def _alternatives(sentence: str) -> tuple[str, ...]:
    """Alternatives around the last "or" of a sentence."""
    *_, joint = re.finditer(_OR, sentence)
    first, *between = re.split(r",(?!\d)\s*", sentence[: joint.start()].rstrip(", "))
    last = re.sub(_BEHIND, "", sentence[joint.end() :])
    if polar := re.match(_POLAR, sentence):
        first = first[polar.end() :]
        if not between and re.search(_COMPARISON, last):  # "(Is) the Amazon or the Nile longer"
            last = "".join(_words(last)[: len(first.split())])
    elif re.match(_WHICH, sentence):
        if not between and len(last.split()) > 1:
            return ()  # "Which rivers or lakes are deep"
        first, *between = between or [first]
    elif re.match(_SENTENCE, sentence) or len(first.split()) > _LONGEST_ITEM:
        return ()
    # The last words of "(Is) the Nile in Africa or in Asia", as many as the other alternative has.
    other = "not" if last.lower().startswith("not ") else last
    first = "".join(_words(first)[-len(other.split()) :])
    is_none = re.match(_NO_ALTERNATIVE, last) and first not in last
    return () if is_none or re.match(_NO_ALTERNATIVE, first) else _distinct([first, *between, last])


def _words(text: str) -> list[str]:
    """Words of a text, each with the white space behind it."""
    return re.findall(r"\S+\s*", text)
