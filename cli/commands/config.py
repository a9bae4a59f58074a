"""Set defaults in a file; flags and environment variables override them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from adascale.engine.errors import UsageError

from ..disk.files import NAMES_FILES, with_absolute_path, write_file
from ..options.command_line import config_path, read_config, suggestion, warn_unknown
from ..options.declare import JsonOption
from ..options.settings import Setting, Value, commands_with, keys, value_text
from ..terminal.console import say, write_json, write_payload
from ..terminal.text import columns

app = typer.Typer(help=__doc__, no_args_is_help=True)

SCHEMA = "adascale.config/1"


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
    rows = [_setting_row(setting, config, path) for setting in keys().values()]
    if json_output:
        write_json({"schema": SCHEMA, "path": str(path), "settings": rows})
        return
    cells = [(row["key"], value_text(row["value"]), row["origin"]) for row in rows]
    write_payload(columns(cells, "<<<"))


@app.command("set")
def set_(
    key: Annotated[
        str, typer.Argument(help="Name of a flag without its dashes, such as model, or a name of -o.")
    ],
    value: Annotated[str, typer.Argument(help="Value, written as on the command line.")],
) -> None:
    """Set a value in the config file.

    adascale config set model qwen2.5-coder-0.5b
    adascale config set ctx_size 8192
    """
    setting = setting_of(key)
    _change(key, parse_value(setting, value))
    if name := _environment(setting):
        say(f"adascale: {name} is set and comes before the file")


@app.command()
def unset(
    key: Annotated[str, typer.Argument(help="Name of a setting in the file.")],
) -> None:
    """Take a setting out of the config file.

    adascale config unset model
    """
    path = config_path()
    if key not in read_config(path):
        setting_of(key)
        raise UsageError(f"{key} is not set in {path}", hint="adascale config show says what is")
    _change(key, None)


def setting_of(key: str) -> Setting:
    """The setting of a key of the file.

    Raises:
        UsageError: nothing has this name.
    """
    if key not in keys():
        raise UsageError(f"{key} is no setting", hint=suggestion(key))
    return keys()[key]


def parse_value(setting: Setting, text: str) -> Value:
    """A value for the TOML file, checked by its setting.

    Raises:
        UsageError: it is refused.
        ModelNotFoundError: no model has this name.
    """
    key = setting.key
    try:
        value = setting.parse(text)
    except ValueError as error:
        raise UsageError(f"{key} {error}", hint=f"it takes: {setting.form}") from error
    if key in NAMES_FILES:
        return with_absolute_path(key, text)
    if isinstance(value, Path):
        return str(value.absolute())
    # What has a unit stays as it was written, such as 90s.
    return value if setting.info.parser is None and isinstance(value, bool | int | float) else text


def _environment(setting: Setting) -> str | None:
    """Name of the environment variable that sets it now; None if it is not set."""
    name = setting.variable
    return name if name and os.environ.get(name) else None


def _setting_row(setting: Setting, config: dict[str, Value], path: Path) -> dict[str, Any]:
    """Key, present value and origin of a setting: environment before file before default."""
    value: Value | None
    if name := _environment(setting):
        value, origin = os.environ[name], f"environment ({name})"
    elif setting.key in config:
        value, origin = config[setting.key], f"file ({path})"
    else:
        value, origin = setting.usual, "default"
    return {"key": setting.key, "value": value, "origin": origin}


def _change(key: str, value: Value | None) -> None:
    """Set a value of the file, or take it out for None, in one rename; comments and order stay.

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
    write_file(path, tomlkit.dumps(document).encode(), "ADASCALE_CONFIG names another file")


OPTIONS_SCHEMA = "adascale.options/1"


def options(json_output: JsonOption = False) -> None:
    """List the names of -o, with their ranges, units and defaults.

    adascale options
    adascale ask -o temperature 0.5 -o ctx_size 8192 "What is 17 * 23?"
    adascale config set ctx_size 8192

    adascale config sets them for all commands; so does an environment variable, such as ADASCALE_CTX_SIZE.
    """
    found = [setting for setting in keys().values() if not setting.is_flag]
    if json_output:
        write_json({"schema": OPTIONS_SCHEMA, "options": [_described(setting) for setting in found]})
        return
    rows = [(setting.key, setting.form, f"default: {value_text(setting.usual)}") for setting in found]
    table = columns(rows, "<<<").splitlines()
    lines = [f"{row}\n    {setting.info.help}" for row, setting in zip(table, found, strict=True)]
    write_payload("\n".join(lines))


def _described(setting: Setting) -> dict[str, Any]:
    """A name of ``-o`` in JSON, with the commands that take it."""
    info = setting.info
    return {
        "name": setting.key,
        "values": setting.form,
        "min": info.min,
        "max": info.max,
        "default": setting.usual,
        "help": info.help,
        "commands": commands_with(setting.key),
    }
