"""A model's text as a person reads it: its LaTeX in plain characters, its Markdown without marks.

JSON, traces and the extracted answer have the source instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adascale.engine.answers.latex import readable

from .text import one_line

_FENCE = re.compile(r"(?m)^[ ]{0,3}```[^\n`]*(?:\n|\Z)")
_BLOCK = re.compile(r"(?ms)^[ ]{0,3}```.*?(?:^[ ]{0,3}```[ ]*(?:\n|\Z)|\Z)")
_CODE = re.compile(r"(`{1,2})([^`\n]+)\1")
_RULE = re.compile(r"(?m)^[ ]{0,3}(?:-{3,}|\*{3,}|_{3,})[ ]*$")
_HEADING = re.compile(r"(?m)^[ ]{0,3}#{1,6}[ ]+([^\n]+)$")
_ITALIC = re.compile(r"(?<![\w*])\*([A-Za-z][A-Za-z ,.'-]+)\*(?![\w*])")
_BOLD = re.compile(r"(?m)(?<![\w*])\*\*(?=[^\s*])(.+?)(?:(?<=\S)\*\*|$)")
"""Bold text that is still open, in an unfinished step, goes to the end of its line; ``2**3`` is a power."""

_FORMULA = re.compile(r"(\$\$?)(?=[^\s$])([^$\n]{1,200})(?<=\S)\1(?![\w$])")
_WORD = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{3,}")
"""A word outside of LaTeX's commands: text between two prices, not a formula."""

_UNFINISHED = re.compile(r"\\(?:[A-Za-z]{2,}.*|[A-Za-z]?)$")
"""LaTeX that is left in a line whose end is still to be written."""

_LEAST_LINE = 4
"""Characters of the shortest line that says something: a sign of a list alone does not."""

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n){2,}")


def plain(text: str) -> str:
    """``text`` without marks, at most one blank line in a row; blocks of code lose their fences alone."""
    return "".join(_unmarked(prose) + without_fences(code) for prose, code in with_code(text))


def last_line(text: str) -> str:
    """The last line of an unfinished text that says something, without marks; empty if none does."""
    lines = (_UNFINISHED.sub("", one_line(line)).rstrip() for line in reversed(plain(text).splitlines()))
    return next((line for line in lines if len(line) >= _LEAST_LINE), "")


def with_code(text: str) -> Iterator[tuple[str, str]]:
    """Prose and the block of code behind it, again and again; the last block is empty."""
    end = 0
    for block in _BLOCK.finditer(text):
        yield text[end : block.start()], block[0]
        end = block.end()
    yield text[end:], ""


def without_latex(text: str) -> str:
    """Readable text, without the dollar signs around formulas; what was in a box is bold."""

    def bare(formula: re.Match[str]) -> str:
        return formula[0] if _WORD.search(formula[2]) else formula[2]

    return readable(_FORMULA.sub(bare, text))


def without_fences(text: str) -> str:
    """``text`` without the lines that open and close blocks of code."""
    return _FENCE.sub("", text)


def _unmarked(text: str) -> str:
    text = _CODE.sub(r"\2", _RULE.sub("", without_fences(without_latex(text))))
    text = _HEADING.sub(lambda heading: heading[1].replace("**", "").strip(), _ITALIC.sub(r"\1", text))
    return _BLANK_LINES.sub("\n\n", _BOLD.sub(r"\1", text))
