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
from ..options.settings import Value, form, keys, parse, usual, value_text
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
    rows = [_setting_row(key, config, path) for key in keys()]
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
    _change(key, parse_value(key, value))
    if os.environ.get(name := str(keys()[key].envvar)):
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
        raise UsageError(f"{_known(key)} is not set in {path}", hint="adascale config show says what is")
    _change(key, None)


def _known(key: str) -> str:
    """The key.

    Raises:
        UsageError: no setting has this name.
    """
    if key not in keys():
        raise UsageError(f"{key} is no setting", hint=suggestion(key))
    return key


def parse_value(key: str, text: str) -> Value:
    """A value for the TOML file, checked by its setting.

    Raises:
        UsageError: it is refused.
        ModelNotFoundError: no model has this name.
    """
    setting = keys()[_known(key)]
    try:
        value = parse(setting, text)
    except ValueError as error:
        raise UsageError(f"{key} {error}", hint=f"it takes: {form(setting)}") from error
    if key in NAMES_FILES:
        return with_absolute_path(key, text)
    if isinstance(value, Path):
        return str(value.absolute())
    # What has a unit stays as it was written, such as 90s.
    has_unit = setting.type_descriptor.parameter_info.parser is not None
    return value if isinstance(value, bool | int | float) and not has_unit else text


def _setting_row(key: str, config: dict[str, Value], path: Path) -> dict[str, Any]:
    """Key, present value and origin of a setting: environment before file before default."""
    setting = keys()[key]
    if value := os.environ.get(str(setting.envvar)):
        return {"key": key, "value": value, "origin": f"environment ({setting.envvar})"}
    if key in config:
        return {"key": key, "value": config[key], "origin": f"file ({path})"}
    return {"key": key, "value": usual(setting), "origin": "default"}


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


def options() -> None:
    """List the names of -o, with their ranges, units and defaults.

    adascale options
    adascale ask -o temperature 0.5 -o ctx_size 8192 "What is 17 * 23?"
    adascale config set ctx_size 8192

    adascale config sets them for all commands; so does an environment variable, such as ADASCALE_CTX_SIZE.
    """
    found = [(key, each) for key, each in keys().items() if each.hidden]
    rows = [(key, form(each), f"default: {value_text(usual(each))}") for key, each in found]
    table = columns(rows, "<<<").splitlines()
    write_payload("\n".join(f"{row}\n    {each.help}" for row, (_, each) in zip(table, found, strict=True)))
