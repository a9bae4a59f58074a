"""Every flag of the commands that open models, declared once: ``FLAGS[dataclass][field]``.

The type and the default stand where the field stands (``groups``, ``models.options``, the strategies). A name
with dots is a field inside one command's dataclass that has a flag of its own there, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import typer
from typer.models import OptionInfo

from adascale.engine.strategies.adaptive import EFFORTS
from adascale.engine.strategies.allocation import PAPER_TEMPERATURE
from adascale.engine.types import Budget
from adascale.models.options import SamplingOverrides, SessionOptions

from . import completion
from .declare import JSON, MACHINE, MODELS, OUTPUT, SEARCH, flag, key_of
from .groups import (
    Ask,
    Batch,
    CalibrationRun,
    Check,
    Doctor,
    Eval,
    Fit,
    Preset,
    Search,
    StrategyOverrides,
    Terminal,
)
from .values import parse_count, parse_duration, parse_gpu_layers


def _of_efforts(name: str) -> str:
    """What the help says of a default that the effort sets."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS.values())
    return "from effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


def _as_fitted(usual: str) -> str:
    return f"as the calibration was fitted, else {usual}"


def _paper(context: typer.Context, asked: bool) -> bool:
    """The paper samples at a temperature of its own, unless another one is given."""
    if asked:
        context.default_map = {**(context.default_map or {}), "temperature": PAPER_TEMPERATURE}
    return asked


_QUESTIONS = flag(
    "--questions", "-n", panel=SEARCH, min=1, show_default="all", help="How many, over all files."
)
_SHOW_TREE = flag(
    "--show-tree/--no-show-tree", "-T", panel=OUTPUT, setting=True, help="Show the search tree on stderr."
)
_PROGRESS = flag(
    "--progress", panel=OUTPUT, setting=True, help="What stderr shows; json is the event stream."
)

_SESSION: Mapping[str, OptionInfo | None] = {
    "generator": flag(
        "--generator",
        "-g",
        panel=MODELS,
        setting=True,
        autocompletion=completion.models,
        help="Model that writes solutions: catalogue name, GGUF path or hf:user/repo:quant.",
    ),
    "prm": flag(
        "--prm",
        panel=MODELS,
        setting=True,
        autocompletion=completion.judges,
        help="Judge of steps: 'probe' reads the generator's own states, 'self' asks it, a name or path "
        "(FORMAT=PATH if its names do not tell) is a PRM, 'none' judges nothing.",
    ),
    "calibration": flag(
        "--calibration",
        panel=MODELS,
        setting=True,
        autocompletion=completion.calibrations,
        metavar="auto|none|FILE",
        help="What turns judgements into probabilities; auto takes the one fitted on these very models.",
    ),
    "system": flag("--system", "-s", panel=SEARCH, help="System prompt instead of the built-in one."),
    "ctx_size": flag(
        "--ctx-size",
        "-c",
        panel=MACHINE,
        setting=True,
        min=512,
        show_default="2048",
        help="Context window of one trajectory: the question, and at most --max-tokens.",
    ),
    "threads": flag(
        "--threads",
        "-t",
        panel=MACHINE,
        setting=True,
        min=1,
        max=512,
        show_default="physical cores",
        help="CPU threads.",
    ),
    "gpu_layers": flag(
        "--gpu-layers",
        "-ngl",
        panel=MACHINE,
        setting=True,
        metavar="auto|all|N",
        parser=parse_gpu_layers,
        show_default="auto",
        help="Layers on the GPU.",
    ),
    "offline": flag("--offline", panel=MACHINE, setting=True, help="Never touch the network."),
    "force": flag("--force", panel=MACHINE, help="Load models even if memory looks too small."),
}

