"""Errors and warnings: what happened, the facts and a fix, for people and as JSON."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from adascale.engine.errors import AdascaleError, respell
from adascale.engine.types import Notice

from .console import stderr_console
from .lines import clean, wrapped
from .streams import write_json

_LONGEST_LINE = 1000
"""Characters of a line of an error."""


ERROR_SCHEMA = "adascale.error/1"


_warns = True


def use_warnings(shown: bool) -> None:
    """Set whether warnings are shown at all; ``-qq`` drops them."""
    global _warns
    _warns = shown


def error_fields(error: AdascaleError) -> dict[str, Any]:
    """The fields ``code``, ``message`` and ``hint`` of an error in JSON."""
    return {"code": error.slug, "message": as_typed(error.message), "hint": as_typed(error.hint)}


def write_error(error: AdascaleError) -> None:
    """Write an error to stdout as the object of ``--json``, with its facts."""
    facts = [as_typed(fact) for fact in error.facts]
    write_json({"schema": ERROR_SCHEMA, "status": "error", "error": {**error_fields(error), "facts": facts}})


_OPTIONS = {
    "adapt",
    "beams",
    "branching",
    "confidence",
    "ctx_size",
    "fallback_calls",
    "force",
    "gpu_layers",
    "lead",
    "max_tokens",
    "min_confidence",
    "samples",
    "size",
    "temperature",
    "top_p",
    "width",
}
"""Settings that errors name and ``-o`` sets; each other one is a flag."""


def as_typed(text: str) -> str:
    """The text of an error or a warning, with settings as they are typed: ``-o ctx_size 1024``."""

    def spell(name: str, value: str | None) -> str:
        if name in _OPTIONS:
            return (
                f"-o {name}"
                if value is None
                else f"-o {name} {'true' if value == 'True' else shlex.quote(value)}"
            )
        flag = "--model" if name == "generator" else f"--{name.replace('_', '-')}"
        return flag if value in (None, "True") else f"{flag} {shlex.quote(value)}"

    return respell(text, spell)


def show_warning(notice: Notice) -> None:
    """Write a warning, unless ``-qq`` was given."""
    if _warns:
        _write_labelled("warning", "warning", notice.code, notice.message, notice.facts, notice.hint)


def show_error(error: AdascaleError) -> None:
    """Write an error: its message, the facts and a hint."""
    _write_labelled("error", "failure", error.slug, error.message, error.facts, error.hint)


def _write_labelled(
    kind: str, style: str, slug: str, message: str, facts: tuple[str, ...], hint: str
) -> None:
    """``error[slug]: message``, a line for each fact, and ``hint: ...``, the fix, at the end."""
    from rich.text import Text

    label = f"{kind}[{slug}]"
    lines = "\n  ".join([f"{label}: {_shown(message)}", *map(_shown, facts)])
    lines += f"\nhint: {_shown(hint)}" if hint else ""
    text = Text(wrapped(lines, sys.stderr))
    text.stylize(style, 0, len(label))
    text.highlight_regex("(?m)^hint: ", "hint")
    stderr_console().print(text, soft_wrap=True)


def _shown(text: str) -> str:
    """A part of a message; what it names may be of any length, and is cut."""
    shown = clean(as_typed(text))
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."
