"""Typed lines and the config file: questions without a command, and Typer's errors as ours.

The file is a TOML table of flags and names of ``-o``.
"""

from __future__ import annotations

import difflib
import itertools
import os
import shlex
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from adascale.engine.errors import UsageError, excerpt
from adascale.models.storage import config_folder

if TYPE_CHECKING:
    from typer._click import Context

Value = str | int | float | bool
"""A value of the config file."""


_ROOT_OPTIONS = {"-h", "--help", "-V", "--version", "--install-completion", "--show-completion"}

_SIGNS = frozenset("?!*+=")
"""Signs that no command has: with one of them a word is the beginning or the end of a question."""

_ASKING = frozenset({"how", "what", "who", "that", "can"})
"""Words that begin questions and are spelled like commands: ``show``, ``chat``."""


def with_ask(args: Sequence[str], commands: Collection[str]) -> list[str]:
    """The words behind ``adascale``; a question gets ``ask``.

    Args:
        args: The words. All but commands, mistyped ones among them, are a question, with quotes or without.
        commands: Names of the commands.
    """
    if not args or args[0] in commands:
        return list(args)
    if args[0].startswith("-"):
        is_question = args[0] not in _ROOT_OPTIONS and not any(word in commands for word in args)
    else:
        is_question = not _near(args, commands)
    return ["ask", *args] if is_question else list(args)


def _near(words: Sequence[str], commands: Collection[str]) -> Sequence[str]:
    """The command that these words mistype, or its flag: ``help``; none for a question.

    A question has a space or a sign in a word, begins as one does, or is longer than what is typed behind a
    command, but for one that is missed by a letter. A first word as short as ``hi`` mistypes nothing.
    """
    first, *others = itertools.takewhile(lambda word: not word.startswith("-"), words)
    if not others and (flag := f"--{first}") in _ROOT_OPTIONS:
        return [flag]
    asks = len(first.split()) > 1 or bool(_SIGNS & {*first, words[-1][-1:]})
    asks = asks or (bool(others) and first.lower() in _ASKING)
    if asks or len(first) < 3:
        return []
    return difflib.get_close_matches(first, commands, 1, 0.8 if others[1:] else 0.6)


def unknown_command(words: Sequence[str], commands: Collection[str]) -> UsageError:
    """The error for words that mistype a command."""
    asks = f" adascale ask {shlex.quote(' '.join(words))} asks it" if words[1:] else ""
    hint = f"did you mean adascale {_near(words, commands)[0]}?{asks}"
    return UsageError(f"{excerpt(words[0], 80)} is no command", hint=hint)


def usage_error(error: TyperException) -> UsageError:
    """An error of Typer's as one of ours: the option, the mistake, and a fix."""
    context: Context | None = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "adascale"
    text, hint = error.format_message().rstrip("."), f"{path} -h shows what there is"
    if name := getattr(error, "option_name", ""):
        text = f"{path} has no option {name}"
        near = _near_setting(name) or getattr(error, "possibilities", None)
        if context and not context.parent and (not near or near[0] == name):
            hint = f"options stand behind their command, as in adascale ask {name}"
        elif near:
            hint = f"did you mean {near[0]}?"
    elif "extra argument" in text:
        hint = 'quotes keep words together: "..."'
    return UsageError(text[:1].lower() + text[1:], hint=hint)


def _near_setting(flag: str) -> list[str]:
    """The name of ``-o`` that a flag mistypes."""
    from .settings import KEYS, typed_as

    names = difflib.get_close_matches(flag.strip("-").replace("-", "_"), KEYS, 1, 0.9)
    return [typed_as(KEYS[name]) for name in names]


def env(key: str) -> str:
    """Name of the environment variable of a key."""
    return f"ADASCALE_{key.replace('-', '_').upper()}"


def config_path() -> Path:
    """Path of the config file, which may not exist."""
    if path := os.environ.get("ADASCALE_CONFIG"):
        return Path(path)
    return config_folder() / "config.toml"


def read_config(path: Path) -> dict[str, Value]:
    """The settings of a file by key; empty if there is no file.

    Raises:
        UsageError: the file cannot be read, or is not a table of single values.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:  # of nested brackets
        raise _unreadable(path, str(error)) from error
    for key, value in table.items():
        if not isinstance(value, str | int | float | bool):
            raise _unreadable(path, f"{key} is no single value")
    return table


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"cannot read {path}: {reason}",
        hint="adascale config path says where it is; mend or delete it",
        slug="bad-config",
    )


class HelpfulCommand(TyperCommand):
    """A command whose ``-o`` takes two words, for which Typer has no annotation."""

    def __init__(self, *args: Any, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        for parameter in self.params:
            if parameter.name == "option":
                parameter.nargs = 2

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words behind the command."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            error.ctx = ctx  # type: ignore[attr-defined]  # the error of a missing value has none
            raise


class Listing(TyperGroup):
    """A group of commands that lists if no command is typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words behind the group."""
        names_none = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if names_none and not ctx.resilient_parsing else args)