FLAGS: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    SessionOptions: _SESSION,
    SamplingOverrides: {
        "temperature": flag(
            "--temperature",
            "--temp",
            panel=SEARCH,
            min=0.01,
            max=5.0,
            show_default=_as_fitted("0.5"),
            help="Of sampling.",
        ),
        "top_p": flag(
            "--top-p",
            panel=SEARCH,
            min=0.01,
            max=1.0,
            show_default=_as_fitted("0.95"),
            help="Share of probability sampled from.",
        ),
        "min_p": flag(
            "--min-p",
            panel=SEARCH,
            min=0.0,
            max=0.99,
            show_default=_as_fitted("0"),
            help="Drop candidates less likely than this share of the likeliest one; 0 is off.",
        ),
        "max_tokens": flag(
            "--max-tokens",
            panel=SEARCH,
            min=1,
            show_default=_as_fitted("768"),
            help="Tokens of one trajectory; one that is cut there has no answer.",
        ),
    },
    Search: {
        "strategy": flag("--strategy", panel=SEARCH, setting=True, help="How to search."),
        "adapt": flag(
            "--adapt",
            panel=SEARCH,
            help="The paper's rules: n samples of vote and best-of-n, k prefixes and m children of a beam.",
        ),
        "min_confidence": flag(
            "--min-confidence",
            panel=SEARCH,
            setting=True,
            min=0.0,
            max=1.0,
            help="Below it an answer is not taken for known: status low_confidence, and ask exits with 3.",
        ),
        "seed": flag("--seed", panel=SEARCH, setting=True, min=0, help="Random unless given; shown by -v."),
    },
    Budget: {
        "max_tokens": flag(
            "--budget",
            "-b",
            panel=SEARCH,
            setting=True,
            metavar="TOKENS",
            parser=partial(parse_count, "--budget"),
            help="Most tokens for one question, but one solution is finished; 8k is 8000.",
        ),
        "max_seconds": flag(
            "--time-limit",
            panel=SEARCH,
            setting=True,
            metavar="TIME",
            parser=partial(parse_duration, "--time-limit"),
            help="Most time for one question, loading excluded, but one solution is finished: 90s, 5m.",
        ),
    },
    Preset: {
        "effort": flag(
            "--effort",
            "-e",
            panel=SEARCH,
            setting=True,
            help="How sure to get before stopping, and how much to draw at most.",
        ),
        "paper": flag(
            "--paper",
            panel=SEARCH,
            callback=_paper,
            is_eager=True,
            help="The paper's numbers: 64 samples, 8 prefixes of 8 children pruned every 5 steps, T .7.",
        ),
    },
    StrategyOverrides: {
        "samples": flag(
            "--samples",
            panel=SEARCH,
            min=1,
            max=1024,
            show_default=_of_efforts("samples"),
            help="Trajectories of vote and best-of-n, at most as many of adaptive.",
        ),
        "width": flag(
            "--beam-width", panel=SEARCH, min=1, max=64, show_default="4", help="Prefixes that a beam keeps."
        ),
        "branching": flag(
            "--branching", panel=SEARCH, min=1, max=64, show_default="4", help="Children of each kept prefix."
        ),
        "stop_at": flag(
            "--stop-at",
            panel=SEARCH,
            min=0.0,
            max=1.0,
            show_default=_of_efforts("stop_at"),
            help="Probability of the answer at which adaptive stops.",
        ),
        "min_gain": flag(
            "--min-gain",
            panel=SEARCH,
            min=-1.0,
            max=1.0,
            show_default=_of_efforts("min_gain"),
            help="adaptive also stops where a further trajectory adds less than this to that probability.",
        ),
        "confidence": flag(
            "--confidence",
            panel=SEARCH,
            min=0.01,
            max=0.9999,
            show_default="0.99",
            help="C of the paper's rules (--adapt, +n, +k, +m): wanted P(some trajectory is right).",
        ),
    },
    Terminal: {
        "color": flag("--color", panel=OUTPUT, setting=True, help="Colour on stderr; NO_COLOR is honoured."),
        "quiet": flag(
            "--quiet",
            "-q",
            panel=OUTPUT,
            count=True,
            show_default=False,
            help="No progress; -qq no warnings.",
        ),
        "verbose": flag(
            "--verbose",
            "-v",
            panel=OUTPUT,
            count=True,
            show_default=False,
            help="Say what is used; -vv llama.cpp's log.",
        ),
        "debug": flag("--debug", panel=OUTPUT, setting=True, help="Show tracebacks of errors."),
        "yes": flag("--yes", "-y", panel=MACHINE, setting=True, help="Download without asking."),
    },
    Ask: {
        "show_tree": _SHOW_TREE,
        "extract": flag("--extract", "-x", panel=OUTPUT, help="Print the final answer only."),
        "trace": flag(
            "--trace", panel=OUTPUT, metavar="FILE", help="Write the event log; adascale replay shows it."
        ),
        "save": flag(
            "--save/--no-save",
            panel=OUTPUT,
            setting=True,
            help="Keep the search, unless --trace does; adascale runs lists them.",
        ),
        "json_output": JSON,
        "progress": _PROGRESS,
    },
    Batch: {
        "output": flag("--output", "-o", metavar="FILE|-", help="Where the JSON Lines go."),
        "form": flag("--format", panel=OUTPUT, help="How the questions are written; auto goes by the file."),
        "question_field": flag(
            "--field", panel=OUTPUT, metavar="NAME", help="The field that holds the question."
        ),
        "show_tree": _SHOW_TREE,
        "traces": flag(
            "--traces", panel=OUTPUT, metavar="DIR", help="Keep each search's event log, by its id."
        ),
        "limit": flag("--limit", panel=SEARCH, min=1, help="Read only the first so many questions."),
        "only_failed": flag("--only-failed", panel=SEARCH, help="Ask only those again that failed before."),
        "overwrite": flag(
            "--overwrite", panel=OUTPUT, help="Begin anew instead of going on with the output."
        ),
        "fail_on_error": flag(
            "--fail-on-error", panel=OUTPUT, help="End at the first question or line that fails."
        ),
        "ray": flag(
            "--ray", panel=MACHINE, metavar="ADDRESS|auto", help="Ask on all nodes of a Ray cluster."
        ),
        "dry_run": flag(
            "--dry-run", panel=OUTPUT, help="Read everything, load nothing, say what would be done."
        ),
        "progress": _PROGRESS,
    },
    Eval: {
        "strategies": flag(
            "--strategies",
            panel=SEARCH,
            metavar="NAME[:N][@EFFORT][+RULE],...",
            help="What takes part: :N fixes the samples, @low an effort, +n +k +m +km are the paper's rules.",
        ),
        "questions": _QUESTIONS,
        "repeats": flag("--repeats", panel=SEARCH, min=1, max=1000, help="Times, with other random numbers."),
        "seed": flag("--seed", panel=SEARCH, min=0, help="Of the questions and all draws."),
        "plot": flag("--plot", panel=OUTPUT, metavar="FILE.png|svg", help="Draw accuracy against tokens."),
        "csv_output": flag("--csv", panel=OUTPUT, help="Print CSV, one row a strategy."),
        "json_output": JSON,
    },
    CalibrationRun: {
        "data": flag(
            "--data",
            "-d",
            panel=SEARCH,
            metavar="FILE",
            show_default=False,
            help="JSON Lines with question and answer; may be given several times.",
        ),
        "questions": _QUESTIONS,
        "samples": flag(
            "--samples", "-k", panel=SEARCH, min=1, max=64, help="Trajectories of each question."
        ),
        "rollouts": flag(
            "--rollouts",
            "-r",
            panel=SEARCH,
            min=0,
            max=64,
            help="More trajectories from one prefix of each question.",
        ),
        "seed": flag("--seed", panel=SEARCH, min=0, help="Of the choice of questions and of all draws."),
        "plot": flag("--plot", panel=OUTPUT, metavar="FILE.png|svg", help="Draw the reliability diagram."),
        "json_output": JSON,
    },
    Fit: {
        "method": flag(
            "--method", panel=SEARCH, help="beta and quantile read the states, isotonic the reward."
        ),
        "output": flag(
            "--output",
            "-o",
            panel=OUTPUT,
            metavar="FILE",
            show_default="where ask finds it",
            help="File to write.",
        ),
        "run.session.calibration": None,
    },
    Check: {
        "run.session.calibration": flag(
            "--calibration",
            panel=SEARCH,
            metavar="auto|none|FILE",
            help="What to check; none measures the raw scores alone.",
        )
    },
    Doctor: {"generator": _SESSION["generator"], "offline": _SESSION["offline"], "json_output": JSON},
}


SETTINGS = frozenset(
    key_of(flag) for flags in FLAGS.values() for flag in flags.values() if flag is not None and flag.envvar
)
"""Keys that the config file may have."""
