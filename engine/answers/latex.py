r"""LaTeX, as much of it as small models write: the only module with its commands.

``readable`` is the one normal form: people read it, answers are compared in it. ``bare`` drops what only sets
an answer, and ``arithmetic`` writes sums as Python does. Each is a table of rules, which ``rewritten``
applies. What is not understood stays as it was written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable

Rules = Iterable[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Patterns, each with what stands in its place."""

_DEEPEST = 8
"""Braces within braces that are followed."""

_SYMBOLS: dict[str, str] = dict(
    re.findall(
        r"(\w+) (\S+)",
        """
        times ×  cdot ·  div ÷  pm ±  le ≤  leq ≤  ge ≥  geq ≥  ne ≠  neq ≠  lt <  gt >  approx ≈  equiv ≡
        infty ∞  pi π  theta θ  alpha α  beta β  circ °  angle ∠  sum ∑  to →  rightarrow →  Rightarrow ⇒
        implies ⇒  therefore ∴  ldots …  cdots …  dots …  cup ∪  cap ∩  in ∈  emptyset ∅  varnothing ∅  mid |
        lfloor ⌊  rfloor ⌋  lceil ⌈  rceil ⌉
        sin sin  cos cos  tan tan  log log  ln ln  exp exp  max max  min min  gcd gcd
        """,
    )
)

_INNER = r"\{((?:[^{}\\]|\\.)*)\}"
_WORDS = r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)"
_SPACING = r"\\[,;:! ]"
_DELIMITER = r"\\[()\[\]]"
_SIZE = r"\\(?:left|right|displaystyle)(?![A-Za-z])"
_SYMBOL = rf"\\({'|'.join(_SYMBOLS)})(?![A-Za-z])"

_DOLLARS = re.compile(r"(\$\$?)(?=[^\s$])([^$\n]{1,200})(?<=\S)\1(?![\w$])")
_LONG_WORD = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{3,}")
"""A word outside of LaTeX's commands: text between two prices, not a formula."""
_BESIDE = re.compile(r"(?:[^\W\d_]|[)}^]|(?:/|÷|\\div) ?)\Z")
"""A sign behind a fraction that multiplies, raises or divides it."""

_BARE: Rules = (
    (rf"{_WORDS}\s*{_INNER}", r" \1"),
    (rf"{_SPACING}|{_DELIMITER}|{_SIZE}|\\q?quad(?![a-z])|\\?[$%]|[~`]", ""),
    # A minus sign of Unicode, and a dash before a number that is no range.
    (r"\u2212|(?<![\w)}\]])(?<![\w)}\]] )\u2013(?=[\d.])", "-"),
)
_ARITHMETIC: Rules = (
    (_DELIMITER, "\n"),
    # Runs of white space are one character before any pattern looks behind them, from each of their places.
    (r"(?:[^\S\n]|[\x01\x02])+", " "),
    (r" ?\n[ \n]*", "\n"),
    (rf"{_WORDS}\s*{_INNER}(?:\^\{{?\d\}}?)?", "\x01\\1\x02"),
)
_OPERATORS = str.maketrans("×·∗÷−–", "***/--", "$")


def rewritten(text: str, rules: Rules) -> str:
    """A text to which each rule was applied, one after the other."""
    for pattern, by in rules:
        text = re.sub(pattern, by, text)
    return text


def arithmetic(text: str) -> str:
    """``text`` with the operators of Python, words that LaTeX marks as such between the characters 1 and 2.

    A formula stands in a line of its own, and every run of white space is one character.
    """
    return re.sub(r"(?<=\d) x (?=\d)", "*", readable(rewritten(text, _ARITHMETIC)).translate(_OPERATORS))


def bare(answer: str) -> str:
    """An answer without what only sets it: words, spacing, sizes, currency and percent signs, emphasis."""
    return " ".join(rewritten(answer, _BARE).split()).strip("* ")


@functools.lru_cache(maxsize=4096)
def readable(text: str) -> str:
    r"""``text`` as a person reads it: ``\frac{3}{4}`` as ``3/4``, ``\boxed{27}`` as Markdown's ``**27**``."""
    if "\\" not in text:
        return text
    text = rewritten(text, _OUTER)
    for _ in range(_DEEPEST):
        before, text = text, rewritten(text, _NESTED)
        if text == before:
            break
    return rewritten(text, _LAST)


def without_latex(text: str) -> str:
    """Readable text, without the dollar signs around formulas; the contents of a box are bold."""

    def bare(formula: re.Match[str]) -> str:
        return formula[0] if _LONG_WORD.search(formula[2]) else formula[2]

    return readable(_DOLLARS.sub(bare, text))


def _bold(part: re.Match[str]) -> str:
    """In bold, unless the line is bold there already."""
    line = part.string[: part.start()].rpartition("\n")[2]
    inner = part[1].strip()
    return inner if line.count("**") % 2 or not inner else f"**{inner}**"


def _fraction(part: re.Match[str]) -> str:
    """``3/4``, apart from a number before it, and in brackets if a factor follows."""
    fraction = f"{_factor(part[1])}/{_factor(part[2])}"
    before, after = part.string[: part.start()][-6:], part.string[part.end() :][:5]
    if before[-1:].isdigit():
        return f" {fraction}"
    by = _BESIDE.search(before) or re.match(r"[\w(^]|\\[dt]?frac", after)
    return f"({fraction})" if by else fraction


def _factor(part: str) -> str:
    """In brackets if it has more than one factor."""
    part = part.strip()
    return part if re.fullmatch(r"\\?\w+|[\d.,]+", part) else f"({part})"


_OUTER: Rules = (
    (r" ?\\[)\]](?=[,.;:?!)])", ""),  # the end of a formula before a mark, which no space belongs to
    (rf"{_DELIMITER}|\\(?:begin|end)\{{[a-z*]+\}}|{_SIZE}|\\!", ""),
    (r"\{,\}", ","),
)
_NESTED: Rules = (
    (rf"(?:{_WORDS}|\\operatorname|\\overline|\\mathbb)\s*{_INNER}", r"\1"),
    (rf"\\pmod\s*{_INNER}", r"(mod \1)"),
    (rf"\\[dt]?frac\s*{_INNER}\s*{_INNER}", _fraction),
    (rf"\\sqrt\s*{_INNER}", lambda part: f"√{_factor(part[1])}"),
    (rf"([\^_]){_INNER}", lambda part: part[1] + _factor(part[2])),
    (rf"\\f?boxed\s*{_INNER}", _bold),
)
_LAST: Rules = (
    (r"\\[dt]?frac\s*(\d)\s*(\d)", _fraction),
    (rf"(?:{_WORDS}|\\f?boxed)\s*\{{([^{{}}\\]*)$", r"\1"),  # it is still being written
    (_SYMBOL, lambda part: _SYMBOLS[part[1]]),
    (r"\^°", "°"),
    (r"\\q?quad(?![A-Za-z])", " "),
    # LaTeX sets the spaces of math itself; several spaces within a line are one.
    (rf" ?{_SPACING} ?|\\\\(?=\s|$)", " "),
    (r"\\([%$#&_{}])", r"\1"),
    (r"(?<=\S) {2,}(?=\S)", " "),
)
"""Rules of ``readable``: once, then from the innermost braces outwards, then once."""
