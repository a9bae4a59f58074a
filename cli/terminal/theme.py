"""Glyphs, and styles named by what they mean."""

from __future__ import annotations

from typing import Final, Literal

from adascale.engine.types import Estimate, probability_of

Mark = Literal["expanded", "running", "waiting", "finished", "failed", "best", "pruned"]
"""Kind of a row of the tree; every mark has a glyph and a style."""


MARKS: Final[dict[Mark, str]] = {
    "expanded": "●",
    "running": "◐",
    "waiting": "○",
    "finished": "✓",
    "failed": "✗",
    "best": "★",
    "pruned": "✗",
}
SPIN = ("◐", "◓", "◑", "◒")
"""Frames of the ``running`` mark in a live view."""

TEE, ELBOW, PIPE = "├── ", "└── ", "│   "
"""Guides of a child that has younger siblings, of the last child, and one that passes an open level."""

SPENT, LEFT = "━", "─"
"""The used part of a bar, and the rest."""

DOT, ARROW, ELLIPSIS = " · ", "→", "…"
"""Marks between facts, before the output of a program, and of cut text."""

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
