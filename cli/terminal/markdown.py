"""Prose of a model for a terminal or a page: its Markdown rendered, its LaTeX in plain characters."""

from __future__ import annotations

import ast
import functools
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown, MarkdownElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from adascale.engine.answers.program import read_program, try_parse
from adascale.engine.types import Execution, Verdict

from .console import STYLES
from .text import (
    ARROW,
    ELLIPSIS,
    cells,
    cut,
    harmless,
    one_line,
    plural,
    with_code,
    without_fences,
    without_latex,
)

_PRODUCT = re.compile(r"(?<=\w)\*\*(?=\d)|(?<=[\w)\]])\*(?=[\w(\[\\])")
"""A power or a product, whose asterisks would open emphasis."""
_SUMMAND = re.compile(r"(?m)^[ ]*(?=\+[ ])")
"""The blanks before a plus sign, which would open a list."""

_PARSER = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .disable(["html_inline", "html_block", "code", "lheading", "link", "image", "autolink", "reference"])
)
"""Without what a model's sums are mistaken for: indented code, a line of dashes below a text, tags."""

_THEME = Theme(
    {f"markdown.h{level}": "bold" for level in range(1, 7)}
    | {"markdown.code": "cyan", "markdown.item.bullet": "", "markdown.hr": "dim"}
)


class _Title(Heading):
    """A heading as a bold line."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line, at the left."""
        self.text.justify = "left"
        self.text.stylize("bold")
        yield self.text


class _Code(CodeBlock):
    """A block of code, indented, without a background."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The code, highlighted."""
        yield Syntax(
            str(self.text).rstrip(),
            self.lexer_name,
            theme="ansi_dark",
            word_wrap=True,
            padding=(0, 2),
            background_color="default",
        )


class _Item(ListItem):
    """An item of a list, its number with a full stop."""

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        """The item behind its number."""
        head = f"{number}. ".rjust(len(f"{last_number}. "))
        lines = console.render_lines(
            self.elements, options.update(width=options.max_width - len(head)), pad=False
        )
        for at, line in enumerate(lines):
            yield Segment(head if at == 0 else " " * len(head))
            yield from line
            yield Segment.line()


class _Prose(Markdown):
    """A text whose line ends stay."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Title,
        "fence": _Code,
        "list_item_open": _Item,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.parsed = _PARSER.parse(text)
        for token in self.parsed:
            token.children = None if token.children is None else [_kept(child) for child in token.children]


def _kept(token: Token) -> Token:
    """The end of a line as one that is not filled up."""
    return Token("hardbreak", "br", 0) if token.type == "softbreak" else token


def rendered(text: str, width: int) -> list[Text]:
    """``text`` as lines of at most ``width`` cells, without blank ones at its ends.

    Args:
        text: Text that a model has written, or has begun to write.
        width: Cells of a line.
    """
    return list(_lines(_source(text), width))


def _source(text: str) -> str:
    """The Markdown in ``text`` without anything that a terminal or a browser takes for more than text."""
    lines = _readable(text).splitlines()
    return "\n".join(harmless(line.expandtabs(4)).rstrip() for line in lines)


@functools.lru_cache(maxsize=64)
def _lines(source: str, width: int) -> tuple[Text, ...]:
    """The lines of harmless Markdown; a live view asks for them with every frame."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        theme=_THEME,
    )
    lines = [
        Text.assemble(*((part.text, part.style or "") for part in line if not part.control))
        for line in console.render_lines(_Prose(source), pad=False)
    ]
    for line in lines:
        line.rstrip()
    while lines and not lines[-1].plain.strip():
        lines.pop()
    while lines and not lines[0].plain.strip():
        lines.pop(0)
    return tuple(lines)


def _readable(text: str) -> str:
    """Text without LaTeX outside of its code, where only Markdown itself makes emphasis."""
    *parts, (rest, _) = with_code(text)
    return "".join([*(_unmarked(prose) + code for prose, code in parts), _closed(_unmarked(rest))])


def _unmarked(text: str) -> str:
    marked = _SUMMAND.sub(lambda blanks: f"{blanks[0]}\\", without_latex(text))
    return _PRODUCT.sub(lambda found: found[0].replace("*", "\\*"), marked)


def _closed(text: str) -> str:
    """``text`` with bold closed that is open at its end, where more is to be written."""
    line = text.rpartition("\n")[2]
    if line.count("**") % 2 == 0:
        return text
    return text.removesuffix("**") if line.endswith("**") else f"{text.rstrip()}**"


