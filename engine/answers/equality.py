r"""Whether two answers mean the same.

Cheap exact and numeric comparison comes first; math-verify (https://github.com/huggingface/Math-Verify)
decides the rest, lazily and within a time limit. math-verify is not symmetric: it takes an interval for the
inequality of a gold answer, and no inequality for the interval of one. So there are two questions here:
``is_right`` knows which answer is gold, ``same_answer`` compares two answers of a model.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:\s?/\s?\d+)?"
_SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
# A letter at a number, or the name of an unknown, is no unit: 2x, 2 x, 5i.
_UNIT = r"\s*[%°]|\s+(?!(?:[xyznie]|pi|and|or|squared|cubed)\b)[A-Za-z][A-Za-z .²³/-]*"
_WITH_UNIT = re.compile(rf"[$€£]?\s*({_NUMBER})(?:\s+({'|'.join(_SCALES)}))?(?:{_UNIT})?")
_MIXED = re.compile(r"(-?)(?:(\d+)\s*)?\\frac\{(-?\d+)\}\{(-?\d+)\}")
_PLAIN_MIXED = re.compile(r"(-?)(\d+) (\d+)/(\d+)")
_OPTION = re.compile(r"\(?([A-Ha-h])(?:\)?[.:]?|\)?[.):]\s.*)", re.DOTALL)
_WRAPPERS = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\{([^{}]*)\}")
_NOISE = re.compile(r"\\[!,;: ]|\\left|\\right|\\displaystyle|[$*`]|\\\(|\\\)|\\\[|\\\]|\\%|%")
_SECONDS = 2
_EXPLOSIVE = re.compile(r"\^[^ ]*\^|\^\{?\d{4,}|!|\\uparrow")
"""What sympy may never be done with: refused where nothing can stop it."""


def is_right(answer: str | None, *, gold: str) -> bool:
    """Whether a model's answer is the known right one; no answer never is.

    Units, thousands separators, currency signs and LaTeX spacing do not matter; 1/2, 0.5 and a LaTeX
    fraction are the same. An answer that is no mathematics is compared as text without case.
    """
    if answer is None:
        return False
    verdict = _cheap(gold, answer)
    return _verified(gold, answer) if verdict is None else verdict


def same_answer(a: str, b: str) -> bool:
    """Whether two answers of a model mean the same: either would be right if the other were gold."""
    verdict = _cheap(a, b)
    return _verified(a, b) or _verified(b, a) if verdict is None else verdict


def _cheap(a: str, b: str) -> bool | None:
    """The verdict on two answers where no computer algebra is needed; None where it is."""
    left, right = _normal(a), _normal(b)
    if left == right:
        return True
    x, y = _value(left), _value(right)
    if x is not None and y is not None:
        return x == y
    if not _mathematical(left) or not _mathematical(right):
        return _option(left, right)
    return None


@functools.lru_cache(maxsize=1 << 14)
def _normal(answer: str) -> str:
    while (unwrapped := _WRAPPERS.sub(r" \1", answer)) != answer:
        answer = unwrapped
    answer = answer.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("−", "-")
    return re.sub(r"\s+", " ", _NOISE.sub("", answer)).strip().rstrip(".").lower()


def _value(normal: str) -> Fraction | None:
    """The exact number that an answer is, units ignored; of an equation its right side."""
    if normal.count("=") == 1 and "," not in normal and not re.search(r"[<>!]=", normal):
        normal = normal.rpartition("=")[2].strip()
    try:
        if mixed := _MIXED.fullmatch(normal) or _PLAIN_MIXED.fullmatch(normal):
            sign, whole, over, under = mixed.groups()
            value = int(whole or 0) + Fraction(int(over), int(under))
            return -value if sign else value
        match = _WITH_UNIT.fullmatch(normal)
        if not match or not re.search(r"\d", match[1]):
            return None
        return Fraction(match[1].replace(",", "").replace(" ", "")) * _SCALES.get(match[2], 1)
    except (ValueError, ZeroDivisionError):
        return None


def _mathematical(normal: str) -> bool:
    return bool(re.search(r"[\d\\^_=+]", normal))


def _option(left: str, right: str) -> bool:
    """Whether both name the same option letter: "(b)" and "b) 12 apples"."""
    a, b = _OPTION.fullmatch(left), _OPTION.fullmatch(right)
    return bool(a and b and a[1] == b[1] and (len(left) <= 3 or len(right) <= 3))


@functools.lru_cache(maxsize=1 << 14)
def _verified(gold: str, answer: str) -> bool:
    """math-verify's verdict; a parse that fails or takes too long means "not the same"."""
    from math_verify import parse, verify

    # Its time limit is SIGALRM, which only the main thread may use.
    seconds = _SECONDS if threading.current_thread() is threading.main_thread() else None
    if seconds is None and (_EXPLOSIVE.search(gold) or _EXPLOSIVE.search(answer)):
        return False
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it would write into the live view
    quiet: Callable[..., Any] = parse
    try:
        known, found = (
            quiet(f"${text}$", parsing_timeout=seconds, raise_on_error=False) for text in (gold, answer)
        )
        return bool(known and found and verify(known, found, timeout_seconds=seconds, raise_on_error=False))
    except Exception:  # sympy raises nearly anything on odd input; odd input is not the same answer
        return False
