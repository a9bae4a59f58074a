"""Declares flags and options of ``-o``, has those that several commands share, and parses units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from adascale.engine.errors import excerpt
from adascale.engine.request import SearchRequest
from adascale.engine.strategies import EFFORTS, STRATEGIES, Adaptive
from adascale.engine.types import Budget, KindName
from adascale.models.options import (
    MAX_BRANCHES,
    THINK_TOKENS,
    FallbackOptions,
    SamplingOverrides,
    SessionOptions,
)


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


def option(name: str, help_text: str, *, unit: str = "", usual: str = "", **more: Any) -> OptionInfo:
    """A value that ``-o NAME VALUE``, an environment variable and the config file can set.

    Args:
        name: Its name.
        help_text: What it does.
        unit: Unit or form of the value.
        usual: Default in words, where that of the field says too little.
        more: ``min``, ``max`` and ``parser``, as of ``typer.Option``.
    """
    made = flag(
        "",
        help_text,
        metavar=unit or None,
        show_default=usual or True,
        hidden=True,
        show_envvar=False,
        **more,
    )
    made.param_decls, made.envvar = (f"-o {name}",), env(name)
    return made


def env(key: str) -> str:
    """Name of the environment variable of a key."""
    return f"ADASCALE_{key.replace('-', '_').upper()}"


SEEDS = (1 << 31) - 1
"""Largest seed; a random one has 31 bits."""

OFFLINE = setting("--offline", "Do not use the network.")
OfflineOption = Annotated[bool, OFFLINE]
YesOption = Annotated[bool, setting("--yes -y", "Download models without asking.")]
JsonOption = Annotated[bool, flag("--json", "Print one JSON object.")]
JsonLinesOption = Annotated[bool, flag("--json", "Print JSON, one object a line.")]
AllOption = Annotated[bool, flag("--all", "List all that there is.")]
OverwriteOption = Annotated[bool, flag("--overwrite", "Replace a file that is there already.")]

TraceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TRACE",
        help="Run that adascale runs list shows, or the file of one. The default is the last run.",
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
        raise ValueError(f"{shown(text)} is not a time, such as 90s")
    return seconds


def parse_keep_alive(text: object) -> float:
    """``5m``, or 0; errors as of ``parse_duration``."""
    return 0.0 if str(text).strip() in ("0", "0.0") else parse_duration(text)


def word_or_number(words: Mapping[str, int | None], text: object) -> int | None:
    """The value of one of ``words``, or a whole number.

    Raises:
        ValueError: it is neither.
    """
    word = str(text).strip()
    if word in words:
        return words[word]
    if not re.fullmatch(r"\d{1,9}", word):
        raise ValueError(f"{shown(text)} is not {', '.join(words)} or a number")
    return int(word)


def shown(text: object) -> str:
    """A value in an error."""
    return excerpt(str(text), 40) or '""'


def of_efforts(name: str, kind: KindName = "value") -> str:
    """The default of a number that the effort sets."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS[kind].values())
    return "by effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


_OF_A_KIND = {each.name for presets in EFFORTS.values() for each in presets.values()} - {Adaptive.name}
"""Strategies that the kind of a question chooses, and no user."""

_CHOSEN = [name for name in STRATEGIES if name not in _OF_A_KIND]


def _strategy_name(text: str) -> str:
    if text not in _CHOSEN:
        raise ValueError(f"{shown(text)} is not one of {', '.join(_CHOSEN)}")
    return text


def _comma_separated(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.split(",")) if isinstance(text, str) else text  # the default


def _as_fitted(usual: str) -> str:
    """The default of a sampling parameter."""
    return f"{usual}, or that of the calibration"


_SIZE = re.compile(r"(\d{1,13}(?:\.\d{1,3})?)([mb]?)", re.IGNORECASE)


def parse_size(text: object) -> int:
    """``4B``, ``1.5b``, ``135M`` or a plain count as parameters of a model.

    Raises:
        ValueError: it is none.
    """
    match = _SIZE.fullmatch(str(text).strip())
    count = round(float(match[1]) * {"m": 1e6, "b": 1e9, "": 1}[match[2].lower()]) if match else 0
    if count < 1e5:
        raise ValueError(f"{shown(text)} is no size of a model, such as 4B")
    return count


MODEL = setting(
    "--model -m",
    "Name in adascale list, ollama:NAME, hf:user/repo:QUANT, file, or http://HOST:PORT#NAME of a server.",
    metavar="MODEL",
)
ModelOption = Annotated[str, MODEL]

