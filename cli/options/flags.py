"""The flags of objects that the engine and the models define: ``FLAGS[dataclass][field]``.

Their types and defaults stand with them; objects of the command line have the flags in their fields' types.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from typer.models import OptionInfo

from adascale.engine.strategies import EFFORTS, PAPER_TEMPERATURE, Preset, StrategyOverrides
from adascale.engine.types import Budget, KindName
from adascale.models.options import (
    THINK_TOKENS,
    FallbackOptions,
    SamplingOverrides,
    SessionOptions,
)

from . import completion
from .declare import (
    MACHINE,
    MODELS,
    OFFLINE,
    SEARCH,
    SERVER,
    parse_count,
    parse_duration,
    parse_gpu_layers,
    parse_think,
)


def of_efforts(name: str, kind: KindName = "value") -> str:
    """The default of a number that the effort sets, for the help."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS[kind].values())
    return "by effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


def _as_fitted(usual: str) -> str:
    """The default of a sampling parameter, for the help."""
    return f"{usual}, or that of the calibration"


def ctx_size(names: str, usual: str = "2048") -> OptionInfo:
    """The flag of the context, with a ``usual`` size."""
    return MACHINE.setting(
        names,
        "Tokens of context for one solution: question, thinking (--think) and solution (--max-tokens) "
        "together.",
        min=512,
        show_default=f"{usual} plus the tokens of --think",
    )


EFFORT = SEARCH.setting(
    "--effort -e", "How sure to be before stopping, and how many solutions to generate at most."
)
SESSION: Mapping[str, OptionInfo] = {
    "generator": MODELS.setting(
        "--model --generator -m -g",
        "Model that writes the solutions: a name that adascale list shows, ollama:NAME, a GGUF file, or "
        "hf:user/repo:quant.",
        metavar="MODEL",
        autocompletion=completion.models,
    ),
    "prm": MODELS.setting(
        "--prm",
        "Model that judges steps: probe reads the generator's hidden states, self asks the generator, none "
        "judges nothing. A name or a path is a process reward model; write FORMAT=PATH if its format is not "
        "recognised.",
        autocompletion=completion.judges,
    ),
    "calibration": MODELS.setting(
        "--calibration",
        "Calibration that turns scores into probabilities. auto uses the one that was fitted on exactly "
        "these models; without one, agreement, token probabilities and the size of the model decide.",
        autocompletion=completion.calibrations,
        metavar="auto|none|FILE",
    ),
    "system": SEARCH.flag("--system -s", "System prompt to use instead of the built-in one.", metavar="TEXT"),
    "think": SEARCH.setting(
        "--think",
        f"Let the model think before each solution, for this many tokens at most; on is {THINK_TOKENS}. auto "
        "lets the model decide whether to think.",
        metavar="off|on|auto|TOKENS",
        parser=parse_think,
        show_default="off",
    ),
    "ctx_size": ctx_size("--ctx-size -c"),
    "threads": MACHINE.setting(
        "--threads -t", "Number of CPU threads.", min=1, max=512, show_default="physical cores"
    ),
    "gpu_layers": MACHINE.setting(
        "--gpu-layers -ngl",
        "Number of layers to load onto the GPU.",
        metavar="auto|all|N",
        parser=parse_gpu_layers,
        show_default="auto",
    ),
    "offline": OFFLINE,
    "force": MACHINE.flag("--force", "Load the models even if there seems to be too little memory."),
}

ModelOption = Annotated[str, SESSION["generator"]]

