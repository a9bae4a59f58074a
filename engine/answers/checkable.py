"""Tells questions with an answer that can be compared (a number, a formula, a choice) from other messages.

A search pays only for such questions: of two poems no vote can say which is better. The test goes by the
message's words, in English, before anything is read or drawn. A wrong guess costs the search, or a reply that
is shown as it is written; it never costs the reply.
"""

from __future__ import annotations

import re

_NUMBERS = (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand"
    " million dozen half third quarter twice double triple percent percentage"
)
_MATHS = (
    "sum product difference quotient remainder ratio average median probability perimeter radius degrees"
    " integer integers digit digits equation equations polynomial prime primes triangle triangles factors"
    " solve simplify evaluate compute calculate"
)
_TEXT_VERBS = (
    "explain describe summarise summarize translate paraphrase rewrite rephrase proofread draft compose"
    " brainstorm suggest recommend outline discuss"
)
_TEXTS = (
    "poems? haikus? story stories songs? jokes? essays? letters? e-?mails? paragraphs? articles? blogs? tips?"
    " ideas? titles? reasons? names? recipes? speech speeches functions? programs? scripts? class classes"
    " regex code query queries tables? lists?"
)


def _any_of(words: str) -> str:
    return "(?:" + "|".join(words.split()) + ")"


_QUANTITY = re.compile(
    r"\d|[$^=<>√π∞≤≥∑∫]|\\[a-z(\[]"
    rf"|\b{_any_of(_NUMBERS)}\b|\b{_any_of(_MATHS)}\b"
    r"|\bnumber\s+of\b|\bhow\s+(?:many|much|long|far|fast|old|tall|often|heavy)\b",
    re.IGNORECASE,
)

_OPTION_A, _OPTION_B = (re.compile(rf"(?:^|[\s(]){letter}[).:]\s?\S") for letter in "AB")
_ALTERNATIVE = re.compile(r"\b(?:yes\s*(?:or|/)\s*no|true\s*(?:or|/)\s*false)\b", re.IGNORECASE)

_GREETING = r"(?:hi|hello|hey|thanks|thank\s+you)"
_PLEASE = r"(?:hi|hello|hey|please|(?:can|could|would)\s+you|i\s+(?:want|need)\s+you\s+to)"
_ABOUT = r"tell\s+(?:me|us)\s+(?:about|a|an|something|why)"
_SOME_TEXT = rf"(?:write|give|make|create|tell)\s+(?:[\w-]+\s+){{0,4}}?{_any_of(_TEXTS)}"
_TEXT_WANTED = re.compile(
    rf"\s*(?:\#+\s*task\b|{_GREETING}\b[\s,.!]*$"
    rf"|(?:{_PLEASE}[\s,:]+)*(?:{_any_of(_TEXT_VERBS)}|{_ABOUT}|{_SOME_TEXT})\b)",
    re.IGNORECASE,
)
"""How a message begins that asks for a text; chat clients begin tasks of their own with ``### Task``."""


def asks_for_answer(message: str) -> bool:
    """True if a message has quantities or options to choose from, and does not begin by asking for a text."""
    is_checkable = _QUANTITY.search(message) or _ALTERNATIVE.search(message) or _has_options(message)
    return bool(is_checkable) and _TEXT_WANTED.match(message) is None


def _has_options(message: str) -> bool:
    """True if option A, written as ``(A)``, ``A)``, ``A.`` or ``A:``, is followed by an option B."""
    first = _OPTION_A.search(message)
    return first is not None and _OPTION_B.search(message, first.end()) is not None
