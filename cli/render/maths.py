r"""LaTeX as a person reads it on a terminal: ``\frac{3}{4}`` as ``3/4``, ``\boxed{27}`` as ``[27]``.

What is not understood stays as it was written. The source itself is in JSON and in traces.
"""

from __future__ import annotations

import functools
import re
from typing import Final

_DEEPEST = 8
"""Braces within braces that are followed."""

_SYMBOLS: Final = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "approx": "≈", "equiv": "≡", "infty": "∞", "pi": "π", "theta": "θ", "alpha": "α", "beta": "β",
    "circ": "°", "angle": "∠", "ldots": "…", "cdots": "…", "dots": "…", "to": "→", "rightarrow": "→",
    "Rightarrow": "⇒", "implies": "⇒", "therefore": "∴", "cup": "∪", "cap": "∩", "in": "∈", "sum": "∑",
    "quad": " ", "qquad": " ", "left": "", "right": "", "displaystyle": "",
}  # fmt: skip

_INNER = r"\{((?:[^{}\\]|\\.)*)\}"
_FRACTION = re.compile(rf"\\[dt]?frac\s*{_INNER}\s*{_INNER}")
_SHORT_FRACTION = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)")
_ROOT = re.compile(rf"\\sqrt\s*{_INNER}")
_TEXT = re.compile(rf"\\(?:text|textbf|textit|mathrm|mathbf|operatorname|overline|mbox)\s*{_INNER}")
_BOXED = re.compile(rf"\\f?boxed\s*{_INNER}")
_SCRIPT = re.compile(rf"([\^_]){_INNER}")
_NAMED = re.compile(rf"\\({'|'.join(sorted(_SYMBOLS, key=len, reverse=True))})(?![A-Za-z])")
_DELIMITER = re.compile(r"\\[()\[\]]|\\(?:begin|end)\{[a-z*]+\}")
_MODULO = re.compile(rf"\\pmod\s*{_INNER}")
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_ESCAPED = re.compile(r"\\([%$#&_{}])")
_SPACE = re.compile(r" ?\\[,;:! ] ?|\\\\(?=\s|$)")


@functools.lru_cache(maxsize=4096)
def readable(text: str) -> str:
    """``text`` with its LaTeX in plain characters."""
    if "\\" not in text:
        return text
    text = _DELIMITER.sub("", text).replace("{,}", ",")
    for _ in range(_DEEPEST):
        before = text
        text = _TEXT.sub(r"\1", text)
        text = _MODULO.sub(r"(mod \1)", text)
        text = _FRACTION.sub(_fraction, text)
        text = _ROOT.sub(lambda part: f"√{_factor(part[1])}", text)
        text = _SCRIPT.sub(lambda part: part[1] + _factor(part[2]), text)
        text = _BOXED.sub(r"[\1]", text)
        if text == before:
            break
    text = _SHORT_FRACTION.sub(_fraction, text)
    text = _NAMED.sub(lambda part: _SYMBOLS[part[1]], text).replace("^°", "°")
    # LaTeX sets the spaces of math itself; what it left behind in the middle of a line is one.
    return _GAP.sub(" ", _ESCAPED.sub(r"\1", _SPACE.sub(" ", text)))


def _fraction(part: re.Match[str]) -> str:
    """``3/4``, apart from a number before it, and in brackets where something is multiplied by it."""
    shown = f"{_factor(part[1])}/{_factor(part[2])}"
    before, after = part.string[: part.start()][-1:], part.string[part.end() :][:5]
    if before.isdigit():
        return f" {shown}"
    by = before.isalpha() or before in (")", "}") or re.match(r"[\w(^]|\\[dt]?frac", after)
    return f"({shown})" if by else shown


def _factor(part: str) -> str:
    """In brackets where it is more than one thing."""
    part = part.strip()
    return part if re.fullmatch(r"\\?\w+|[\d.,]+", part) else f"({part})"