FLAGS: Mapping[type[Any], Mapping[str, OptionInfo]] = {
    SessionOptions: SESSION,
    SamplingOverrides: {
        "temperature": SEARCH.flag(
            "--temperature --temp",
            "Sampling temperature; higher values give more varied solutions.",
            min=0.01,
            max=5.0,
            show_default=_as_fitted("0.8"),
        ),
        "top_p": SEARCH.flag(
            "--top-p",
            "Sample from the likeliest tokens that have this probability together.",
            min=0.01,
            max=1.0,
            show_default=_as_fitted("0.95"),
        ),
        "min_p": SEARCH.flag(
            "--min-p",
            "Drop tokens that are less likely than this share of the likeliest one; 0 drops none.",
            min=0.0,
            max=0.99,
            show_default=_as_fitted("0"),
        ),
        "max_tokens": SEARCH.flag(
            "--max-tokens",
            "Maximum number of tokens of one solution; a solution that is cut there has no answer. Without "
            "it, choices and yes-no questions have 320, facts 128, JSON 1024.",
            min=1,
            show_default=_as_fitted("768"),
        ),
    },
    Budget: {
        "max_tokens": SEARCH.setting(
            "--budget -b",
            "Maximum number of generated tokens of a question (8k is 8000). The first solution is finished "
            "even if it exceeds the limit.",
            metavar="TOKENS",
            parser=partial(parse_count, "--budget"),
        ),
        "max_seconds": SEARCH.setting(
            "--time-limit",
            "Time limit of a question (90s, 5m), not counting the time to load the models. The first "
            "solution is finished even if it exceeds the limit.",
            metavar="TIME",
            parser=partial(parse_duration, "--time-limit"),
        ),
    },
    Preset: {
        "effort": EFFORT,
        "paper": SEARCH.flag(
            "--paper",
            "Use the numbers of the paper: 64 solutions, beams of 8 prefixes with 8 continuations each, "
            f"pruned every 5 steps, temperature {PAPER_TEMPERATURE:g}.",
        ),
    },
    StrategyOverrides: {
        "samples": SEARCH.flag(
            "--samples",
            "Number of solutions (vote, best-of-n); maximum number for adaptive.",
            min=1,
            max=1024,
            show_default=of_efforts("samples"),
        ),
        "width": SEARCH.flag(
            "--beam-width", "Number of prefixes that a beam keeps.", min=1, max=64, show_default="4"
        ),
        "branching": SEARCH.flag(
            "--branching", "Number of continuations of each kept prefix.", min=1, max=64, show_default="4"
        ),
        "stop_at": SEARCH.flag(
            "--stop-at",
            "adaptive stops when its answer has this probability.",
            min=0.0,
            max=1.0,
            show_default=of_efforts("stop_at"),
        ),
        "min_gain": SEARCH.flag(
            "--min-gain",
            "adaptive also stops when another solution would raise that probability by less than this.",
            min=-1.0,
            max=1.0,
            show_default=of_efforts("min_gain"),
        ),
        "confidence": SEARCH.flag(
            "--confidence",
            "Target of the paper's rules (--adapt): the probability that at least one solution is correct.",
            min=0.01,
            max=0.9999,
            show_default="0.99",
        ),
    },
    FallbackOptions: {
        "url": SERVER.flag(
            "--fallback",
            "If the answer is not likely enough, send the question, with the conversation before it, to "
            "this server, which speaks OpenAI's chat completions.",
            metavar="URL",
        ),
        "key_file": SERVER.flag(
            "--fallback-key-file",
            "File that holds the API key of that server; ADASCALE_FALLBACK_KEY can hold it instead.",
            metavar="FILE",
        ),
        "below": SERVER.flag(
            "--fallback-below", "Probability below which a question is sent there.", min=0.0, max=1.0
        ),
        "model": SERVER.flag("--fallback-model", "Model of that server.", metavar="NAME"),
        "calls": SERVER.flag(
            "--fallback-calls", "Maximum number of calls per day, of all commands together.", min=1
        ),
        "seconds": SERVER.flag(
            "--fallback-time-limit",
            "Time limit of such a call; after it, the answer of your own model stays.",
            metavar="TIME",
            parser=partial(parse_duration, "--fallback-time-limit"),
            show_default="60s",
        ),
    },
}
