"""Options in a message: with letters or numbers, on lines, in a row, or as "A or B?".

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
"""Characters of an option; bullets mark many other lists, so theirs are shorter."""


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
    found = _labelled(near) or _listed(near) or _in_a_row(near)
    return replace(found, stem=before + found.stem) if found else None


# Options with labels: (A), [A], A), A., A:

_SEQUENCES = tuple(
    tuple(labels.split())
    for labels in (
        "A B C D E F G H I J",
        "a b c d e f g h i j",
        "1 2 3 4 5 6 7 8 9",
        "① ② ③ ④ ⑤ ⑥ ⑦ ⑧ ⑨ ⑩",
        "I II III IV V VI VII VIII IX X",
        "i ii iii iv v vi vii viii ix x",
    )
)
"""Labels of options, the likeliest first."""
_LABEL = "[A-Ja-j1-9]|[IVX]{1,4}|[ivx]{1,4}"
_FORMS = (
    rf"\((?P<round>{_LABEL})\)|\[(?P<square>{_LABEL})\]|(?P<half>{_LABEL})\)|(?P<dot>{_LABEL})\.(?=[\s*_])"
    r"|(?P<colon>[A-Ja-j]) ?:(?!//)|(?P<angle>[A-Ja-j1-9])>|(?P<circle>[①-⑩])"
    r"|(?i:option|choice|response|answer) (?P<word>[A-J1-9])[:.)]"
)
_LINE_MARK = (
    r"(?m)^[ \t*_>#$-]*(?:\\\w+\s?\{)*"
    rf"(?:{_FORMS}|(?P<bare>[A-Ja-j])(?=[ \t]+\w)|(?P<dash>[A-Ja-j1-9])[ \t]?[-–—](?=[ \t]))"
)
"""Matches a label that begins a line, with what may stand before it, such as ``$\\textbf{``."""
_MARK = rf"(?:^|(?<=[\s*{{>|;,]))(?:{_FORMS})|(?<=[ \t][ \t])(?P<apart>[A-Ja-j])(?=[ \t]\w)"
_ANSWER_CUE = r"(?i)\W*(?:(?:the|your|correct|right|final)\s+)*answers?\W*(?:is\W*)?"
_FRONT = r"\A(?:[\s*_}]|\\[ \\])+"
_BACK = r"(?:\\q?quad|\\(?:textbf|mathbf|mathrm|text|rm)\s?\{|(?<=\s)\}|\*\*|__|[\s,;|$([{]|\\[ \\])+$"
_ASKS = rf"(?i)\?|_{{2,}}|\.{{3}}|…|\b(?:which|{CHOOSE}|choices?|options?|quiz|fill\s+in)\b"
_CHOOSES = rf"(?i)^which\b|\b(?:which\s+(?:of|one|is|statement|option)|{WHICH}|{CHOOSE})\b"
_NO_OPTION = r"[);,^]|\s*(?:--|&)"
"""Beginnings of what stands between labels in formulas."""
_END_OF_LAST = rf"(?<=\S)[^\S\n]*\n|(?:(?<=[.;])|\s[-–—])\s+(?=(?i:which|what|who|{WHICH}|{CHOOSE}|answer)\b)"
"""The last option ends with its line, or before a question behind it."""
_SUBQUESTION = (
    r"(?i)(?:what|why|how|who|when|where|explain|describe|discuss|find|calculate|compute|determine|show|prove"
    r"|write|list|give|state|draw|name|sketch|solve|define)\s+\w|[^?]{0,300}\?\s*$"
)


def _labelled(message: str) -> Options | None:
    """Options of the last list with labels of the first sequence that gives any."""
    for pattern in (_LINE_MARK, _MARK):
        marks = list(re.finditer(pattern, message))
        for sequence in _SEQUENCES:
            runs = _runs(marks, sequence)
            if runs and (found := _read_run(message, runs)):
                return found
    return None


def _runs(marks: Sequence[re.Match[str]], sequence: tuple[str, ...]) -> list[list[re.Match[str]]]:
    """Two marks or more of one form with labels in sequence from its first."""
    runs: list[list[re.Match[str]]] = []
    running: dict[str | None, list[re.Match[str]]] = {}
    for mark in marks:
        if _label(mark) == sequence[0]:
            running[mark.lastgroup] = []
            runs.append(running[mark.lastgroup])
        run = running.get(mark.lastgroup)
        if run is not None and sequence[len(run) :][:1] == (_label(mark),):
            run.append(mark)
    return [run for run in runs if len(run) > 1]


def _label(mark: re.Match[str]) -> str:
    return mark[mark.lastgroup or 0]


def _read_run(message: str, runs: list[list[re.Match[str]]]) -> Options | None:
    """Options of the last of some lists; None if they are no options of one question."""
    run = runs[-1]
    start, last = run[0].start(), run[-1].end()
    if len(runs) > 1 and "answer" not in message[runs[-2][-1].end() : start].lower():
        return None  # a dialogue, or several questions
    end = last + len(re.split(_END_OF_LAST, message[last:], maxsplit=1)[0])
    ends = [*(mark.start() for mark in run[1:]), end]
    pieces = [message[mark.end() : end] for mark, end in zip(run, ends, strict=True)]
    if any(re.match(_NO_OPTION, piece) or piece.count("(") > piece.count(")") for piece in pieces):
        return None
    stem, tail, texts = message[:start].rstrip(), message[end:].strip(), tuple(map(_trimmed, pieces))
    if not all(0 < len(text) <= _LONGEST_OPTION for text in texts) or not _asks(run, stem, tail, texts):
        return None
    return Options(_joined(stem, tail), texts, tuple(map(_label, run)))


def _asks(run: Sequence[re.Match[str]], stem: str, tail: str, texts: Sequence[str]) -> bool:
    """True unless the list is one of subquestions, points or notes, or part of prose."""
    first, is_round = _label(run[0]), run[0].lastgroup == "round"
    if first.isupper():  # "jar A. Then jar B." is prose
        return len(run) > 2 or is_round or not stem[-1:].isalnum()
    if any(re.match(_SUBQUESTION, text) for text in texts):
        return False
    # The points of a text below a question are numbered, too.
    near = stem.rpartition("\n")[2] if first == "1" else stem
    asks = re.search(_ASKS, near[-_LONGEST_OPTION:]) or re.search(_CHOOSES, tail[:_LONGEST_OPTION])
    # An option may end the sentence that the stem begins.
    ended = ".!;$" if first.islower() else ".!;$:"
    return asks is not None or ((first.islower() or is_round) and stem[-1:] not in ended)


def _trimmed(text: str) -> str:
    """An option without white space, emphasis and the LaTeX that lays it out."""
    text = re.sub(_FRONT, "", text).rstrip() or text.strip()
    kept = text[:-_SHORT_OPTION] + re.sub(_BACK, "", text[-_SHORT_OPTION:])
    # A closing mark of mathematics belongs to the option that opened it.
    return text[: len(kept) + 1] if kept.count("$") % 2 and text[len(kept) :][:1] == "$" else kept


def _joined(stem: str, tail: str) -> str:
    """The text before and after the options, without a cue such as "Answer:"."""
    rest = "" if re.fullmatch(_ANSWER_CUE, tail) else tail
    return "\n".join(filter(None, [_trimmed(stem), rest]))


# Options on lines of their own, with a bullet, or without one below "which of these"

_BULLET = r"[ \t]*(?:[-*–·][ \t]+|(?:[•○◦●▪□☐‣]|\[ ?\]|\( ?\))[ \t]*)"
_BULLETS = rf"(?m)(?:^{_BULLET}(?=\S)[^\n]*(?:\n|\Z)){{2,}}"
_ASKS_FOR_ONE = (
    rf"(?i)\b(?:which|{WHICH}|{CHOOSE})\b|{ASKED[4:]}[^.?!\n]*\?\s*$|\bone\s+of\s+(?:these|the\s+following)\b|_{{2,}}"
    r"|\b(?:who|whose|whom|when|where|what\s+(?:is|was)\s+the\s+(?:capital|name|first|\w+est))\b[^.?!\n]*\?\s*$"
)
_ONE_OF_THESE = (
    r"(?im)\bwhich\s+(?:one\s+)?of\s+(?:these|the\s+following)\b[^\n]*\n"
    rf"|\b{CHOOSE}\b[^.?!\n]*[:?][ \t]*\n|^[ \t]*which\b[^.?!\n]*\?[ \t]*\n"
)
_NEXT_SENTENCE = r"[.!?] +[A-Z]"


def _listed(message: str) -> Options | None:
    """Short lines that a question asks for one of."""
    text = message.rstrip()
    if blocks := list(re.finditer(_BULLETS, text)):
        start, end = blocks[-1].span()
        above = text[:start].rstrip().rpartition("\n")[2]
        is_asked = re.search(_ASKS_FOR_ONE, above[-_LONGEST_OPTION:]) or re.search(_CHOOSES, text[end:])
    elif cues := list(re.finditer(_ONE_OF_THESE, text)):
        start, end = cues[-1].end(), len(text)
        is_asked = None if re.search(_NEXT_SENTENCE, text[start:]) else cues[-1]
    else:
        return None
    lines = [re.sub(_BULLET, "", line, count=1).strip(" \t*_,;") for line in text[start:end].splitlines()]
    options = tuple(line for line in lines if line and not re.fullmatch(_ANSWER_CUE, line))
    is_short = max(map(len, options), default=0) <= _SHORT_OPTION
    if not is_asked or not is_short or not 2 <= len(options) <= MOST_OPTIONS:
        return None
    return Options(_joined(text[:start], text[end:].strip()), options)


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
    """Items on one line, after words that announce options or with bars between them."""
    barred = [piece for piece in re.split(r"[\n?:()]", message) if re.search(_BAR, piece)]
    rows = re.findall(_ROW, message)[:1]
    if len(barred) == 1 and re.search(_ASKS_FOR_ONE, message):
        rows = barred
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
_FIRST_WORDS = (
    phrases("an?|the|ein(e[nr]?)?|der|die|das|une?|l[ae]|el"),
    phrases("in|on|at|by|before|after|to|with|from|under|over"),
    r"(?i)(?:more|less|\w+ier)\b",
)
"""First words of phrases that are alike."""
_BEHIND = (
    r"(?i)[,.]\s.*"
    r"|(?<=[\w\"'”’])\s(?:in|for|on|at|with|when|if|to|from|during|who|than|als|für|per|pour|para|con)\s.*"
)
"""Text behind the last alternative: "effect in this sentence"."""


def find_alternatives(question: str) -> tuple[str, ...]:
    """Alternatives of a sentence, as they stand in it; empty if it names none."""
    if len(question) > _LONGEST_QUESTION:
        return ()
    asked, *rows = pieces = re.split(r":\s|\s[-–—]\s", question.strip().rstrip("?!.？ "))
    if rows and re.match(_WHICH, asked) and not re.search(_SEQUENCE, asked):
        return _distinct(re.split(_BETWEEN_ITEMS, rows[-1]))
    sentence = next((piece for piece in pieces if re.search(_OR, piece)), "")
    return _alternatives(sentence) if sentence else ()


def _alternatives(sentence: str) -> tuple[str, ...]:
    """Alternatives around the last "or" of a sentence."""
    *_, joint = re.finditer(_OR, sentence)
    first, *between = re.split(r",(?!\d)\s*", sentence[: joint.start()].rstrip(", "))
    last = re.sub(_BEHIND, "", sentence[joint.end() :])
    if polar := re.match(_POLAR, sentence):
        first = first[polar.end() :]
        last = last if between else _second_subject(first, last)
    elif re.match(_WHICH, sentence):
        if not between and len(last.split()) > 1:
            return ()  # "Which rivers or lakes are deep"
        first, *between = between or [first]
    elif re.match(_SENTENCE, sentence) or len(first.split()) > _LONGEST_ITEM:
        return ()
    first = _parallel(first, [*between, last][0])
    is_none = re.match(_NO_ALTERNATIVE, last) and first not in last
    return () if is_none or re.match(_NO_ALTERNATIVE, first) else _distinct([first, *between, last])


def _second_subject(first: str, last: str) -> str:
    """``the Nile`` of "(Is) the Amazon or the Nile longer": as many words as the first subject has."""
    size, words = len(first.split()), re.findall(r"\s*\S+", last)
    return "".join(words[:size]) if size < len(words) and re.search(_COMPARISON, last) else last


def _parallel(text: str, other: str) -> str:
    """The end of a text that begins like another phrase, or has as many words."""
    words = list(re.finditer(r"\S+", text))
    size = 1 if other.lower().startswith("not ") else len(other.split())
    if form := next((form for form in _FIRST_WORDS if re.match(form, other)), None):
        size = next((n for n in range(1, len(words) + 1) if re.fullmatch(form, words[-n][0])), size)
    return text[words[-min(size, len(words))].start() :] if words else ""
