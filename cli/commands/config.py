"""``adascale config``: what can be set, and defaults in a file."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from adascale.engine.errors import UsageError

from ..disk.files import NAMES_FILES, with_absolute_path, write_file
from ..options.command_line import config_path, read_config, suggestion, warn_unknown, why_refused
from ..options.declare import AllOption, JsonOption
from ..options.settings import Listing, Value, keys
from ..terminal.lines import short_path, wrapped
from ..terminal.streams import say, write_json, write_payload
from ..terminal.text import columns


class _Settings(Listing):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed.

        Raises:
            UsageError: a setting stands in its place.
        """
        if args[0] in keys():
            typed = shlex.join([args[0], *(args[1:] or ["VALUE"])])
            raise UsageError(f"{args[0]} is a setting", hint=f"adascale config set {typed}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Settings,
    help="List what is set, with --all what can be, and set defaults in a file.\n\n"
    "adascale config --all\nadascale config set ctx_size 8192\n\n"
    "The command line comes before environment variables, such as ADASCALE_CTX_SIZE, and these before the "
    "file.",
)

SCHEMA = "adascale.config/1"


@app.command("list")
def list_(context: typer.Context, all_: AllOption = False, json_output: JsonOption = False) -> None:
    """List what is set, or all that can be, with its default.

    adascale config list
    adascale config --all
    """
    path = config_path()
    config = read_config(path)
    warn_unknown(config, path)
    rows: list[dict[str, Any]] = []
    groups: dict[bool, list[str]] = {False: [], True: []}
    for key, setting in keys().items():
        value, origin = config.get(key), f"file ({short_path(path)})"
        if in_environment := os.environ.get(str(setting.envvar)):
            value, origin = in_environment, f"environment ({setting.envvar})"
        words, usual = setting.show_default, setting.default
        default = words if isinstance(words, str) else usual if isinstance(usual, Value) else None
        value, origin = (default, "default") if value is None else (value, origin)
        rows.append({"key": key, "value": value, "origin": origin, "default": default, "help": setting.help})
        setting.hidden, setting.show_default = False, words or True
        typed, does = setting.get_help_record(context) or ("", "")
        now = "" if origin == "default" else f"    {value}, from {origin}"
        groups[setting.opts[0].startswith("-o ")].append(f"{typed}{now}\n    {does}")
    if json_output:
        write_json({"schema": SCHEMA, "path": str(path), "settings": rows})
    elif all_:
        write_payload(wrapped("\n\n".join(map("\n".join, groups.values())), sys.stdout))
    else:
        known = [(row["key"], str(row["value"]), row["origin"]) for row in rows if row["origin"] != "default"]
        if known:
            write_payload(columns(known, "<<<"))
        say(f"adascale: {len(known)} of {len(rows)} settings are set; adascale config --all lists them all")


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
        raise UsageError(f"{key} is not set in {path}", hint="adascale config lists what is")
    _change(key, None)


def parse_value(key: str, text: str) -> Value:
    """A value for the TOML file, checked by its setting.

    Raises:
        UsageError: no setting has this name, or the value is refused.
        ModelNotFoundError: no model has this name.
    """
    if (setting := keys().get(key)) is None:
        raise UsageError(f"{key} is no setting", hint=suggestion(key))
    try:
        value = setting.process_value(None, text)  # type: ignore[arg-type]  # it heeds no context
    except TyperException as error:
        raise UsageError(
            f"{key} {why_refused(error)}", hint="adascale config --all says what each takes"
        ) from error
    if key in NAMES_FILES:
        return with_absolute_path(key, text)
    if isinstance(value, Path):
        return str(value.absolute())
    # What has a unit stays as it was written, such as 90s.
    has_unit = setting.type_descriptor.parameter_info.parser is not None
    return value if isinstance(value, bool | int | float) and not has_unit else text


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
    write_file(path, tomlkit.dumps(document).encode(), "ADASCALE_CONFIG names another file")
    now = f"{key} is {value}" if value is not None else f"{key} has its default again"
    say(f"adascale: {now} ({short_path(path)})")
