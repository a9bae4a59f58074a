"""Settings: all that an environment variable or the config file can set, in one table, and how they are read.

What is typed overrides the environment, the environment overrides the file, the file overrides the default. A
setting with a flag is typed by it, each other one by ``-o NAME VALUE``.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.request import SearchRequest
from adascale.engine.strategies import STRATEGIES, Adapt, Adaptive, Effort, ModeChoice
from adascale.engine.strategies.presets import PRESETS
from adascale.engine.types import Budget, MessageKind, Notice, SamplingChange
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import (
    MAX_BRANCHES,
    THINK_TOKENS,
    FallbackOptions,
    QuestionFormat,
    SessionOptions,
)

from ..terminal.errors import show_warning, use_warnings
from ..terminal.text import short_path
from .command_line import Value, config_path, env

_DURATION = re.compile(r"(\d{1,12}(?:\.\d+)?)(ms|s|m|h|)")  # twelve digits: a number has at most 64 bits
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d{1,13}(?:\.\d{1,3})?)([mb]?)", re.IGNORECASE)
_PARAMETERS = {"m": 1e6, "b": 1e9, "": 1}


def _quoted(text: object) -> str:
    return excerpt(str(text), 40) or '""'


def parse_duration(text: object) -> float:
    """``90s``, ``5m`` or plain seconds as positive seconds.

    Raises:
        ValueError: it is none.
    """
    match = _DURATION.fullmatch(str(text).strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not seconds:
        raise ValueError(f"{_quoted(text)} is not a time, such as 90s")
    return seconds


def _keep_alive(text: object) -> float:
    return 0.0 if str(text).strip() in ("0", "0.0") else parse_duration(text)


def parse_size(text: object) -> int:
    """``4B``, ``1.5b``, ``135M`` or a plain count as parameters of a model.

    Raises:
        ValueError: it is none.
    """
    match = _SIZE.fullmatch(str(text).strip())
    count = round(float(match[1]) * _PARAMETERS[match[2].lower()]) if match else 0
    if count < 1e5:
        raise ValueError(f"{_quoted(text)} is no size of a model, such as 4B")
    return count


def _word_or_number(words: Mapping[str, int | None], text: object) -> int | None:
    word = str(text).strip()
    if word not in words and not re.fullmatch(r"\d{1,9}", word):
        raise ValueError(f"{_quoted(text)} is not {', '.join(words)} or a number")
    return words[word] if word in words else int(word)


_OF_A_KIND = {each.name for presets in PRESETS.values() for each in presets.values()} - {Adaptive.name}
"""Strategies that the kind of a question chooses, and no user."""

_STRATEGIES = [name for name in STRATEGIES if name not in _OF_A_KIND]


def _strategy_name(text: object) -> object:
    if text not in _STRATEGIES:
        raise ValueError(f"{_quoted(text)} is not one of {', '.join(_STRATEGIES)}")
    return text


def _of_efforts(name: str) -> str:
    values = (f"{getattr(preset, name):g}" for preset in PRESETS["values"].values())
    return "by effort: " + ", ".join(values)


@dataclass(frozen=True, slots=True)
class Row:
    """How a setting is typed and shown.

    Attributes:
        help: What it does.
        flags: Its flags; empty for a name of ``-o``.
        unit: Unit or form of the value; empty for a flag without one.
        usual: Default in words, if the field's default explains too little.
    """

    help: str
    flags: str = ""
    unit: str = "N"
    usual: str = ""


_Duration = BeforeValidator(parse_duration)
_Probability = Field(ge=0.0, le=1.0)
_Few = Field(ge=1, le=64)
_CALIBRATED = "{}, or the calibration's"
_OTHER = FallbackOptions()


class Settings(BaseModel):
    """The settings of a command. No file or variable sets a field without a ``Row``."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    says_how: bool = False
    """An option sets how to search, not only how hard; then no message gets a plain reply."""
    quiet: int = 0
    verbose: int = 0
    system: str = ""
    kind: MessageKind | None = None
    choices: Annotated[tuple[str, ...], BeforeValidator(lambda text: text.split(","))] = ()
    fallback: str | None = None
    unsandboxed: bool = False

    model: Annotated[
        str,
        Row(
            "Name in adascale list, ollama:NAME, hf:user/repo:QUANT, file, or http://HOST:PORT#NAME of a "
            "server.",
            "--model -m",
            "MODEL",
        ),
    ] = DEFAULT_GENERATOR
    prm: Annotated[
        str, Row("Judge of steps: probe, self, none, or a PRM (NAME, FORMAT=PATH).", "--prm", "PRM")
    ] = "probe"
    calibration: Annotated[
        str, Row("What turns scores into probabilities.", "--calibration", "auto|none|FILE")
    ] = "auto"
    think: Annotated[
        int | None,
        BeforeValidator(partial(_word_or_number, {"off": 0, "on": THINK_TOKENS, "auto": None})),
        Row("How long to think before each solution.", "--think", "off|on|auto|TOKENS", "off"),
    ] = 0
    offline: Annotated[bool, Row("Do not use the network.", "--offline", "")] = False
    yes: Annotated[bool, Row("Download models without asking.", "--yes -y", "")] = False
    strategy: Annotated[
        str,
        BeforeValidator(_strategy_name),
        Row(f"Search strategy: {', '.join(_STRATEGIES)}.", "--strategy", "NAME"),
    ] = Adaptive.name
    effort: Annotated[
        Effort,
        Row(
            "How sure to be before stopping: low, medium, high or max; texts get one reply at any.",
            "--effort -e",
            "EFFORT",
        ),
    ] = "medium"
    mode: Annotated[ModeChoice, Row("How solutions reason.", "--mode", "auto|prose|program")] = "auto"
    time_limit: Annotated[
        float | None,
        _Duration,
        Row("Time for a question, such as 90s or 5m, after loading.", "--time-limit", "TIME", "no limit"),
    ] = None
    seed: Annotated[
        int | None,
        Field(ge=0, lt=1 << 31),  # a random one has 31 bits
        Row("Seed of sampling; random by default.", "--seed"),
    ] = None
    show_tree: Annotated[bool, Row("Show the search tree.", "--show-tree -T", "")] = False
    save: Annotated[bool, Row("Keep the search for adascale replay.", "--save/--no-save", "")] = True
    host: Annotated[
        str, Row("Address to listen on; others than loopback need an API key.", "--host", "HOST")
    ] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535), Row("Port to listen on; 0 takes a free one.", "--port -p")
    ] = 8321
    api_key_file: Annotated[Path | None, Row("File that holds the API key.", "--api-key-file", "FILE")] = None

    adapt: Annotated[
        Adapt,
        Row("Rule of the paper that chooses a number: n of best-of-n, k, m or both of a beam.", unit="RULE"),
    ] = "none"
    beams: Annotated[int | None, _Few, Row("Prefixes that a beam keeps.", usual="4")] = None
    branching: Annotated[int | None, _Few, Row("Continuations of each kept prefix of a beam.", usual="4")] = (
        None
    )
    budget: Annotated[
        int | None,
        Field(ge=1),
        Row(
            "Generated tokens of a question; its first solution is finished even beyond them.",
            unit="tokens",
            usual="no limit",
        ),
    ] = None
    confidence: Annotated[
        float | None,
        Field(ge=0.01, le=0.9999),
        Row(
            "Target of the paper's rules (adapt): the probability that at least one solution is correct.",
            usual="0.99",
        ),
    ] = None
    ctx_size: Annotated[
        int | None,
        Field(ge=512),
        Row(
            "Context of one solution: question, thinking and solution together.",
            unit="tokens",
            usual="2048 plus --think; 8192 in chat, serve",
        ),
    ] = None
    fallback_below: Annotated[
        float, _Probability, Row("Probability below which a question goes to the server of --fallback.")
    ] = _OTHER.below
    fallback_calls: Annotated[
        int, Field(ge=1), Row("Calls of that server per day, of all commands together.")
    ] = _OTHER.calls
    fallback_seconds: Annotated[
        float,
        _Duration,
        Row(
            "Time for such a call; after it, the answer of your own model stays.",
            unit="time, such as 90s",
            usual="60s",
        ),
    ] = _OTHER.seconds
    force: Annotated[
        bool, Row("Load the models even if there seems to be too little memory.", unit="true|false")
    ] = False
    format: Annotated[
        QuestionFormat,
        Row(
            "batch: form of the questions; auto goes by the name of the file, or by each line.",
            unit="auto|jsonl|csv|text",
        ),
    ] = "auto"
    gpu_layers: Annotated[
        int | None,
        BeforeValidator(partial(_word_or_number, {"auto": None, "all": -1})),
        Row("Layers to load onto the GPU.", unit="auto, all or a number", usual="auto"),
    ] = None
    keep_alive: Annotated[
        float,
        BeforeValidator(_keep_alive),
        Row(
            "ask, chat and code: how long the model stays loaded for the next one, with its memory.",
            unit="time, such as 5m, or 0",
            usual="0",
        ),
    ] = 0.0
    lead: Annotated[
        int | None,
        _Few,
        Row("Votes by which an answer of adaptive leads at the end.", usual=_of_efforts("lead")),
    ] = None
    max_tokens: Annotated[
        int | None,
        Field(ge=1),
        Row(
            "Length of one solution (choices 320, facts 128, JSON 1024); one that is cut has no answer.",
            unit="tokens",
            usual=_CALIBRATED.format("768"),
        ),
    ] = None
    min_confidence: Annotated[
        float,
        _Probability,
        Row("Probability below which an answer has status low_confidence, and ask exits with code 3."),
    ] = 0.0
    parallel: Annotated[
        int, Field(ge=1, le=256), Row("serve and mcp: questions that are searched at the same time.")
    ] = 8
    ray: Annotated[
        str | None,
        Row("batch: Ray cluster, on all of whose nodes to run.", unit="ADDRESS or auto", usual="none"),
    ] = None
    samples: Annotated[
        int | None,
        Field(ge=1, le=1024),
        Row(
            "Solutions or programs of a question; at most so many if adaptive decides.",
            usual=_of_efforts("samples"),
        ),
    ] = None
    size: Annotated[
        int | None,
        BeforeValidator(parse_size),
        Row(
            "Parameters of a server's model, from which its probabilities begin.",
            unit="parameters, such as 4B",
            usual="as the server says",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        Field(ge=0.01, le=5.0),
        Row("Sampling temperature; higher values give more varied solutions.", usual=_CALIBRATED.format(0.8)),
    ] = None
    threads: Annotated[int | None, Field(ge=1, le=512), Row("CPU threads.", usual="physical cores")] = None
    top_p: Annotated[
        float | None,
        Field(ge=0.01, le=1.0),
        Row(
            "Sample from the likeliest tokens that have this probability together.",
            usual=_CALIBRATED.format(0.95),
        ),
    ] = None
    width: Annotated[
        int | None,
        Field(ge=1, le=MAX_BRANCHES),
        Row(
            "Solutions of a question that run side by side.",
            usual="what is fastest on this machine; 4 at most in a batch",
        ),
    ] = None

    def session(self, **own: Any) -> SessionOptions:
        """How models are opened; a command's own values come before the settings."""
        names = "size", "prm", "calibration", "system", "think", *MACHINE, "offline", "force", "unsandboxed"
        session = SessionOptions(
            generator=self.model,
            sampling=SamplingChange(self.temperature, top_p=self.top_p, max_tokens=self.max_tokens),
            **{name: getattr(self, name) for name in names},
        )
        return replace(session, **own)

    def search(self, **own: Any) -> SearchRequest:
        """How a question is searched, with the command's own values."""
        names = *HOW, "effort", "seed", "width", "min_confidence"
        budget = Budget(self.budget, self.time_limit)
        return SearchRequest(budget=budget, **{name: getattr(self, name) for name in names} | own)

    def other_server(self) -> FallbackOptions:
        """Another server, and the questions that are for it."""
        return FallbackOptions(self.fallback, self.fallback_below, self.fallback_calls, self.fallback_seconds)


ROWS: Mapping[str, Row] = {
    name: row for name, info in Settings.model_fields.items() for row in info.metadata if isinstance(row, Row)
}
"""Settings that the environment and the file can set, by the name of their field."""

MACHINE = ("ctx_size", "threads", "gpu_layers")
SESSION = (*MACHINE, "size", "force", "temperature", "top_p", "max_tokens")
STRATEGY = ("samples", "beams", "branching", "lead", "confidence", "adapt")
SEARCH = (*STRATEGY, "budget", "width", "min_confidence")
FALLBACK = ("fallback_below", "fallback_calls", "fallback_seconds")
"""Names of ``-o`` that several commands have."""

HOW = (*STRATEGY, "strategy", "mode", "kind", "choices")
"""Options that set how a question is searched, not only how hard."""


def key_of(name: str) -> str:
    """The key of a setting in the config file: its flag without dashes, or its name of ``-o``."""
    return name.replace("_", "-") if ROWS[name].flags else name


KEYS: Mapping[str, str] = {key_of(name): name for name in sorted(ROWS)}
"""Fields by key."""


def typed_as(name: str) -> str:
    """A setting as it is typed: ``--model``, ``-o ctx_size``."""
    return f"--{key_of(name)}" if ROWS[name].flags else f"-o {name}"


Sourced = Mapping[str, tuple[Any, str]]
"""Values by the names of fields, each with its source, as an error names it."""


def typed_values(context: typer.Context, names: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Values on the command line.

    Args:
        context: The command that runs.
        names: Names that its ``-o`` takes.

    Raises:
        UsageError: another name was typed.
    """
    typed = {
        str(each.name): (context.params[str(each.name)], each.opts[0])
        for each in context.command.params
        if getattr(context.get_parameter_source(str(each.name)), "name", "") == "COMMANDLINE"
    }
    pairs, _ = typed.pop("option", ((), ""))
    for name, value in pairs:
        if name not in names:
            others = {key_of(each): each for each in ROWS if each in (*names, *context.params)}
            near = difflib.get_close_matches(name, others, 1, 0.7)
            hint = f"{typed_as(others[near[0]])} {value}" if near else "adascale config --all lists the names"
            raise UsageError(f"{context.command_path} has no -o {excerpt(name, 40)}", hint=hint)
        typed[name] = value, typed_as(name)
    return {name: value for name, value in typed.items() if name in Settings.model_fields}


def read_settings(context: typer.Context, *names: str) -> Settings:
    """The settings of a command; all others keep their default.

    Args:
        context: The command that runs.
        names: Names that its ``-o`` takes.

    Raises:
        UsageError: another name was typed, or a value is refused.
    """
    typed = typed_values(context, names)
    stored = {
        name: (value, f"{key_of(name)} from the {origin}")
        for name, (value, origin) in stored_values(context.obj or {}).items()
        if name in (*names, *context.params)
    }
    settings = checked({**stored, **typed, "says_how": (not typed.keys().isdisjoint(HOW), "")})
    use_warnings(settings.quiet < 2)
    return settings


def stored_values(config: Mapping[str, Value]) -> dict[str, tuple[Value, str]]:
    """Values of the environment and of the file, each with its origin, by the names of fields."""
    values: dict[str, tuple[Value, str]] = {}
    for key, name in KEYS.items():
        if text := os.environ.get(env(key)):
            values[name] = text, f"environment ({env(key)})"
        elif key in config:
            values[name] = config[key], f"file ({short_path(config_path())})"
    return values


def checked(values: Sourced) -> Settings:
    """Settings with these values, which are texts or as the file has them.

    Raises:
        UsageError: a value is refused.
    """
    try:
        return Settings(**{name: value for name, (value, _) in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
        message = f"{values[str(first['loc'][0])][1]} {reason}"
        raise UsageError(message, hint="adascale config --all lists the ranges") from error


def warn_unknown(config: Mapping[str, Value]) -> None:
    """Warn of keys of the file that are not settings."""
    for key in config.keys() - KEYS.keys():
        text = f"{config_path()}: {excerpt(key)} is no setting, and is ignored"
        show_warning(Notice("unknown-setting", text, hint=suggestion(key)))


def suggestion(key: str) -> str:
    """The hint for an unknown key: the most similar setting."""
    near = difflib.get_close_matches(key, KEYS, 1, 0.7)
    return f"did you mean {near[0]}?" if near else "adascale config --all lists them"
