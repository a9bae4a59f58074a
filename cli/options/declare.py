"""Declares flags and options of ``-o``, has those that several commands share, and parses units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from adascale.engine.errors import UsageError, excerpt


def flag(names: str, help_text: str, **more: Any) -> OptionInfo:
    """A flag of the command line.

    Args:
        names: Names of the flag, separated by spaces, the long one first.
        help_text: One line of help.
        more: Arguments of ``typer.Option``.
    """
    made = typer.Option(..., *names.split(), help=help_text, **{"show_default": False, **more})
    assert isinstance(made, OptionInfo)
    return made


def setting(names: str, help_text: str, **more: Any) -> OptionInfo:
    """A flag that an environment variable and the config file can set too; arguments as of ``flag``."""
    made = flag(names, help_text, show_envvar=False, **more)
    made.envvar = env(names.split()[0].partition("/")[0].lstrip("-"))
    return made


def option(help_text: str, *, name: str = "", unit: str = "", usual: str = "", **more: Any) -> OptionInfo:
    """A value that ``-o NAME VALUE``, an environment variable and the config file can set.

    Args:
        help_text: What it does.
        name: Name, where that of the field stands for something else too.
        unit: Unit or form of the value.
        usual: Default in words, where that of the field says too little.
        more: ``min``, ``max`` and ``parser``, as of ``typer.Option``.
    """
    return flag(name, help_text, metavar=unit or None, show_default=usual or True, **more)


def env(key: str) -> str:
    """Name of the environment variable of a key."""
    return f"ADASCALE_{key.replace('-', '_').upper()}"


OfflineOption = Annotated[bool, setting("--offline", "Do not use the network.")]
YesOption = Annotated[bool, setting("--yes -y", "Download models without asking.")]
JsonOption = Annotated[bool, flag("--json", "Print one JSON object.")]
JsonLinesOption = Annotated[bool, flag("--json", "Print JSON, one object a line.")]
OverwriteOption = Annotated[bool, flag("--overwrite", "Replace a file that is there already.")]

TraceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TRACE",
        help="File written by --trace, or a run that adascale runs list shows. The default is the last run.",
        show_default=False,
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="Name of a run, or its beginning. The default is the last run."),
]

# Twelve digits: no number is longer than 64 bits.
_DURATION = re.compile(r"(\d{1,12}(?:\.\d+)?)(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: object) -> float:
    """``90s``, ``5m`` or plain seconds as positive seconds.

    Raises:
        ValueError: it is none.
    """
    match = _DURATION.fullmatch(str(text).strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not seconds:
        raise ValueError(f"{_shown(text)} is not a time, such as 90s")
    return seconds


def word_or_number(words: Mapping[str, int | None], text: object) -> int | None:
    """The value of one of ``words``, or a whole number.

    Raises:
        ValueError: it is neither.
    """
    word = str(text).strip()
    if word in words:
        return words[word]
    if not re.fullmatch(r"\d{1,9}", word):
        raise ValueError(f"{_shown(text)} is not {', '.join(words)} or a number")
    return int(word)


def _shown(text: object) -> str:
    """A value in an error."""
    return excerpt(str(text), 40) or '""'


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
