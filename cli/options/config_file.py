"""The config file: one TOML table whose keys are the options that also have an environment variable.

A flag comes before the environment, the environment before the file, the file before the default. The file is
read into Typer's own defaults, so a value is checked by the option it stands for.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adascale.engine.errors import UsageError
from adascale.engine.types import Notice
from adascale.models.kept import config_folder

from ..terminal.console import show_warning
from .flatten import env

Value = str | int | float | bool


def config_path() -> Path:
    """Where the file is, whether it exists or not."""
    if chosen := os.environ.get(env("CONFIG")):
        return Path(chosen)
    return config_folder() / "config.toml"


def read_config(path: Path) -> dict[str, Value]:
    """Its settings, by option name without dashes; empty where there is no file.

    Raises:
        UsageError: it cannot be read, or is no table of single values.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
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


def settings_of(command: Any) -> dict[str, Any]:
    """The options of a command and of all below it that may stand in the file, by key.

    Args:
        command: A command of Typer, as ``Context.command`` has it.
    """
    found: dict[str, Any] = {}
    for _, _, parameter in _walk(command, ()):
        if parameter.envvar:
            found.setdefault(key_of(parameter), parameter)
    return dict(sorted(found.items()))


def key_of(parameter: Any) -> str:
    """``gpu-layers`` of ``--gpu-layers``."""
    return str(max(parameter.opts, key=len)).lstrip("-")


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for name, below in getattr(command, "commands", {}).items():
        yield from _walk(below, (*path, name))
    for parameter in command.params:
        yield path, command, parameter


def defaults_of(command: Any, config: Mapping[str, Value]) -> dict[str, Any]:
    """The file as Typer's ``default_map``: for each command below ``command`` its own defaults."""
    defaults: dict[str, Any] = {}
    for path, _, parameter in _walk(command, ()):
        if not parameter.envvar or key_of(parameter) not in config:
            continue
        into = defaults
        for name in path:
            into = into.setdefault(name, {})
        into[parameter.name] = config[key_of(parameter)]
    return defaults


def warn_unknown(config: Mapping[str, Value], known: Mapping[str, Any], path: Path) -> None:
    """Say which keys mean nothing."""
    for key in config:
        if key not in known:
            text = f"{path}: {key} is no setting, and is ignored"
            show_warning(Notice("unknown-setting", text, hint=suggestion(key, known)))


def suggestion(key: str, known: Mapping[str, Any]) -> str:
    """A hint for a key that is none."""
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else "adascale config show lists them"
