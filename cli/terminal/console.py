"""The consoles of Rich, and the abilities of the terminal.

Rich does not write to a pipe, because it would wrap lines at 80 columns there. Text of models and files
passes through ``clean`` before it reaches a terminal, because Rich does not remove escape bytes.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


_STYLES: Final = {
    "expanded": "blue",
    "running": "bold cyan",
    "waiting": "dim",
    "finished": "green",
    "pruned": "red",
    "best": "bold yellow",
    "guide": "bright_black",
    "faint": "dim",
    "high": "green",
    "middle": "yellow",
    "low": "red",
    "answer": "bold green",
    "failed": "red",
    "error": "dim red",
    "failure": "bold red",
    "warning": "yellow",
    "hint": "cyan",
    "bar.complete": "cyan",
    "bar.finished": "cyan",
    "bar.back": "bright_black",
    "markdown.code": "cyan",
    "markdown.item.bullet": "none",
    "markdown.item.number": "none",
    "markdown.hr": "dim",
    **{f"markdown.h{level}": "bold" for level in range(1, 7)},
}
"""The theme of every console."""


def new_console(**settings: Any) -> Console:
    """Create a console with our styles, which reads no markup in the text of a model."""
    from rich.console import Console
    from rich.theme import Theme

    return Console(markup=False, emoji=False, highlight=False, theme=Theme(_STYLES), **settings)


@functools.cache
def stderr_console() -> Console:
    """The one console for status, live views, warnings and errors.

    There is only one, because a second console would write into the live view of the first.
    """
    return new_console(stderr=True, soft_wrap=not sys.stderr.isatty(), force_terminal=may_animate())


def is_one_screen() -> bool:
    """True if stdout and stderr are terminals, so that text on one need not be repeated on the other."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def draws_replies(quiet: int) -> bool:
    """True if a live view draws a reply while it is written; else its pieces are printed."""
    return not quiet and is_one_screen() and may_animate()


def plain_text(renderable: RenderableType, width: int) -> str:
    """Draw as plain lines of at most ``width`` cells, for a pipe or a file."""
    file = io.StringIO()
    new_console(file=file, width=width, color_system=None, legacy_windows=False).print(renderable)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def may_animate() -> bool:
    """True if the cursor may be moved on stderr; FORCE_COLOR has no effect."""
    env = os.environ
    default = "windows" if sys.platform == "win32" else ""  # consoles of Windows set no TERM
    return (
        sys.stderr.isatty()
        and (env.get("TERM") or default) not in ("", "dumb", "unknown")
        and not env.get("CI")
        and env.get("TTY_INTERACTIVE") != "0"
    )
