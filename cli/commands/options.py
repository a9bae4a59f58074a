"""``adascale options``: what ``-o NAME VALUE`` can set."""

from __future__ import annotations

from typing import Any

from ..options.declare import JsonOption
from ..options.settings import Setting, commands_with, keys, value_text
from ..terminal.console import write_json, write_payload
from ..terminal.text import columns

SCHEMA = "adascale.options/1"


def options(json_output: JsonOption = False) -> None:
    """List the names of -o, with their ranges, units and defaults.

    adascale options
    adascale ask -o temperature 0.5 -o ctx_size 8192 "What is 17 * 23?"
    adascale config set ctx_size 8192

    adascale config sets them for all commands; so does an environment variable, such as ADASCALE_CTX_SIZE.
    """
    found = [setting for setting in keys().values() if not setting.is_flag]
    if json_output:
        write_json({"schema": SCHEMA, "options": [_described(setting) for setting in found]})
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