FLAGS: Mapping[type[Any], Mapping[str, OptionInfo]] = {
    SessionOptions: {
        "generator": MODEL,
        "size": option(
            "size",
            "Parameters of a server's model, from which its probabilities begin.",
            unit="parameters, such as 4B",
            parser=parse_size,
            usual="as the server says",
        ),
        "prm": setting(
            "--prm", "Judge of steps: probe, self, none, or a PRM (NAME, FORMAT=PATH).", metavar="PRM"
        ),
        "calibration": setting(
            "--calibration", "What turns scores into probabilities.", metavar="auto|none|FILE"
        ),
        "system": flag("--system -s", "System prompt, below the built-in one.", metavar="TEXT"),
        "think": setting(
            "--think",
            "How long to think before each solution.",
            metavar="off|on|auto|TOKENS",
            parser=partial(word_or_number, {"off": 0, "on": THINK_TOKENS, "auto": None}),
        ),
        "offline": OFFLINE,
        "ctx_size": option(
            "ctx_size",
            "Context of one solution: question, thinking and solution together.",
            unit="tokens",
            min=512,
            usual="2048 plus --think; 8192 in chat, serve",
        ),
        "threads": option("threads", "CPU threads.", min=1, max=512, usual="physical cores"),
        "gpu_layers": option(
            "gpu_layers",
            "Layers to load onto the GPU.",
            unit="auto, all or a number",
            parser=partial(word_or_number, {"auto": None, "all": -1}),
            usual="auto",
        ),
        "force": option("force", "Load the models even if there seems to be too little memory."),
    },
    SamplingOverrides: {
        "temperature": option(
            "temperature",
            "Sampling temperature; higher values give more varied solutions.",
            min=0.01,
            max=5.0,
            usual=_as_fitted("0.8"),
        ),
        "top_p": option(
            "top_p",
            "Sample from the likeliest tokens that have this probability together.",
            min=0.01,
            max=1.0,
            usual=_as_fitted("0.95"),
        ),
        "max_tokens": option(
            "max_tokens",
            "Length of one solution (choices 320, facts 128, JSON 1024); one that is cut has no answer.",
            unit="tokens",
            min=1,
            usual=_as_fitted("768"),
        ),
    },
    Budget: {
        "max_tokens": option(
            "budget",
            "Generated tokens of a question; its first solution is finished even beyond them.",
            unit="tokens",
            min=1,
            usual="no limit",
        ),
        "max_seconds": setting(
            "--time-limit",
            "Time for a question, such as 90s or 5m, after loading.",
            metavar="TIME",
            parser=parse_duration,
        ),
    },
    SearchRequest: {
        "kind": flag("--as", "Kind of question: value, date, choice, yes-no, fact or text.", metavar="KIND"),
        "choices": flag(
            "--choices", "Options to choose from: red,green,blue.", metavar="A,B,C", parser=_comma_separated
        ),
        "strategy": setting(
            "--strategy", f"Search strategy: {', '.join(_CHOSEN)}.", metavar="NAME", parser=_strategy_name
        ),
        "effort": setting(
            "--effort -e",
            "How sure to be before stopping: low, medium, high or max; texts get one reply at any.",
            metavar="EFFORT",
        ),
        "mode": setting("--mode", "How solutions reason.", metavar="auto|prose|program"),
        "samples": option(
            "samples",
            "Solutions or programs of a question; at most so many where adaptive decides.",
            min=1,
            max=1024,
            usual=of_efforts("samples"),
        ),
        "beams": option("beams", "Prefixes that a beam keeps.", min=1, max=64, usual="4"),
        "branching": option(
            "branching", "Continuations of each kept prefix of a beam.", min=1, max=64, usual="4"
        ),
        "lead": option(
            "lead",
            "Votes by which an answer of adaptive leads at the end.",
            min=1,
            max=64,
            usual=of_efforts("lead"),
        ),
        "confidence": option(
            "confidence",
            "Target of the paper's rules (adapt): the probability that at least one solution is correct.",
            min=0.01,
            max=0.9999,
            usual="0.99",
        ),
        "adapt": option(
            "adapt", "Rule of the paper that chooses a number: n of best-of-n, k, m or both of a beam."
        ),
        "seed": setting("--seed", "Seed of sampling; random by default.", metavar="N", min=0, max=SEEDS),
        "width": option(
            "width",
            "Solutions of a question that run side by side.",
            min=1,
            max=MAX_BRANCHES,
            usual="what is fastest on this machine; 4 at most in a batch",
        ),
        "min_confidence": option(
            "min_confidence",
            "Probability below which an answer has status low_confidence, and ask exits with code 3.",
            min=0.0,
            max=1.0,
        ),
    },
    FallbackOptions: {
        "url": flag(
            "--fallback",
            "Server for questions without a likely answer: http://HOST:PORT#NAME.",
            metavar="URL",
        ),
        "below": option(
            "fallback_below",
            "Probability below which a question goes to the server of --fallback.",
            min=0.0,
            max=1.0,
        ),
        "calls": option("fallback_calls", "Calls of that server per day, of all commands together.", min=1),
        "seconds": option(
            "fallback_seconds",
            "Time for such a call; after it, the answer of your own model stays.",
            unit="time, such as 90s",
            parser=parse_duration,
            usual="60s",
        ),
    },
}
