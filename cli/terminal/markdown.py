"""Prose of a model for a terminal or a page: its Markdown rendered, its LaTeX in plain characters."""

from __future__ import annotations

import functools
import io
import re
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown, MarkdownElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from .prose import with_code, without_latex
from .text import harmless

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
