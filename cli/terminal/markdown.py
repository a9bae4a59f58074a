"""Renders what a model wrote as a person reads it on a screen: with its Markdown, its programs highlighted.

Only the screen goes through here: JSON, traces and the extracted answer have the model's text. What draws
with Rich is imported where it is used, since other commands only need the text of a program.
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

from .text import cut, harmless, one_line, plural, with_code, without_fences

if TYPE_CHECKING:
    from rich.markdown import Markdown
    from rich.syntax import Syntax

_KEPT = 256
"""Texts that are read once: a live view draws each of them many times."""

_TEST_CELLS = 80
"""Cells that name the test which a program fails."""

_PRODUCT = re.compile(r"(?<=\w)\*\*(?=\d)|(?<=[\w)\]])\*(?=[\w(\[\\])")
"""A power or a product, whose asterisks would open emphasis."""
_SUMMAND = re.compile(r"(?m)^[ ]*(?=\+[ ])")
"""The blanks before a plus sign, which would open a list."""

_NO_MARKDOWN = [
    "html_inline", "html_block", "entity", "code", "lheading",
    "link", "image", "autolink", "reference",
]  # fmt: skip
"""Markup that a model's sums are mistaken for: indented code, a line of dashes below a text, tags. An entity
would be a character that ``harmless`` has not seen."""


@functools.lru_cache(_KEPT)
def rendered(text: str) -> Markdown:
    """The Markdown of a model, or as much of it as is written; its line ends stay."""
    from markdown_it import MarkdownIt
    from rich.markdown import Markdown

    *parts, (rest, _) = with_code(text)
    source = "".join([*(_unmarked(prose) + code for prose, code in parts), _unmarked(rest)])
    # Two blanks at its end keep a line from being filled up with the next one.
    source = "  \n".join(_line(line) for line in source.splitlines())
    prose = Markdown("", code_theme="ansi_dark", hyperlinks=False)
    prose.parsed = (
        MarkdownIt("commonmark", {"html": False}).enable("table").disable(_NO_MARKDOWN).parse(source)
    )
    return prose


def _unmarked(text: str) -> str:
    """Prose without LaTeX, where only Markdown itself makes emphasis."""
    marked = _SUMMAND.sub(lambda blanks: f"{blanks[0]}\\", without_latex(text))
    return _PRODUCT.sub(lambda found: found[0].replace("*", "\\*"), marked)


def _line(line: str) -> str:
    return harmless(line.expandtabs(4)).rstrip()


def highlighted(code: str) -> Syntax:
    """A program in colours; its long lines are wrapped."""
    from rich.syntax import Syntax

    lines = "\n".join(map(_line, code.splitlines()))
    return Syntax(lines, "python", theme="ansi_dark", word_wrap=True, background_color="default")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a model wrote.

    Attributes:
        code: Source that ran; the whole text without fences if nothing has run or there is no program.
        output: Its output, the last line of its error, or what its tests say; empty if it has not run.
        failed: It has run, and printed no result or failed a test.
    """

    code: str
    output: str = ""
    failed: bool = False

    @classmethod
    def of(cls, text: str, execution: Execution | None, tests: Sequence[str] | None = None) -> Program:
        """From the text of a node; ``tests`` are those of a code task."""
        if execution is None or (tests is not None and not execution.program):
            return cls(without_fences(text).strip("\n"))
        if tests is not None:
            failed = bool(execution.verdicts) and not execution.passes
            return cls(execution.program, verdict_text(execution, tests), failed)
        code = (read_program(text) or without_fences(text)).strip("\n")
        output = execution.output.strip()
        if execution.error:
            return cls(code, execution.error.strip().rpartition("\n")[2], failed=True)
        return cls(code, output or "nothing printed", failed=not output)

    @property
    def last_line(self) -> str:
        """The last line of the output or of the error."""
        return one_line(self.output.rpartition("\n")[2])

    @property
    def gist(self) -> str:
        """The code in one line, with semicolons, without comments that stand alone."""
        joined = ""
        for line in map(str.strip, self.code.splitlines()):
            if line and not line.startswith("#"):
                joined += (" " if joined.endswith(":") else "; " if joined else "") + line
        return one_line(joined)


def verdict_text(execution: Execution, tests: Sequence[str]) -> str:
    """``passes 1 of 2 tests: assert f(3) == 9 gave 6``; the first test that was not passed stands for all.

    Args:
        execution: Result of a program of a code task.
        tests: Sources of its tests, in the order of the verdicts.
    """
    if not execution.program:
        return "there is no program in the text"
    if not execution.verdicts:
        return "nothing was tested"
    passed = f"passes {execution.passed} of {plural(len(execution.verdicts), 'test')}"
    for test, verdict in zip(tests, execution.verdicts, strict=False):
        if verdict.outcome != "passed":
            return f"{passed}: {cut(one_line(test), _TEST_CELLS)} {_said(verdict)}"
    return passed


def _said(verdict: Verdict) -> str:
    match verdict.outcome:
        case "failed" if verdict.detail:
            return f"gave {verdict.detail}"
        case "time-limit":
            return "ran into the time limit"
        case "error":
            return f"raised {verdict.detail}"
        case _:
            return "failed"
