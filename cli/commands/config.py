"""Set defaults in a file; flags and environment variables override them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from adascale.engine.errors import UsageError

from ..disk.files import NAMES_FILES, with_absolute_path, write_file
from ..options.command_line import reason
from ..options.config_file import (
    Value,
    complete_key,
    config_path,
    read_config,
    suggestion,
    warn_unknown,
)
from ..options.declare import JsonOption
from ..options.flatten import command_with, settings
from ..terminal.console import say, write_json, write_payload
from ..terminal.text import columns

app = typer.Typer(help=__doc__, no_args_is_help=True)

SCHEMA = "adascale.config/1"

_API_KEY = "api-key"
"""Setting that must stay secret."""


@app.command("path")
def path_() -> None:
    """Print where the config file is.

    cat "$(adascale config path)"
    """
    write_payload(str(config_path()))


@app.command()
def show(json_output: JsonOption = False) -> None:
    """Print every setting with its value and the origin of the value.

    adascale config show
    """
    path = config_path()
    config = read_config(path)
    warn_unknown(config, path)
    rows = [_setting_row(key, option, config, path) for key, option in settings().items()]
    if json_output:
        write_json({"schema": SCHEMA, "path": str(path), "settings": rows})
        return
    cells = [(row["key"], _value_text(row["value"]), row["origin"]) for row in rows]
    write_payload(columns(cells, "<<<"))


@app.command("set")
def set_(
    context: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            help="Name of an option without its dashes, such as model.", autocompletion=complete_key
        ),
    ],
    value: Annotated[str, typer.Argument(help="Value, written as for the option.")],
) -> None:
    """Set a value in the config file.

    adascale config set model qwen2.5-coder-0.5b
    adascale config set effort high
    """
    option = option_of(key)
    _change(key, parse_value(context, option, key, value))
    if name := _environment(option):
        say(f"adascale: {name} is set and comes before the file")


@app.command()
def unset(
    key: Annotated[str, typer.Argument(help="Name of a setting in the file.", autocompletion=complete_key)],
) -> None:
    """Take a setting out of the config file.

    adascale config unset model
    """
    path = config_path()
    if key not in read_config(path):
        option_of(key)
        raise UsageError(f"{key} is not set in {path}", hint="adascale config show says what is")
    _change(key, None)


def option_of(key: str) -> TyperOption:
    """The option that a key of the file sets.

    Raises:
        UsageError: no option has this name.
    """
    known = settings()
    if key not in known:
        raise UsageError(f"{key} is no setting", hint=suggestion(key))
    return known[key]


def parse_value(context: typer.Context, option: TyperOption, key: str, text: str) -> Value:
    """A value for the TOML file, checked by its option.

    Raises:
        UsageError: the option does not take it.
        ModelNotFoundError: no model has this name.
    """
    try:
        value = option.process_value(context, text)
    except typer.BadParameter as error:
        raise UsageError(
            f"{key} {reason(error)}", hint=f"adascale {command_with(key)} --help-all says what it takes"
        ) from error
    if key in NAMES_FILES:
        return with_absolute_path(key, text)
    if key == "server":
        from adascale.models.worker.remote import base_url

        base_url(text)
    if option.type_descriptor.parameter_info.parser is not None:
        return text  # such as 8k
    return value if isinstance(value, bool | int | float) else text


def _environment(option: TyperOption) -> str | None:
    """Name of the environment variable that sets the option now; None if it is not set."""
    name = option.envvar
    return name if isinstance(name, str) and os.environ.get(name) else None


def _setting_row(key: str, option: TyperOption, config: dict[str, Value], path: Path) -> dict[str, Any]:
    """Key, present value and origin of a setting: environment before file before default."""
    value: Value | None
    if name := _environment(option):
        value, origin = os.environ[name], f"environment ({name})"
    elif key in config:
        value, origin = config[key], f"file ({path})"
    else:
        shown, default = option.show_default, option.default
        assert not callable(default), "the default of a setting is a value"
        value, origin = shown if isinstance(shown, str) else default, "default"
    if key == _API_KEY and value is not None:
        value = "(set)"  # people paste this table into reports
    return {"key": key, "value": value, "origin": origin}


def _value_text(value: Value | None) -> str:
    """A value as it is written in TOML and on the command line."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _change(key: str, value: Value | None) -> None:
    """Set a value of the file, or take it out for None, in one rename; comments and order stay.

    A file with an API key can be read by its owner only.

    Raises:
        UsageError: the file is broken or cannot be written.
    """
    import tomlkit

    path = config_path()
    read_config(path)  # a broken file is not overwritten
    document = tomlkit.parse(path.read_text(encoding="utf-8-sig")) if path.exists() else tomlkit.document()
    if value is None:
        del document[key]
    else:
        document[key] = value
    mode = 0o600 if _API_KEY in document else None
    write_file(path, tomlkit.dumps(document).encode(), "ADASCALE_CONFIG names another file", mode)
