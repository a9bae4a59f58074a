"""The flags, and the options of ``-o``, of objects that the engine and the models define.

Their types and defaults stand with them; objects of the command line have theirs in their fields' types.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from typer.models import OptionInfo

from adascale.engine.strategies import EFFORTS, PAPER_TEMPERATURE, Preset, StrategyOverrides
from adascale.engine.types import Budget, KindName
from adascale.models.options import THINK_TOKENS, FallbackOptions, SamplingOverrides, SessionOptions

from .declare import (
    flag,
    option,
    parse_duration,
    setting,
    word_or_number,
)


def of_efforts(name: str, kind: KindName = "value") -> str:
    """The default of a number that the effort sets."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS[kind].values())
    return "by effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


def _as_fitted(usual: str) -> str:
    """The default of a sampling parameter."""
    return f"{usual}, or that of the calibration"


MODEL = setting(
    "--model -m", "Name in adascale list, ollama:NAME, hf:user/repo:QUANT or file.", metavar="MODEL"
)
EFFORT = setting("--effort -e", "How sure to be before stopping: low, medium, high or max.", metavar="EFFORT")

ModelOption = Annotated[str, MODEL]

FLAGS: Mapping[type[Any], Mapping[str, OptionInfo]] = {
    SessionOptions: {
        "generator": MODEL,
        "prm": setting(
            "--prm", "Judge of steps: probe, self, none, or a PRM (NAME, FORMAT=PATH).", metavar="PRM"
        ),
        "calibration": setting(
            "--calibration", "What turns scores into probabilities.", metavar="auto|none|FILE"
        ),
        "system": flag("--system -s", "System prompt instead of the built-in one.", metavar="TEXT"),
        "think": setting(
            "--think",
            "How long to think before each solution.",
            metavar="off|on|auto|TOKENS",
            parser=partial(word_or_number, {"off": 0, "on": THINK_TOKENS, "auto": None}),
        ),
        "offline": setting("--offline", "Do not use the network."),
        "ctx_size": option(
            "Context of one solution: question, thinking and solution together.",
            unit="tokens",
            min=512,
            usual="2048 plus --think; 8192 in chat, serve",
        ),
        "threads": option("CPU threads.", min=1, max=512, usual="physical cores"),
        "gpu_layers": option(
            "Layers to load onto the GPU.",
            unit="auto, all or a number",
            parser=partial(word_or_number, {"auto": None, "all": -1}),
            usual="auto",
        ),
        "force": option("Load the models even if there seems to be too little memory."),
    },
    SamplingOverrides: {
        "temperature": option(
            "Sampling temperature; higher values give more varied solutions.",
            min=0.01,
            max=5.0,
            usual=_as_fitted("0.8"),
        ),
        "top_p": option(
            "Sample from the likeliest tokens that have this probability together.",
            min=0.01,
            max=1.0,
            usual=_as_fitted("0.95"),
        ),
        "min_p": option(
            "Drop tokens that are less likely than this share of the likeliest one; 0 drops none.",
            min=0.0,
            max=0.99,
            usual=_as_fitted("0"),
        ),
        "max_tokens": option(
            "Length of one solution (choices 320, facts 128, JSON 1024); one that is cut has no answer.",
            unit="tokens",
            min=1,
            usual=_as_fitted("768"),
        ),
    },
    Budget: {
        "max_tokens": option(
            "Generated tokens of a question; its first solution is finished even beyond them.",
            name="budget",
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
    Preset: {
        "effort": EFFORT,
        "paper": option(
            f"64 solutions, beams of 8 by 8 pruned every 5 steps, temperature {PAPER_TEMPERATURE:g}."
        ),
    },
    StrategyOverrides: {
        "samples": option(
            "Solutions or programs of a question; at most so many where adaptive decides.",
            min=1,
            max=1024,
            usual=of_efforts("samples"),
        ),
        "beams": option("Prefixes that a beam keeps.", min=1, max=64, usual="4"),
        "branching": option("Continuations of each kept prefix of a beam.", min=1, max=64, usual="4"),
        "lead": option(
            "Votes by which an answer of adaptive leads at the end.", min=1, max=64, usual=of_efforts("lead")
        ),
        "confidence": option(
            "Target of the paper's rules (adapt): the probability that at least one solution is correct.",
            min=0.01,
            max=0.9999,
            usual="0.99",
        ),
    },
    FallbackOptions: {
        "url": flag(
            "--fallback",
            "OpenAI-compatible server for questions without a likely answer.",
            metavar="URL",
        ),
        "below": option(
            "Probability below which a question goes to the server of --fallback.",
            name="fallback_below",
            min=0.0,
            max=1.0,
        ),
        "model": option("Model of that server.", name="fallback_model", usual="the server's choice"),
        "key_file": option(
            "File with the API key of that server.", name="fallback_key_file", usual="ADASCALE_FALLBACK_KEY"
        ),
        "calls": option(
            "Calls of that server per day, of all commands together.", name="fallback_calls", min=1
        ),
        "seconds": option(
            "Time for such a call; after it, the answer of your own model stays.",
            name="fallback_seconds",
            unit="time, such as 90s",
            parser=parse_duration,
            usual="60s",
        ),
    },
}
