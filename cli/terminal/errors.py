"""Errors and warnings: what happened, the facts and a fix, for people and as JSON."""

from __future__ import annotations

import shlex
from typing import Any

from adascale.engine.errors import AdascaleError, respell
from adascale.engine.types import Notice

from .streams import say, write_json

_MAX_LINE = 1000
"""Characters of a line of an error."""

ERROR_SCHEMA = "adascale.error/1"

_shows_warnings = True


def use_warnings(shown: bool) -> None:
    """Set whether warnings are shown at all; ``-qq`` drops them."""
    global _shows_warnings
    _shows_warnings = shown


def error_fields(error: AdascaleError) -> dict[str, Any]:
    """The fields ``code``, ``message`` and ``hint`` of an error in JSON."""
    return {"code": error.slug, "message": as_typed(error.message), "hint": as_typed(error.hint)}


def write_error(error: AdascaleError) -> None:
    """Write an error to stdout as the object of ``--json``, with its facts."""
    facts = [as_typed(fact) for fact in error.facts]
    write_json({"schema": ERROR_SCHEMA, "status": "error", "error": {**error_fields(error), "facts": facts}})


_OPTIONS = {
    "adapt", "beams", "branching", "confidence", "ctx_size", "fallback_calls", "force", "gpu_layers", "lead",
    "max_tokens", "min_confidence", "samples", "size", "temperature", "top_p", "width",
}  # fmt: skip
"""Settings that errors name and ``-o`` sets; every other one is a flag."""


def as_typed(text: str) -> str:
    """The text of an error or a warning, with settings as they are typed: ``-o ctx_size 1024``."""

    def spell(name: str, value: str | None) -> str:
        if name in _OPTIONS:
            typed, value = f"-o {name}", "true" if value == "True" else value
        else:
            typed = "--model" if name == "generator" else f"--{name.replace('_', '-')}"
            value = None if value == "True" else value
        return typed if value is None else f"{typed} {shlex.quote(value)}"

    return respell(text, spell)


def show_warning(notice: Notice) -> None:
    """Write a warning, unless ``-qq`` was given."""
    if _shows_warnings:
        _say("warning", "warning", notice.code, notice)


def show_error(error: AdascaleError) -> None:
    """Write an error: its message, the facts and a hint."""
    _say("error", "failure", error.slug, error)


def _say(kind: str, style: str, slug: str, text: AdascaleError | Notice) -> None:
    """``error[slug]: message``, a line for each fact, and ``hint: ...``, the fix, at the end."""
    lines = "\n  ".join([f"{kind}[{slug}]: {_short(text.message)}", *map(_short, text.facts)])
    say(lines + (f"\nhint: {_short(text.hint)}" if text.hint else ""), style)


def _short(text: str) -> str:
    """A part of a message as it is typed; names in it may be of any length, and are cut."""
    typed = as_typed(text)
    return typed if len(typed) <= _MAX_LINE else f"{typed[:_MAX_LINE]}..."
