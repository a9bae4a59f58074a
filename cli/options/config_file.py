"""The config file: a TOML table of flags and names of ``-o``.

What is typed overrides the environment, the environment overrides the file, the file overrides the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.types import Notice
from adascale.models.storage import config_folder

from ..terminal.console import show_warning

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
