"""``adascale config``: what can be set, and defaults in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from adascale.engine.errors import UsageError

from ..disk.files import NAMES_FILES, with_absolute_path, write_file
from ..options.command_line import Listing, Value, config_path, env, read_config
from ..options.flags import AllFlag, JsonFlag
from ..options.settings import KEYS, ROWS, Settings, checked, stored_values, suggestion, warn_unknown
from ..terminal.streams import say, write_json, write_payload
from ..terminal.text import columns, short_path, wrapped

app = typer.Typer(
    cls=Listing,
    help="List what is set, with --all what can be, and set defaults in a file.\n\n"
    "adascale config --all\nadascale config set ctx_size 8192\n\n"
    "The command line comes before environment variables, such as ADASCALE_CTX_SIZE, and these before the "
    "file.",
)

SCHEMA = "adascale.config/1"


@app.command("list")
def list_(all_: AllFlag = False, json_output: JsonFlag = False) -> None:
    """List what is set, or all that can be, with its default.

    adascale config list
    adascale config --all
    """
    config = read_config(config_path())
    warn_unknown(config)
    stored, rows = stored_values(config), []
    for key, name in KEYS.items():
        default = ROWS[name].usual or Settings.model_fields[name].default
        value, origin = stored.get(name, (default, "default"))
        rows.append(
            {"key": key, "value": value, "origin": origin, "default": default, "help": ROWS[name].help}
        )
    if json_output:
        write_json({"schema": SCHEMA, "path": str(config_path()), "settings": rows})
    elif all_:
        rows.sort(key=lambda row: not ROWS[KEYS[row["key"]]].flags)
        write_payload(wrapped("\n".join(map(_described, rows)), sys.stdout))
    else:
        changes = [
            (row["key"], str(row["value"]), row["origin"]) for row in rows if row["origin"] != "default"
        ]
        if changes:
            write_payload(columns(changes, "<<<"))
        say(f"adascale: {len(changes)} of {len(rows)} settings are set; adascale config --all lists them all")


def _described(row: Mapping[str, Any]) -> str:
    """A setting as it is typed, its value if it is set, its effect, default and range."""
    name = KEYS[row["key"]]
    help_row, metadata = ROWS[name], Settings.model_fields[name].metadata
    typed = f"{', '.join(sorted(help_row.flags.split(), key=len)) or f'-o {name}'} {help_row.unit}".rstrip()
    now = "" if row["origin"] == "default" else f"    {row['value']}, from {row['origin']}"
    low, *_ = [each.ge for each in metadata if hasattr(each, "ge")] or [None]
    high, *_ = [each.le for each in metadata if hasattr(each, "le")] or [None]
    facts = [] if row["default"] in (None, "", False) else [f"default: {row['default']}"]
    if low is not None:
        facts.append(f"{low} or more" if high is None else f"{low} to {high}")
    return f"{typed}{now}\n    {help_row.help}" + (f" [{'; '.join(facts)}]" if facts else "")


@app.command("path")
def path_() -> None:
    """Print where the config file is.

    cat "$(adascale config path)"
    """
    write_payload(str(config_path()))


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
    if os.environ.get(name := env(key)):
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
        raise UsageError(f"{key} is not set in {path}", hint="adascale config lists what is")
    _change(key, None)


def parse_value(key: str, text: str) -> Value:
    """A value for the TOML file, checked by its setting.

    Raises:
        UsageError: no setting has this name, or the value is refused.
        ModelNotFoundError: no model has this name.
    """
    if (name := KEYS.get(key)) is None:
        raise UsageError(f"{key} is no setting", hint=suggestion(key))
    value = getattr(checked({name: (text, key)}), name)
    if key in NAMES_FILES:
        return with_absolute_path(key, text)
    if isinstance(value, Path):
        return str(value.absolute())
    # A value with a unit stays as it was written, such as 90s.
    is_plain = isinstance(value, bool | int | float) and str(value).lower() == text.lower()
    return value if is_plain else text


def _change(key: str, value: Value | None) -> None:
    """Set a value of the file, or take it out for None, in one rename; comments and order stay.

    Raises:
        UsageError: the file is broken or cannot be written.
    """
    import tomlkit

    path = config_path()
    read_config(path)  # a broken file is not overwritten
    document = tomlkit.parse(path.read_text(encoding="utf-8-sig") if path.exists() else "")
    if value is None:
        del document[key]
    else:
        document[key] = value
    write_file(path, tomlkit.dumps(document), "ADASCALE_CONFIG names another file")
    now = f"{key} is {value}" if value is not None else f"{key} has its default again"
    say(f"adascale: {now} ({short_path(path)})")
