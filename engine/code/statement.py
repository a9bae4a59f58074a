"""A code task as a generator reads it: the question, and behind it the tests that its program has to pass."""

from __future__ import annotations

import re

from .suite import Suite

_MOST_CHARACTERS = 2000
"""Of all tests that are shown: about 600 tokens, so that a long suite leaves a window to the program."""


def statement(question: str, suite: Suite) -> str:
    """The question with the tests that it does not show itself, or at least the name that they call."""
    shown: list[str] = []
    for test in suite.tests:
        fits = sum(map(len, shown)) + len(test.source) <= _MOST_CHARACTERS
        if fits and _bare(test.source) not in _bare(question):
            shown.append(test.source)
    parts = [question.strip()]
    if shown:
        parts.append("\n".join(["Your code should pass these tests:", *shown]))
    elif suite.entry_point and suite.entry_point not in question:
        parts.append(f"Name it {suite.entry_point}.")
    return "\n\n".join(parts)


def _bare(text: str) -> str:
    """A text without white space, and with one kind of quotes: tests are read and written anew."""
    return re.sub(r"\s+", "", text).replace('"', "'")
