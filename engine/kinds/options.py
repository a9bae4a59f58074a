"""Options in a message: lettered, numbered or in a list.

All is read from the words and their layout, in time linear in the message's length. Options are pieces of the
message as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    found = _labelled(near) or _listed(near) or _enumerated(near)
    return replace(found, stem=before + found.stem) if found else None


# Options with labels: (A), [A], A), A., A:

_LABEL = "[A-Ja-j1-9]"
_FORMS = (
    rf"\((?P<round>{_LABEL})\)|\[(?P<square>{_LABEL})\]|(?P<half>{_LABEL})\)"
    rf"|(?P<dot>{_LABEL})\.(?=[\s*_])|(?P<colon>[A-Ja-j]):(?!//)"
)
_MARK = re.compile(rf"(?:^|(?<=[\s*{{>|;,]))(?:{_FORMS})|^[ \t]*(?P<bare>[A-J])(?=[ \t]+\w)", re.MULTILINE)
_ANSWER_CUE = re.compile(r"\W*(?:(?:the|your|correct|right|final)\s+)*answers?\W*(?:is\W*)?", re.IGNORECASE)
_FRONT = re.compile(r"(?:[\s*_}]|\\[ \\])+")
_BACK = re.compile(
    r"(?:\\q?quad|\\(?:textbf|mathbf|mathrm|text|rm)\s?\{|(?<=\s)\}|\*\*|__|[\s,;|$([{]|\\[ \\])+$"
)
_ASKS = re.compile(
    r"\?|_{2,}|\.{3}|…|\b(?:which|choose|select|pick|choices?|options?|quiz|fill\s+in)\b", re.IGNORECASE
)
_CHOOSES = re.compile(r"\b(?:which\s+(?:of|one|is|statement|option)|choose|select|pick)\b", re.IGNORECASE)
_NO_OPTION = re.compile(r"[);,&^]|--")
"""Beginnings of what stands between labels in formulas."""
_LINE_FRONT = re.compile(r"[\s*_>#$-]*(?:\\\w+\s?\{)*")
"""What may stand before a label at the beginning of a line, such as ``$\\textbf{``."""
_FOLLOWED_BY_QUESTION = re.compile(
    r"(?<=[.;])\s+(?=(?:which|what|who|choose|select|pick|answer)\b)", re.IGNORECASE
)
_SUBQUESTION = re.compile(
    r"(?:what|why|how|who|when|where|explain|describe|discuss|find|calculate|compute|determine|show|prove"
    r"|write|list|give|state|draw|name|sketch|solve|define)\s+\w|[^?]{0,300}\?\s*$",
    re.IGNORECASE,
)


def _labelled(message: str) -> Options | None:
    """Options of the last list with labels in sequence; capital letters before small ones before numbers."""
    marks = list(_MARK.finditer(message))
    for candidates in ([mark for mark in marks if _begins_line(message, mark)], marks):
        runs = [run for run in _runs(candidates) if len(run) > 1]
        for is_kind in (str.isupper, str.islower, str.isdigit):
            of_kind = [run for run in runs if is_kind(_label(run[0]))]
            alike = [run for run in of_kind if run[0].lastgroup == of_kind[-1][0].lastgroup]
            if alike and (found := _read_run(message, alike)):
                return found
    return None


def _begins_line(message: str, mark: re.Match[str]) -> bool:
    line = message.rfind("\n", 0, mark.start()) + 1
    return _LINE_FRONT.fullmatch(message, line, mark.start()) is not None


def _runs(marks: Sequence[re.Match[str]]) -> list[list[re.Match[str]]]:
    """Marks of one form with labels in sequence from A, a or 1."""
    runs: list[list[re.Match[str]]] = []
    running: dict[tuple[str | None, bool, bool], list[re.Match[str]]] = {}
    for mark in marks:
        label = _label(mark)
        key = mark.lastgroup, label.isupper(), label.isdigit()
        if label in "Aa1":
            running[key] = [mark]
            runs.append(running[key])
        elif key in running and ord(label) == ord(_label(running[key][-1])) + 1:
            running[key].append(mark)
    return runs


def _label(mark: re.Match[str]) -> str:
    return mark[mark.lastgroup or 0]


def _read_run(message: str, runs: list[list[re.Match[str]]]) -> Options | None:
    """Options of the last of some lists with like marks; None if they are no options of one question."""
    run = runs[-1]
    if len(run) > MOST_OPTIONS:
        return None
    between = message[runs[-2][-1].end() : run[0].start()] if len(runs) > 1 else "answer"
    if "answer" not in between.lower():
        return None  # a dialogue, or several questions
    stem = message[: run[0].start()]
    ends = [mark.start() for mark in run[1:]] + [_end_of_last(message, run)]
    pieces = [message[mark.end() : end] for mark, end in zip(run, ends, strict=True)]
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
    if is_inline and (question := _FOLLOWED_BY_QUESTION.search(message, start, end)):
        return question.start()
    return end


def _are_options(found: Options, stem: str, tail: str, run: list[re.Match[str]]) -> bool:
    """True unless the list is one of subquestions, points or notes, or part of a formula or of prose."""
    form, texts, longest = run[0].lastgroup, found.texts, max(map(len, found.texts))
    if not all(texts) or longest > _LONGEST_OPTION or not re.search(r"\w", found.stem):
        return False
    if any(_NO_OPTION.match(text) or text.count("(") > text.count(")") for text in texts):
        return False
    if form == "bare":
        return len(run) > 2 and longest <= _SHORT_OPTION
    if found.letters[0].isupper():  # "jar A. Then jar B." is prose
        return len(run) > 2 or form in ("round", "square") or not stem.rstrip(" \t*")[-1:].isalnum()
    subquestions = sum(_SUBQUESTION.match(text) is not None for text in texts)
    return 2 * subquestions <= len(texts) and _asks_for_one(found, stem, tail, form == "round")


def _asks_for_one(found: Options, stem: str, tail: str, is_round: bool) -> bool:
    """True if the words around a list with small letters or numbers ask for one of its items."""
    asks = _ASKS.search(stem[-_LONGEST_OPTION:]) or _CHOOSES.search(tail[:_LONGEST_OPTION])
    # An option may end the sentence that the stem begins.
    is_begun = len(stem.split()) > 3 and stem.rstrip()[-1:] not in (".", "!", ";", "$")
    if found.letters[0].islower():
        return bool(asks) or is_begun
    if any(len(text) > _SHORT_OPTION or re.match(_FORMS, text) for text in (*found.texts, tail)):
        return False
    return bool(asks) or (is_begun and is_round and not stem.rstrip().endswith(":"))


def _trimmed(text: str) -> str:
    """An option without white space, emphasis and the LaTeX that lays it out."""
    text = (text[match.end() :] if (match := _FRONT.match(text)) else text).rstrip()
    kept = text[:-_SHORT_OPTION] + _BACK.sub("", text[-_SHORT_OPTION:])
    # A closing mark of mathematics belongs to the option that opened it.
    return text[: len(kept) + 1] if kept.count("$") % 2 and text[len(kept) :][:1] == "$" else kept


def _joined(stem: str, tail: str) -> str:
    """What stands before and after the options, without a cue such as "Answer:"."""
    rest = "" if _ANSWER_CUE.fullmatch(tail) else tail
    return "\n".join(filter(None, [_trimmed(stem), rest]))


# Options on lines of their own, with a bullet or without a mark, and lists after "options:"

_BULLET = re.compile(r"[ \t]*[-*•–·][ \t]+")
_BULLETS = re.compile(r"(?:^[ \t]*[-*•–·][ \t]+(?=\S)[^\n]*(?:\n|\Z)){2,}", re.MULTILINE)
_ONE_OF_LINES = re.compile(
    r"\bwhich\b|\b(?:choose|select|pick)\b|\bone\s+of\s+(?:these|the\s+following)\b|_{2,}", re.IGNORECASE
)
_ONE_OF_THESE = re.compile(
    r"\bwhich\s+(?:one\s+)?of\s+(?:these|the\s+following)\b|\b(?:choose|select|pick)\b[^.?!\n]*[:?]\s*$",
    re.IGNORECASE,
)
_LIST_CUE = re.compile(
    r"\b(?:options?|choices?|(?:choose|pick|select)\s[^.:?!\n]{0,60})\s*:\s*([^\n:?]+)"
    r"|\bone\s+of\s*(?:these\s*|the\s+following\s*)?:\s*([^\n:?.]+)"
    r"|\b(?:classify|categori[sz]e|label)\b[^\n]{0,80}?\sas\s(?:either\s+)?([^\n:?]+)"
    r"|\b(?:choose|pick|select)\s+(?:one\s+)?(?:from|of|between|among)\s+([^\n:?.]+)",
    re.IGNORECASE,
)
_PARENTHESIS = re.compile(r"\(([^()]*(?:/|,|\sor\s)[^()]*)\)")
_BETWEEN_ITEMS = re.compile(
    r"\s*[,;|]\s+(?:or\s|and\s|oder\s|ou\s|o\s)?\s*|\s+(?:or|oder|ou)\s+", re.IGNORECASE
)
_BETWEEN_BARE_ITEMS = re.compile(r"\s*[/,;|]\s*")


def _listed(message: str) -> Options | None:
    """Short lines that a question asks for one of, with bullets, or without below "which of these"."""
    text = message.rstrip()
    if blocks := list(_BULLETS.finditer(text)):
        start, end = blocks[-1].span()
        above = text[:start].rstrip().rpartition("\n")[2]
        is_asked = _ONE_OF_LINES.search(above) or _CHOOSES.search(text[end:])
        longest = _SHORT_OPTION
    elif cues := list(_ONE_OF_THESE.finditer(text)):
        start, end = text.find("\n", cues[-1].end()), len(text)
        is_asked, longest = cues[-1] if start > 0 else None, _SHORT_OPTION // 2
    else:
        return None
    lines = [line for line in text[start:end].splitlines() if not _ANSWER_CUE.fullmatch(line)]
    options = tuple(_BULLET.sub("", line, count=1).strip(" \t*_,;") for line in lines if line.strip())
    tail = text[end:].strip()
    is_short = all(0 < len(option) <= longest for option in options) and len(tail) <= _SHORT_OPTION
    if not is_asked or not is_short or not 2 <= len(options) <= MOST_OPTIONS:
        return None
    has_subquestions = any(map(_SUBQUESTION.match, options))
    return None if has_subquestions else Options(_joined(text[:start], tail), options)


def _enumerated(message: str) -> Options | None:
    """Items after a colon that announces options, or after "classify ... as"."""
    match = _LIST_CUE.search(message)
    given = next(filter(None, match.groups())) if match else ""
    inside = _PARENTHESIS.search(given)
    items = split_items(inside[1] if inside else given)
    return Options(message.strip(), items) if items else None


def split_items(text: str) -> tuple[str, ...]:
    """Items of a list on one line; empty unless there are two to ten, of six words at most."""
    between = _BETWEEN_ITEMS if _BETWEEN_ITEMS.search(text) else _BETWEEN_BARE_ITEMS
    items = tuple(item for piece in between.split(text) if (item := piece.strip(" \t.?!*_\"'")))
    if 2 <= len(items) <= MOST_OPTIONS and all(len(item.split()) <= 6 for item in items):
        return items
    return ()
