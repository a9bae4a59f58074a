"""``adascale config``: defaults of your own, and where each value comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from adascale.engine.errors import UsageError
from adascale.models.kept import atomic_write

from ..disk.files import unwritable
from ..options.config_file import (
    Value,
    complete_key,
    config_path,
    read_config,
    suggestion,
    warn_unknown,
)
from ..options.flags import JsonOption
from ..options.flatten import settings
from ..report.tables import columns
from ..terminal.console import say, write_payload

app = typer.Typer(
    help="Defaults of your own: flag > environment > config file > default.", no_args_is_help=True
)

SCHEMA = "adascale.config/1"


@app.command("path")
def path_() -> None:
    """Print where the config file is.

    cat "$(adascale config path)"
    """
    write_payload(str(config_path()))


@app.command()
def show(json_output: JsonOption = False) -> None:
    """Print every setting, its value, and where that comes from.

    adascale config show
    """
    path = config_path()
    config = read_config(path)
    warn_unknown(config, path)
    rows = [_row(key, option, config, path) for key, option in settings().items()]
    if json_output:
        write_payload(json.dumps({"schema": SCHEMA, "path": str(path), "settings": rows}))
        return
    cells = [(row["key"], _word(row["value"]), row["origin"]) for row in rows]
    write_payload(columns(cells, "<<<"))


@app.command("set")
def set_(
    context: typer.Context,
    key: Annotated[
        str,
        typer.Argument(help="An option without its dashes, such as generator.", autocompletion=complete_key),
    ],
    value: Annotated[str, typer.Argument(help="As it would be typed behind the option.")],
) -> None:
    """Keep a value in the config file.

    adascale config set generator qwen2.5-coder-0.5b
    adascale config set effort high
    """
    option = _option(key)
    _change({key: _checked(context, option, key, value)})
    if name := _environment(option):
        say(f"adascale: {name} is set and comes before the file")


@app.command()
def unset(
    key: Annotated[str, typer.Argument(help="The setting to drop.", autocompletion=complete_key)],
) -> None:
    """Drop a value from the config file.

    adascale config unset effort
    """
    if key not in read_config(config_path()):
        _option(key)
        return
    _change({key: None})


def _option(key: str) -> Any:
    known = settings()
    if key not in known:
        raise UsageError(f"{key} is no setting", hint=suggestion(key))
    return known[key]


def _checked(context: typer.Context, option: Any, key: str, text: str) -> Value:
    """The value as the option would take it, as TOML writes it."""
    try:
        value = option.process_value(context, text)
    except typer.BadParameter as error:
        reason = error.message.removeprefix("Value error, ").rstrip(".")
        raise UsageError(
            f"{key} = {text}: {reason}", hint="adascale ask --help says what it takes"
        ) from error
    if option.type_descriptor.parameter_info.parser is not None:
        return text  # such as 8k
    return value if isinstance(value, bool | int | float) else text


def _environment(option: Any) -> str | None:
    names = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar)
    return next((name for name in names if os.environ.get(name)), None)


def _row(key: str, option: Any, config: dict[str, Value], path: Path) -> dict[str, Any]:
    value: Value | None
    if name := _environment(option):
        value, origin = os.environ[name], f"environment ({name})"
    elif key in config:
        value, origin = config[key], f"file ({path})"
    else:
        shown = option.show_default
        value, origin = shown if isinstance(shown, str) else option.default, "default"
    return {"key": key, "value": value, "origin": origin}


def _word(value: Value | None) -> str:
    """As TOML and the options write it."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _change(changes: dict[str, Value | None]) -> None:
    """Write the file with other values; comments and order stay, and a reader never sees half of it."""
    import tomlkit

    path = config_path()
    read_config(path)  # what is broken is not overwritten
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    for key, value in changes.items():
        if value is None:
            document.remove(key)
        else:
            document[key] = value
    try:
        with atomic_write(path) as file:
            file.write(tomlkit.dumps(document).encode())
    except OSError as error:
        raise unwritable(path, error, "ADASCALE_CONFIG names another file") from error
