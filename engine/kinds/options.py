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
_ANSWER_CUE = re.compile(
    r"\s*\W*(?:(?:the|your|correct|right|final)\s+)*answers?\W*\s*(?:is\W*)?", re.IGNORECASE
)
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
_WORD_ENDS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LINE_FRONT = " \t*_>#$-\\{}abcdefghijklmnopqrstuvwxyz"
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
    at_lines = [
        mark
        for mark in marks
        if not message[message.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip(_LINE_FRONT)
    ]
    for candidates in (at_lines, marks):
        runs = [run for run in _runs(candidates) if len(run) > 1]
        for is_kind in (str.isupper, str.islower, str.isdigit):
            of_kind = [run for run in runs if is_kind(_label(run[0]))]
            alike = [run for run in of_kind if run[0].lastgroup == of_kind[-1][0].lastgroup]
            if alike and (found := _read_run(message, alike)):
                return found
    return None


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
    letter, form = found.letters[0], run[0].lastgroup
    longest = max(map(len, found.texts))
    if not all(found.texts) or longest > _LONGEST_OPTION or any(map(_NO_OPTION.match, found.texts)):
        return False
    if not re.search(r"\w", found.stem) or any(text.count("(") > text.count(")") for text in found.texts):
        return False
    if form == "bare" and (len(run) < 3 or longest > _SHORT_OPTION):
        return False
    if letter.isupper():  # "jar A. Then jar B." is prose
        return len(run) > 2 or form in ("round", "square") or stem.rstrip(" \t*")[-1:] not in _WORD_ENDS
    if letter.isdigit() and any(re.match(_FORMS, text) for text in found.texts):  # a list of two levels
        return False
    subquestions = sum(_SUBQUESTION.match(text) is not None for text in found.texts)
    if 2 * subquestions > len(found.texts):
        return False
    asks = _ASKS.search(stem[-_LONGEST_OPTION:]) or _CHOOSES.search(tail[:_LONGEST_OPTION])
    # An option may end the sentence that the stem begins.
    is_begun = len(stem.split()) > 3 and stem.rstrip()[-1:] not in (".", "!", ";", "$")
    if letter.islower():
        return bool(asks) or is_begun
    is_begun = is_begun and form == "round" and not stem.rstrip().endswith(":")
    return (bool(asks) or is_begun) and longest <= _SHORT_OPTION and len(tail) <= _SHORT_OPTION


def _trimmed(text: str) -> str:
    """An option without white space, emphasis and the LaTeX that lays it out."""
    text = text[match.end() :] if (match := _FRONT.match(text)) else text
    kept = text.rstrip()
    for _ in range(8):
        shorter = _BACK.sub("", kept[-40:])
        if len(shorter) == len(kept[-40:]):
            break
        kept = kept[:-40] + shorter
    # A closing mark of mathematics belongs to the option that opened it.
    return text[: len(kept) + 1] if kept.count("$") % 2 and text[len(kept) :][:1] == "$" else kept


def _joined(stem: str, tail: str) -> str:
    """What stands before and after the options, without a cue such as "Answer:"."""
    rest = "" if _ANSWER_CUE.fullmatch(tail) else tail
    return "\n".join(filter(None, [_trimmed(stem), rest]))


# Options on lines of their own, with a bullet or without a mark, and lists after "options:"

_BULLET = re.compile(r"[ \t]*[-*•–·]\s+")
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
    """Short lines below a question that asks for one of them."""
    lines = message.rstrip()[-20 * _SHORT_OPTION :].splitlines()
    while lines and _ANSWER_CUE.fullmatch(lines[-1]):
        lines.pop()
    taken = 0
    while taken < len(lines) and 0 < len(lines[-1 - taken].strip()) <= _SHORT_OPTION:
        if not _BULLET.match(lines[-1 - taken]):
            break
        taken += 1
    cue = _ONE_OF_LINES
    if taken == 0:  # without marks only below "which of these"
        while taken < len(lines) and 0 < len(lines[-1 - taken].strip()) <= _SHORT_OPTION // 2:
            if _ONE_OF_THESE.search(lines[-1 - taken]):
                break
            taken += 1
        cue = _ONE_OF_THESE
    options = [_BULLET.sub("", line, count=1).strip(" \t*_,;") for line in lines[len(lines) - taken :]]
    above = next((line for line in reversed(lines[: len(lines) - taken]) if line.strip()), "")
    if not 2 <= taken <= MOST_OPTIONS or not all(options) or not cue.search(above):
        return None
    if any(_SUBQUESTION.match(option) for option in options):
        return None
    return Options(message[: message.rfind(above) + len(above)].strip(), tuple(options))


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
