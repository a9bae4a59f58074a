"""Declares flags and arguments, defines those that several commands share, and parses values with units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from adascale.engine.errors import UsageError, excerpt
from adascale.models.options import THINK_TOKENS

from . import completion


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of a help page; one without a name stands above the others."""

    name: str | None

    def flag(self, names: str, help_text: str, **more: Any) -> OptionInfo:
        """One flag.

        Args:
            names: Names of the flag, separated by spaces, the long one first.
            help_text: Help of the flag.
            more: Arguments of ``typer.Option``.
        """
        option = typer.Option(..., *names.split(), help=help_text, rich_help_panel=self.name, **more)
        assert isinstance(option, OptionInfo)
        return option

    def setting(self, names: str, help_text: str, **more: Any) -> OptionInfo:
        """A flag that can also be set by an environment variable and in the config file."""
        option = self.flag(names, help_text, **more)
        option.envvar = env(key_of(option).replace("-", "_").upper())
        return option


TOP, SERVER, MODELS, SEARCH = Panel(None), Panel("Server"), Panel("Models"), Panel("Search")
FILTERS, MACHINE, OUTPUT = Panel("Filters"), Panel("Machine"), Panel("Output")
PANELS = tuple(panel.name for panel in (TOP, SERVER, MODELS, SEARCH, FILTERS, MACHINE, OUTPUT))
"""Panels of a help page in their order."""


def env(name: str) -> str:
    """Name of an environment variable."""
    return f"ADASCALE_{name}"


def key_of(option: OptionInfo) -> str:
    """``gpu-layers`` of ``--gpu-layers``: its name in the config file."""
    assert option.param_decls
    return option.param_decls[0].partition("/")[0].lstrip("-")


OFFLINE = MACHINE.setting("--offline", "Do not use the network.")
OfflineOption = Annotated[bool, OFFLINE]
YES = MACHINE.setting("--yes -y", "Download models without asking.")
YesOption = Annotated[bool, YES]
JSON = OUTPUT.flag("--json", "Print one JSON object.")
JsonOption = Annotated[bool, JSON]
OVERWRITE = OUTPUT.flag("--overwrite", "Replace a file that is there already.")
OverwriteOption = Annotated[bool, TOP.flag("--overwrite", "Replace a file that is there already.")]
JsonLinesOption = Annotated[bool, TOP.flag("--json", "Print JSON, one object a line.")]

TraceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TRACE",
        help="File written by --trace, or a run that adascale runs list shows. The default is the last run.",
        show_default=False,
        autocompletion=completion.traces,
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Name of a run, or its beginning. The default is the last run.",
        autocompletion=completion.runs,
    ),
]

# Twelve digits: no number is longer than 64 bits.
_COUNT = re.compile(r"(\d{1,12}(?:\.\d+(?=[kKmM]))?)([kKmM]?)")
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
    """The integer; 0 if the text is not a number."""
    match = _COUNT.fullmatch(text.strip())
    return int(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()]) if match else 0


def parse_duration(option: str, text: object) -> float:
    """``90s``, ``5m`` or plain seconds as positive seconds."""
    if (value := parse_moment(option, text)) == 0:
        raise UsageError(f"{option} has to be greater than 0", hint=f"for example {option} 90s")
    return value


def parse_moment(option: str, text: object) -> float:
    """``90s``, ``5m`` or plain seconds as seconds; 0 is allowed."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise UsageError(
            f'{option} "{excerpt(str(text), 40)}" is not a time', hint=f"for example {option} 90s"
        )
    return float(match[1]) * _SECONDS[match[2]]


def parse_think(text: object) -> int | None:
    """``off`` as 0, ``on`` as ``THINK_TOKENS``, ``auto`` as None, or a number of tokens."""
    text = str(text).strip()
    if text in (words := {"off": 0, "0": 0, "on": THINK_TOKENS, "auto": None}):
        return words[text]
    if (tokens := _count(text)) <= 0:
        raise UsageError(
            f'--think "{excerpt(text, 40)}" is not off, on, auto or a number of tokens', hint="--think 1024"
        )
    return tokens


def parse_gpu_layers(text: object) -> int | None:
    """``auto`` as None, ``all`` as -1, or a number."""
    text = str(text)
    if text in ("auto", "all"):
        return None if text == "auto" else -1
    if not re.fullmatch(r"-1|\d{1,9}", text):
        raise UsageError(
            f'--gpu-layers "{excerpt(text, 40)}" is not auto, all or a number', hint="--gpu-layers auto"
        )
    return int(text)


def read_api_key(text: str, source: str) -> str:
    """An API key without the white space around it.

    Args:
        text: The key, perhaps the content of a file.
        source: The option or variable that sets it, as a user types it.

    Raises:
        UsageError: it is empty, or no HTTP header can carry it.
    """
    key = text.strip()
    if not key:
        raise UsageError("the API key is empty", hint=f"{source} with a key in it")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key has characters that no HTTP header carries", hint="a key of ASCII letters and digits"
        )
    return key
