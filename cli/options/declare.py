"""How a flag is declared: its names, its panel on the help page, and whether it is a setting too."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.models import OptionInfo

MODELS, SEARCH, MACHINE, OUTPUT = "Models", "Search", "Machine", "Output"
PANELS = (None, MODELS, SEARCH, MACHINE, OUTPUT)
"""Panels of a help page, in this order; what has none stands above them."""


def env(name: str) -> str:
    """Name of an environment variable."""
    return f"ADASCALE_{name}"


def flag(*names: str, panel: str | None = None, setting: bool = False, **more: Any) -> OptionInfo:
    """One flag.

    Args:
        names: Its names, the long one first.
        panel: Where the help page shows it.
        setting: It has an environment variable, and may stand in the config file.
        more: As ``typer.Option`` has it.
    """
    option = typer.Option(..., *names, rich_help_panel=panel, **more)
    assert isinstance(option, OptionInfo)
    if setting:
        option.envvar = env(key_of(option).replace("-", "_").upper())
    return option


def key_of(option: OptionInfo) -> str:
    """``gpu-layers`` of ``--gpu-layers``: its name in the config file."""
    assert option.param_decls
    return option.param_decls[0].partition("/")[0].lstrip("-")


JSON = flag("--json", panel=OUTPUT, help="Print one JSON object.")
JsonOption = Annotated[bool, JSON]
JsonLinesOption = Annotated[bool, flag("--json", help="Print JSON, one object a line.")]
