"""The Markdown of models, rendered for a screen or without its marks, and their programs.

Rich is imported by the functions that draw, since JSON and tests of programs need none of it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adascale.engine.answers.latex import without_latex
from adascale.engine.answers.program import read_program
from adascale.engine.types import Execution, Verdict

from .text import cut, harmless, one_line, plural

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.markdown import Markdown
    from rich.syntax import Syntax

_CACHED_TEXTS = 256
"""Texts that are rendered once: a live view draws each of them many times."""

_TEST_CELLS = 80
"""Cells for the first test that a program fails."""

_BLOCK = re.compile(r"(?ms)(^[ ]{0,3}```.*?(?:^[ ]{0,3}```[ ]*$|\Z))")
_FENCE = re.compile(r"(?m)^[ ]{0,3}```[^\n`]*(?:\n|\Z)")

_PRODUCT = re.compile(r"(?<=\w)\*\*(?=\d)|(?<=[\w)\]])\*(?=[\w(\[\\])")
"""A power or a product, whose asterisks would open emphasis."""
_SUMMAND = re.compile(r"(?m)^[ ]*(?=\+[ ])")
"""The blanks before a plus sign, which would open a list."""

_NO_MARKDOWN = [
    "html_inline", "html_block", "entity", "code", "lheading",
    "link", "image", "autolink", "reference",
]  # fmt: skip
"""Rules that would misread sums: indented code, a line of dashes below a text, tags. An entity could be a
character that ``harmless`` removes."""

_MIN_LINE = 4
"""Characters of the shortest line with any content: a bullet alone has none."""


@functools.lru_cache(_CACHED_TEXTS)
def rendered(text: str) -> Markdown:
    """The Markdown of a model, or as much of it as is written; its line ends stay."""
    from rich.markdown import Markdown

    markdown = Markdown("", code_theme="ansi_dark", hyperlinks=False)
    markdown.parsed = _parse(text, enable=["table"])
    return markdown


@functools.lru_cache(_CACHED_TEXTS)
def plain(text: str) -> str:
    """The text of a model without emphasis, headings, fences and LaTeX; lists and tables stay as they are."""
    blocks = []
    for token in _parse(text, disable=["list", "blockquote"]):
        inner = "".join("\n" if part.type == "hardbreak" else part.content for part in token.children or ())
        if block := inner or token.content.strip("\n"):
            blocks.append(block)
    return "\n\n".join(blocks)


def last_line(text: str) -> str:
    """The last line of an unfinished text that has content, without marks; empty if none has."""
    lines = (one_line(plain(line)).removeprefix("**") for line in reversed(text.splitlines()))
    return next((line for line in lines if len(line) >= _MIN_LINE), "")


def _parse(text: str, enable: Sequence[str] = (), disable: Sequence[str] = ()) -> list[Token]:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable([*enable]).disable([*_NO_MARKDOWN, *disable])
    parts = _BLOCK.split(_harmless_lines(text))
    parts[::2] = map(_escape_sums, parts[::2])  # the others are blocks of code
    return parser.parse("".join(parts))


def _harmless_lines(text: str) -> str:
    return "\n".join(harmless(line.expandtabs(4)).rstrip() for line in text.splitlines())


def _escape_sums(prose: str) -> str:
    """Prose without LaTeX, in which sums make no emphasis or list, and each line end is a break."""
    prose = _SUMMAND.sub(r"\g<0>\\", without_latex(prose))
    return _PRODUCT.sub(lambda stars: stars[0].replace("*", r"\*"), prose).replace("\n", "  \n")


def highlighted(code: str) -> Syntax:
    """A program in colours; its long lines are wrapped."""
    from rich.syntax import Syntax

    lines = _harmless_lines(code)
    return Syntax(lines, "python", theme="ansi_dark", word_wrap=True, background_color="default")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a model wrote.

    Attributes:
        code: Source that ran; the whole text without fences if nothing has run or there is no program.
        output: Its output, the last line of its error, or its verdict; empty if it has not run.
        failed: It has run, and printed no result or failed a test.
    """

    code: str
    output: str = ""
    failed: bool = False

    @classmethod
    def of(cls, text: str, execution: Execution | None, tests: Sequence[str] | None = None) -> Program:
        """From the text of a node; ``tests`` are the tests of a code task."""
        code = _FENCE.sub("", text).strip("\n")
        if execution is None or (tests is not None and not execution.program):
            return cls(code)
        if tests is not None:
            failed = bool(execution.verdicts) and not execution.passes
            return cls(execution.program, verdict_text(execution, tests), failed)
        code, output = (read_program(text) or code).strip("\n"), execution.output.strip()
        if execution.error:
            return cls(code, execution.error.strip().rpartition("\n")[2], failed=True)
        return cls(code, output or "nothing printed", failed=not output)

    @property
    def gist(self) -> str:
        """The code in one line, with semicolons, without comments that stand alone."""
        lines = [line for line in map(str.strip, self.code.splitlines()) if line and line[0] != "#"]
        return one_line("; ".join(lines).replace(":; ", ": "))


def verdict_text(execution: Execution, tests: Sequence[str]) -> str:
    """``passes 1 of 2 tests: assert f(3) == 9 gave 6``, with the first test that did not pass.

    Args:
        execution: Result of a program of a code task.
        tests: Sources of its tests, in the order of the verdicts.
    """
    if not execution.program:
        return "there is no program in the text"
    if not execution.verdicts:
        return "nothing was tested"
    text = f"passes {execution.passed} of {plural(len(execution.verdicts), 'test')}"
    for test, verdict in zip(tests, execution.verdicts, strict=False):
        if verdict.outcome != "passed":
            return f"{text}: {cut(one_line(test), _TEST_CELLS)} {_failure(verdict)}"
    return text


def _failure(verdict: Verdict) -> str:
    match verdict.outcome:
        case "failed" if verdict.detail:
            return f"gave {verdict.detail}"
        case "time-limit":
            return "ran into the time limit"
        case "error":
            return f"raised {verdict.detail}"
        case _:
            return "failed"
