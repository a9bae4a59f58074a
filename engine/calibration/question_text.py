"""A question as numbers that its text alone gives: what a portable calibration knows it by."""

from __future__ import annotations

import re

import numpy as np

from .features import States

TEXT_FEATURES = ("english", "number", "plain")
"""Of a question: how much of it is common English words, whether it has a number, how much is in ASCII.

Its length is none of them: a short question is as good as a long one.
"""

_WORD = re.compile(r"[^\W\d_]+|\d[\d.,]*")

_ENGLISH = """
a all an and are as at be by did do does each every find for from given had has have he her his how if in is
it its let many more much number of on one or she than that the their then there they this to total two was
were what when where which who will with
"""
_COMMON = frozenset(_ENGLISH.split())

_ENOUGH = 0.3
"""Share of common words from which on a text is English."""


def text_features(question: str) -> States:
    """``[len(TEXT_FEATURES)]``, each in [0, 1]."""
    words = _WORD.findall(question.lower()) or [""]
    english = sum(word in _COMMON for word in words) / len(words)
    plain = sum(word.isascii() for word in words) / len(words)
    number = any(word[:1].isdigit() for word in words)
    return np.array([min(english / _ENOUGH, 1.0), float(number), plain], np.float32)
