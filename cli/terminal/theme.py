"""Glyphs, and styles named by what they mean."""

from __future__ import annotations

import locale
import os
import sys
from dataclasses import dataclass
from typing import Final, Literal, TextIO

from adascale.engine.types import Estimate, probability_of

Mark = Literal["expanded", "running", "waiting", "finished", "failed", "best", "pruned"]
"""Kind of a row of the tree; every mark has a glyph and a style."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One character set for marks, guides, the budget bar and punctuation.

    Attributes:
        marks: One cell per mark.
        spin: Frames of the ``running`` mark in a live view.
        tee: Guide of a child that has younger siblings.
        elbow: Guide of the last child.
        pipe: Guide that passes an open level.
        spent: The used part of the budget bar.
        left: The rest of the bar.
        dot: Separator between facts.
        arrow: Glyph before the output of a program.
        ellipsis: Mark of cut text.
        ascii: Model text must be reduced to ASCII too.
    """

    marks: dict[Mark, str]
    spin: tuple[str, ...]
    tee: str
    elbow: str
    pipe: str
    spent: str
    left: str
    dot: str
    arrow: str
    ellipsis: str
    ascii: bool


UNICODE: Final = Glyphs(
    marks={
        "expanded": "●",
        "running": "◐",
        "waiting": "○",
        "finished": "✓",
        "failed": "✗",
        "best": "★",
        "pruned": "✗",
    },
    spin=("◐", "◓", "◑", "◒"),
    tee="├── ",
    elbow="└── ",
    pipe="│   ",
    spent="━",
    left="─",
    dot=" · ",
    arrow="→",
    ellipsis="…",
    ascii=False,
)

ASCII: Final = Glyphs(
    marks={
        "expanded": "o",
        "running": ">",
        "waiting": ".",
        "finished": "+",
        "failed": "x",
        "best": "*",
        "pruned": "x",
    },
    spin=(">",),
    tee="+-- ",
    elbow="`-- ",
    pipe="|   ",
    spent="=",
    left="-",
    dot=" | ",
    arrow="->",
    ellipsis="...",
    ascii=True,
)

MARK_STYLES: Final[dict[Mark, str]] = {
    "expanded": "blue",
    "running": "bold cyan",
    "waiting": "dim",
    "finished": "green",
    "failed": "red",
    "best": "bold yellow",
    "pruned": "red",
}

STYLES: Final = {
    "guide": "bright_black",
    "label": "bright_black",
    "header": "bright_black",
    "question": "bold",
    "faint": "dim",
    "running_text": "italic",
    "best_path": "bold",
    "high": "green",
    "middle": "yellow",
    "low": "red",
    "spent": "cyan",
    "left": "bright_black",
    "answer": "bold green",
    "error": "dim red",
    "failure": "bold red",
    "warning": "yellow",
    "hint": "cyan",
}


Level = Literal["high", "middle", "low"]


def level(estimate: Estimate | None) -> Level | None:
    """Level of a probability, for its colour; None for a score, which must not look like one."""
    p = probability_of(estimate)
    if p is None:
        return None
    return "high" if p >= 0.8 else "middle" if p >= 0.5 else "low"


def glyphs_for(stream: TextIO) -> Glyphs:
    """UNICODE if both the stream and the locale speak UTF-8, or ASCII.

    A console of Windows is UTF-8 to Python whatever its code page, which is that of files and pipes.
    """
    encoding = (stream.encoding or "ascii").lower().replace("_", "-")
    if encoding not in ("utf-8", "utf8"):
        return ASCII
    # LC_ALL=C switches Python to UTF-8 mode, so the stream alone would never say ASCII. Who sets one of
    # these two variables has asked for UTF-8 by name.
    if os.environ.get("PYTHONUTF8") == "1" or os.environ.get("PYTHONIOENCODING"):
        return UNICODE
    if sys.platform == "win32" and stream.isatty():
        return UNICODE
    return UNICODE if locale.getencoding().lower().replace("_", "-") in ("utf-8", "utf8") else ASCII
