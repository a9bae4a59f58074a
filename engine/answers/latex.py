r"""LaTeX, as much of it as small models write: the one place that knows its commands.

``readable`` is the one normal form: people read it, answers are compared in it. ``bare`` drops what only sets
an answer, and ``arithmetic`` writes sums as Python does. What is not understood stays as it was written.
"""

from __future__ import annotations

import functools
import re

_DEEPEST = 8
"""Braces within braces that are followed."""

_SYMBOLS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "approx": "≈", "equiv": "≡", "infty": "∞", "pi": "π", "theta": "θ", "alpha": "α", "beta": "β",
    "circ": "°", "angle": "∠", "ldots": "…", "cdots": "…", "dots": "…", "to": "→", "rightarrow": "→",
    "Rightarrow": "⇒", "implies": "⇒", "therefore": "∴", "cup": "∪", "cap": "∩", "in": "∈", "sum": "∑",
    "quad": " ", "qquad": " ", "lt": "<", "gt": ">", "emptyset": "∅", "varnothing": "∅", "mid": "|",
    "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
    **{name: name for name in ("sin", "cos", "tan", "log", "ln", "exp", "max", "min", "gcd")},
}  # fmt: skip

_INNER = r"\{((?:[^{}\\]|\\.)*)\}"
_WORDS = r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)"
_SPACING = r"\\[,;:! ]"
_DELIMITER = r"\\[()\[\]]"
_SIZE = r"\\(?:left|right|displaystyle)(?![A-Za-z])"

_TEXT = re.compile(rf"{_WORDS}\s*{_INNER}")
_FRACTION = re.compile(rf"\\[dt]?frac\s*{_INNER}\s*{_INNER}")
_SHORT_FRACTION = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)")

_NAME = re.compile(rf"(?:{_WORDS}|\\operatorname|\\overline|\\mathbb)\s*{_INNER}")
_CUT_OFF = re.compile(rf"(?:{_WORDS}|\\f?boxed)\s*\{{([^{{}}\\]*)$")
_BESIDE = re.compile(r"(?:[^\W\d_]|[)}^]|(?:/|÷|\\div) ?)\Z")
"""The end of what a fraction is multiplied by, raised or divided."""
_ROOT = re.compile(rf"\\sqrt\s*{_INNER}")
_BOXED = re.compile(rf"\\f?boxed\s*{_INNER}")
_SCRIPT = re.compile(rf"([\^_]){_INNER}")
_MODULO = re.compile(rf"\\pmod\s*{_INNER}")
_SYMBOL = re.compile(rf"\\({'|'.join(sorted(_SYMBOLS, key=len, reverse=True))})(?![A-Za-z])")
_ENVIRONMENT = re.compile(rf"{_DELIMITER}|\\(?:begin|end)\{{[a-z*]+\}}")
_CLOSING = re.compile(r" ?\\[)\]](?=[,.;:?!)])")
"""The end of a formula before a mark, which no space belongs to."""
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_ESCAPED = re.compile(r"\\([%$#&_{}])")
_SPACE = re.compile(rf" ?{_SPACING} ?|\\\\(?=\s|$)")
_SIZED = re.compile(_SIZE)

_DOLLARS = re.compile(r"(\$\$?)(?=[^\s$])([^$\n]{1,200})(?<=\S)\1(?![\w$])")
_LONG_WORD = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{3,}")
"""A word outside of LaTeX's commands: text between two prices, not a formula."""

_MINUS = re.compile(r"\u2212|(?<![\w)}\]])(?<![\w)}\]] )\u2013(?=[\d.])")
"""A minus sign of Unicode, and a dash before a number that is no range."""
_UNSEEN = re.compile(rf"{_SPACING}|{_DELIMITER}|{_SIZE}|\\q?quad(?![a-z])|\\?[$%]|[~`]")

_OPERATORS = str.maketrans("×·∗÷−–", "***/--", "$")
_ARITHMETIC = [
    (re.compile(_DELIMITER), "\n"),
    # Runs of white space are one character before any pattern looks behind them, from each of their places.
    (re.compile(r"(?:[^\S\n]|[\x01\x02])+"), " "),
    (re.compile(r" ?\n[ \n]*"), "\n"),
    (re.compile(rf"{_WORDS}\s*{_INNER}(?:\^\{{?\d\}}?)?"), "\x01\\1\x02"),
]


def arithmetic(text: str) -> str:
    """``text`` with the operators of Python, words that LaTeX marks as such between the characters 1 and 2.

    A formula stands in a line of its own, and every run of white space is one character.
    """
    for pattern, by in _ARITHMETIC:
        text = pattern.sub(by, text)
    return re.sub(r"(?<=\d) x (?=\d)", "*", readable(text).translate(_OPERATORS))


def bare(answer: str) -> str:
    """An answer without what only sets it: words, spacing, sizes, currency and percent signs, emphasis."""
    while (unwrapped := _TEXT.sub(r" \1", answer)) != answer:
        answer = unwrapped
    return " ".join(_MINUS.sub("-", _UNSEEN.sub("", answer)).split()).strip("* ")


@functools.lru_cache(maxsize=4096)
def readable(text: str) -> str:
    r"""``text`` as a person reads it: ``\frac{3}{4}`` as ``3/4``, ``\boxed{27}`` as Markdown's ``**27**``."""
    if "\\" not in text:
        return text
    text = _SIZED.sub("", _ENVIRONMENT.sub("", _CLOSING.sub("", text))).replace("{,}", ",").replace("\\!", "")
    for _ in range(_DEEPEST):
        before = text
        text = _NAME.sub(r"\1", text)
        text = _MODULO.sub(r"(mod \1)", text)
        text = _FRACTION.sub(_fraction, text)
        text = _ROOT.sub(lambda part: f"√{_factor(part[1])}", text)
        text = _SCRIPT.sub(lambda part: part[1] + _factor(part[2]), text)
        text = _BOXED.sub(_bold, text)
        if text == before:
            break
    text = _CUT_OFF.sub(r"\1", _SHORT_FRACTION.sub(_fraction, text))
    text = _SYMBOL.sub(lambda part: _SYMBOLS[part[1]], text).replace("^°", "°")
    # LaTeX sets the spaces of math itself; what it left behind in the middle of a line is one.
    return _GAP.sub(" ", _ESCAPED.sub(r"\1", _SPACE.sub(" ", text)))


def without_latex(text: str) -> str:
    """Readable text, without the dollar signs around formulas; what was in a box is bold."""

    def bare(formula: re.Match[str]) -> str:
        return formula[0] if _LONG_WORD.search(formula[2]) else formula[2]

    return readable(_DOLLARS.sub(bare, text))


def _bold(part: re.Match[str]) -> str:
    """In bold, unless the line is bold there already."""
    line = part.string[: part.start()].rpartition("\n")[2]
    inner = part[1].strip()
    return inner if line.count("**") % 2 or not inner else f"**{inner}**"


def _fraction(part: re.Match[str]) -> str:
    """``3/4``, apart from a number before it, and in brackets where something is multiplied by it."""
    shown = f"{_factor(part[1])}/{_factor(part[2])}"
    before, after = part.string[: part.start()][-6:], part.string[part.end() :][:5]
    if before[-1:].isdigit():
        return f" {shown}"
    by = _BESIDE.search(before) or re.match(r"[\w(^]|\\[dt]?frac", after)
    return f"({shown})" if by else shown


def _factor(part: str) -> str:
    """In brackets where it is more than one thing."""
    part = part.strip()
    return part if re.fullmatch(r"\\?\w+|[\d.,]+", part) else f"({part})"