if TYPE_CHECKING:
    from rich.text import Text

_TAB = 4
_KEPT = 256
"""Programs that are read and highlighted once: a live view draws each of them many times."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a model wrote.

    Attributes:
        code: Source that ran; the whole text without fences if nothing has run or there is no program.
        execution: Result of running it; None if it has not run.
    """

    code: str
    execution: Execution | None = None

    @classmethod
    def of(cls, text: str, execution: Execution | None) -> Self:
        """From the text of a node."""
        return cls(without_fences(text).strip("\n") if execution is None else _code_of(text), execution)

    @classmethod
    def of_task(cls, text: str, execution: Execution | None, tests: Sequence[str]) -> Self:
        """From the text of a node of a code task, with what its tests say in the place of what it printed."""
        if execution is None or not execution.program:
            return cls.of(text, None)
        said = verdict_text(execution, tests)
        error = "" if execution.passes or not execution.verdicts else said
        return cls(execution.program, Execution(said, error, 0.0))

    @property
    def failed(self) -> bool:
        """True if it has run and printed no result."""
        execution = self.execution
        return execution is not None and (bool(execution.error) or not execution.output.strip())

    @property
    def output(self) -> str:
        """Its output, or the last line of its error; empty if it has not run."""
        if self.execution is None:
            return ""
        if self.execution.error:
            return self.execution.error.strip().rpartition("\n")[2]
        return self.execution.output.strip() or "nothing printed"

    @property
    def single_line(self) -> str:
        """The code with semicolons, without comments that stand alone: no program any more, but its gist."""
        joined = ""
        for line in map(str.strip, self.code.splitlines()):
            if line and not line.startswith("#"):
                joined += (" " if joined.endswith(":") else "; " if joined else "") + line
        return joined

    def lines(self) -> list[Text]:
        """The code, highlighted, as lines of any width."""
        lines = (harmless(line.expandtabs(_TAB)).rstrip() for line in self.code.splitlines())
        return list(highlighted("\n".join(lines)).split("\n", allow_blank=True))

    def outcome_line(self) -> list[Text]:
        """``→ 18``, the last line of the output or of the error; no line where it has not run."""
        from rich.text import Text

        if self.execution is None:
            return []
        style = STYLES["error"] if self.failed else STYLES["faint"]
        *_, last = self.output.split("\n")
        return [Text(f"{ARROW} {one_line(last)}", style)]


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
    judged = zip(tests, execution.verdicts, strict=False)
    missed = next((_miss(test, verdict) for test, verdict in judged if verdict.outcome != "passed"), None)
    return passed if missed is None else f"{passed}: {missed}"


def _miss(test: str, verdict: Verdict) -> str:
    asked = _asked(test)
    match verdict.outcome:
        case "failed" if verdict.detail:
            return f"{asked} gave {verdict.detail}"
        case "time-limit":
            return f"{asked} ran into the time limit"
        case "error":
            return f"{asked} raised {verdict.detail}"
        case _:
            return f"{asked} failed"


@functools.lru_cache(_KEPT)
def _asked(test: str) -> str:
    """The one statement of a test, or the call at its end; of several asserts any may have failed."""
    match getattr(try_parse(test), "body", []):
        case [ast.Try(body=[*_, tried])]:
            return ast.unparse(tried)
        case [only]:
            return ast.unparse(only) if "\n" in test.strip() else test.strip()
        case [*_, ast.Expr(call)]:
            return ast.unparse(call)
    return "one of its steps"


@functools.lru_cache(_KEPT)
def _code_of(text: str) -> str:
    return (read_program(text) or without_fences(text)).strip("\n")


@functools.lru_cache(_KEPT)
def highlighted(code: str) -> Text:
    """Harmless code in colours; it is kept, so nobody may change it."""
    from rich.syntax import Syntax

    text = Syntax("", "python", theme="ansi_dark").highlight(code)
    text.rstrip()
    return text


def cut_line(line: Text, width: int) -> Text:
    """The line in at most ``width`` cells, with an ellipsis where something was cut off."""
    text = cut(line.plain, width)
    if text == line.plain:
        return line
    kept = max(0, len(text) - len(ELLIPSIS))
    return line[:kept].append(text[kept:])


def wrap_line(line: Text, width: int) -> list[Text]:
    """The line as lines of at most ``width`` cells, broken where they are full."""
    offsets, used = list[int](), 0
    for at, character in enumerate(line.plain):
        used += cells(character)
        if used > width and at:
            offsets.append(at)
            used = cells(character)
    return list(line.divide(offsets))
