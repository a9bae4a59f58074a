"""Typed lines and the config file: questions without a command, defaults, and Typer's errors as ours.

The file is a TOML table of flags and names of ``-o``. What is typed overrides the environment, the
environment overrides the file, the file overrides the default.
"""

from __future__ import annotations

import difflib
import os
import shlex
import sys
import tomllib
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup
from typer.exceptions import TyperException

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.types import Notice
from adascale.models.storage import config_folder

from ..terminal.console import short_path, show_warning

if TYPE_CHECKING:
    from typer._click import Context

    from .settings import Setting

_ROOT_OPTIONS = {"-h", "--help", "-V", "--version", "--install-completion", "--show-completion"}

_SIGNS = frozenset("?!*+=")
"""Signs that no command has: with one of them a single word is a question."""


def with_ask(args: Sequence[str], commands: Collection[str]) -> list[str]:
    """The words behind ``adascale``; a question gets ``ask``.

    Args:
        args: The words. A question is one word that holds a space or a sign, one that stands alone and is no
            mistyped command, or what stands behind options.
        commands: Names of the commands.
    """
    if not args or args[0] in commands:
        return list(args)
    if args[0].startswith("-"):
        is_question = args[0] not in _ROOT_OPTIONS and not any(word in commands for word in args)
    else:
        is_alone = (not args[1:] or args[1].startswith("-")) and not _near(args[0], commands)
        is_question = len(args[0].split()) > 1 or not _SIGNS.isdisjoint(args[0]) or is_alone
    return ["ask", *args] if is_question else list(args)


def _near(word: str, commands: Collection[str]) -> Sequence[str]:
    """The command that a word is nearest to, or its flag: ``help``; none for a word as short as ``hi``."""
    if (flag := f"--{word}") in _ROOT_OPTIONS:
        return [flag]
    return difflib.get_close_matches(word, commands, 1) if len(word) > 2 else []


def unknown_command(words: Sequence[str], commands: Collection[str]) -> UsageError:
    """The error for words that begin with no command: the nearest one, or how to ask them."""
    near = _near(words[0], commands)
    asks = f"adascale ask {shlex.quote(' '.join(words))} asks it; adascale -h lists the commands"
    hint = f"did you mean adascale {near[0]}?" if near else asks
    return UsageError(f"{excerpt(words[0], 80)} is no command", hint=hint)


def usage_error(error: TyperException) -> UsageError:
    """An error of Typer's as one of ours: what is wrong with which option, and a fix."""
    context: Context | None = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "adascale"
    listing = f"{path} -h shows what there is"
    parameter = getattr(error, "param", None)
    text = error.format_message()
    match type(error).__name__:
        case "NoSuchOption":
            name = str(getattr(error, "option_name", ""))
            return UsageError(f"{path} has no option {name}", hint=_meant(error, path, name) or listing)
        case "MissingParameter":
            return UsageError(f"{_name(parameter)} is missing", hint=_example(context) or listing)
        case "BadParameter":
            return UsageError(f"{_origin(context, parameter)} {_reason(error)}", hint=listing)
    if text.startswith("Got unexpected extra argument"):
        words = text.partition(" (")[2].removesuffix(")")
        return UsageError(
            f"{path} takes no more words, and got: {words}", hint='quotes keep words together: "..."'
        )
    return UsageError(text[:1].lower() + text[1:].rstrip("."), hint=listing)


def _meant(error: TyperException, path: str, name: str) -> str:
    """The likely meaning of an unknown option: another one, a name of ``-o``, or a text with a dash."""
    from .settings import commands_with, keys  # with the models' options, which no other error needs

    key = name.strip("-").replace("-", "_")
    if path.partition("adascale ")[2] in commands_with(key):  # it may begin with "python -m"
        setting = keys()[key]
        return f"{setting.typed} {_value_behind(name, setting)}"
    if near := getattr(error, "possibilities", None):
        return f"did you mean {near[0]}?"
    texts = (word for word in sys.argv if word.startswith(name.strip()) and " " in word.partition("=")[0])
    return next((f"{path} -- {shlex.quote(text)}" for text in texts), "")


def _value_behind(name: str, setting: Setting) -> str:
    """The value that was typed behind an option; ``VALUE`` if the setting does not take it."""
    word = dict(pairwise(sys.argv)).get(name, "VALUE")
    try:
        setting.parse(word)
    except ValueError:
        return "VALUE"
    return shlex.quote(word)


def _origin(context: Context | None, parameter: Any) -> str:
    """The place of a value: the flag, or the variable or the file that sets it."""
    name = _name(parameter)
    source = None if context is None or parameter is None else context.get_parameter_source(parameter.name)
    match source and source.name:
        case "ENVIRONMENT":
            return f"{parameter.envvar}:"
        case "DEFAULT_MAP":
            return f"{name.lstrip('-')} in {short_path(config_path())}:"
    return name


def _reason(error: TyperException) -> str:
    """Why a value is refused, to stand behind the name of its option."""
    from .settings import reason

    faults = getattr(error.__cause__, "errors", None)
    return reason(faults()[0]) if faults is not None else error.message.rstrip(".").replace("'", "")


def _name(parameter: Any) -> str:
    """A parameter as it is typed: the long name of an option, or an argument as the usage line has it."""
    if parameter is None:
        return ""
    is_option = parameter.opts[0].startswith("-")
    return str(parameter.opts[0] if is_option else parameter.metavar or parameter.name.upper())


def _example(context: Context | None) -> str:
    """The first example in a command's help; empty if it has none."""
    help_text = context.command.help if context is not None else None
    lines = (line.strip() for line in (help_text or "").splitlines())
    return next((line for line in lines if line.startswith("adascale ")), "")


if TYPE_CHECKING:
    from typer._click import Command

    from .settings import Value


def config_path() -> Path:
    """Path of the config file, which may not exist."""
    if chosen := os.environ.get("ADASCALE_CONFIG"):
        return Path(chosen)
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


def defaults_of(command: Command, config: Mapping[str, Value]) -> dict[str, Any]:
    """The flags of the file as Typer's ``default_map`` of a command and of its subcommands."""
    below = command.commands if isinstance(command, TyperGroup) else {}
    defaults: dict[str, Any] = {name: defaults_of(each, config) for name, each in below.items()}
    for parameter in command.params:
        key = parameter.opts[0].lstrip("-")
        if parameter.envvar and key in config:
            defaults[str(parameter.name)] = config[key]
    return defaults


def warn_unknown(config: Mapping[str, Value], path: Path) -> None:
    """Warn of keys that are not settings."""
    from .settings import keys

    for key in (key for key in config if key not in keys()):
        text = f"{path}: {excerpt(key)} is no setting, and is ignored"
        show_warning(Notice("unknown-setting", text, hint=suggestion(key)))


def suggestion(key: str) -> str:
    """The hint for an unknown key: the most similar setting."""
    from .settings import keys, nearest

    near = nearest(key, keys().values())
    return f"did you mean {near.key}?" if near else "adascale config show lists them"
