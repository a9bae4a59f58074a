"""How flags and arguments are declared, those that several commands share, and values that have a unit."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from adascale.engine.errors import UsageError, excerpt
from adascale.models.options import THINK_TOKENS

from . import completion

SERVER, MODELS, SEARCH, FILTERS = "Server", "Models", "Search", "Filters"
MACHINE, OUTPUT = "Machine", "Output"
PANELS = (None, SERVER, MODELS, SEARCH, FILTERS, MACHINE, OUTPUT)
"""Panels of a help page, in this order; what has none stands above them."""


def flag(panel: str | None, names: str, help_text: str, **more: Any) -> OptionInfo:
    """One flag.

    Args:
        panel: Where the help page shows it.
        names: Its names with spaces between, the long one first.
        help_text: One line.
        more: As ``typer.Option`` has it.
    """
    option = typer.Option(..., *names.split(), help=help_text, rich_help_panel=panel, **more)
    assert isinstance(option, OptionInfo)
    return option


def setting_flag(panel: str, names: str, help_text: str, **more: Any) -> OptionInfo:
    """A flag that has an environment variable too, and may stand in the config file."""
    option = flag(panel, names, help_text, **more)
    option.envvar = env(key_of(option).replace("-", "_").upper())
    return option


def env(name: str) -> str:
    """Name of an environment variable."""
    return f"ADASCALE_{name}"


def key_of(option: OptionInfo) -> str:
    """``gpu-layers`` of ``--gpu-layers``: its name in the config file."""
    assert option.param_decls
    return option.param_decls[0].partition("/")[0].lstrip("-")


OFFLINE = setting_flag(MACHINE, "--offline", "Never touch the network.")
OfflineOption = Annotated[bool, OFFLINE]
YES = setting_flag(MACHINE, "--yes -y", "Download without asking.")
YesOption = Annotated[bool, YES]
JSON = flag(OUTPUT, "--json", "Print one JSON object.")
JsonOption = Annotated[bool, JSON]
OVERWRITE = flag(OUTPUT, "--overwrite", "Replace a file that is there already.")
OverwriteOption = Annotated[bool, flag(None, "--overwrite", "Replace a file that is there already.")]
JsonLinesOption = Annotated[bool, flag(None, "--json", "Print JSON, one object a line.")]

TraceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TRACE]",
        help="A file written by --trace, or a kept run (adascale runs list); the last one unless given.",
        show_default=False,
        autocompletion=completion.traces,
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Its name or how that begins; the last one unless given.",
        autocompletion=completion.runs,
    ),
]

# Twelve digits: no number is longer than 64 bits.
_COUNT = re.compile(r"(\d{1,12}(?:\.\d+)?)([kKmM]?)")
_DURATION = re.compile(r"(\d{1,12}(?:\.\d+)?)(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parse_count(option: str, text: object) -> int:
    """``1500``, ``8k`` or ``1.5m`` as a positive integer."""
    if (value := _count(str(text))) <= 0:
        raise UsageError(
            f'{option} "{excerpt(str(text), 40)}" is not a number of tokens', hint=f"for example {option} 8k"
        )
    return value


def _count(text: str) -> int:
    """The integer; 0 where the text is none."""
    match = _COUNT.fullmatch(text.strip())
    return int(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()]) if match else 0


def parse_duration(option: str, text: object) -> float:
    """``90s``, ``5m`` or plain seconds as positive seconds."""
    if (value := parse_moment(option, text)) == 0:
        raise UsageError(f"{option} has to be greater than 0", hint=f"for example {option} 90s")
    return value


def parse_moment(option: str, text: object) -> float:
    """``90s``, ``5m`` or plain seconds as seconds from 0."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise UsageError(
            f'{option} "{excerpt(str(text), 40)}" is not a time', hint=f"for example {option} 90s"
        )
    return float(match[1]) * _SECONDS[match[2]]


def parse_think(text: object) -> int | None:
    """``off`` as 0, ``on`` as ``THINK_TOKENS``, ``auto`` as None, else the number of tokens."""
    text = str(text).strip()
    if text in (words := {"off": 0, "0": 0, "on": THINK_TOKENS, "auto": None}):
        return words[text]
    if (tokens := _count(text)) <= 0:
        raise UsageError(
            f'--think "{excerpt(text, 40)}" is not off, on, auto or a number of tokens', hint="--think 1024"
        )
    return tokens


def parse_gpu_layers(text: object) -> int | None:
    """``auto`` as None, ``all`` as -1, else the number."""
    text = str(text)
    if text in ("auto", "all"):
        return None if text == "auto" else -1
    if not re.fullmatch(r"-1|\d{1,9}", text):
        raise UsageError(
            f'--gpu-layers "{excerpt(text, 40)}" is not auto, all or a number', hint="--gpu-layers auto"
        )
    return int(text)
