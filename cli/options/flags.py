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

from adascale.engine.strategies import EFFORTS, PAPER_TEMPERATURE, Preset, StrategyOverrides
from adascale.engine.types import Budget, KindName
from adascale.models.options import THINK_TOKENS, SamplingOverrides, SessionOptions

from . import completion
from .declare import (
    JSON,
    MACHINE,
    MODELS,
    OFFLINE,
    OUTPUT,
    OVERWRITE,
    SEARCH,
    SERVER,
    YES,
    flag,
    key_of,
    parse_count,
    parse_duration,
    parse_gpu_layers,
    parse_think,
    setting_flag,
)
from .groups import (
    QUICK,
    AskOptions,
    BatchOptions,
    CalibrationOptions,
    CheckOptions,
    CodeOptions,
    CodeSearchOptions,
    DoctorOptions,
    EvalOptions,
    FitOptions,
    McpOptions,
    SearchOptions,
    ServeOptions,
    ServerChoice,
    TerminalOptions,
    ViewOptions,
)


def _of_efforts(name: str, kind: KindName = "value") -> str:
    """What the help says of a default that the effort sets."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS[kind].values())
    return "from effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


def _as_fitted(usual: str) -> str:
    return f"as the calibration was fitted, else {usual}"


def _paper(context: typer.Context, asked: bool) -> bool:
    """The paper samples at a temperature of its own, unless another one is given."""
    if asked:
        context.default_map = {**(context.default_map or {}), "temperature": PAPER_TEMPERATURE}
    return asked


_EFFORT = setting_flag(
    SEARCH, "--effort -e", "How sure to get before stopping, and how much to draw at most."
)
_QUESTIONS = flag(
    SEARCH, "--questions -n", "Number of questions, spread evenly over all files.", min=1, show_default="all"
)
_SHOW_TREE = setting_flag(OUTPUT, "--show-tree/--no-show-tree -T", "Show the search tree on stderr.")
_PROGRESS = setting_flag(OUTPUT, "--progress", "What stderr shows; json is the event stream.")

_TRACES = flag(OUTPUT, "--traces", "Keep each search's event log, by its id.", metavar="DIR")
_PARALLEL = setting_flag(SERVER, "--parallel", "Questions that are searched at once.", min=1, max=256)
_LARGEST = (1 << 63) - 1
"""What files may hold: a trace with a larger seed could not be read again."""
_SEED = setting_flag(
    SEARCH, "--seed", "Seed of every draw; random unless given, and shown by -v.", min=0, max=_LARGEST
)
_UNSANDBOXED = flag(
    MACHINE, "--unsandboxed", "Run programs that need CPython where no sandbox holds them, with limits alone."
)

_SESSION: Mapping[str, OptionInfo | None] = {
    "generator": setting_flag(
        MODELS,
        "--generator -g",
        "Model that writes solutions: a name of models list (ollama:NAME and the like too), a GGUF path or "
        "hf:user/repo:quant.",
        autocompletion=completion.models,
    ),
    "prm": setting_flag(
        MODELS,
        "--prm",
        "Judge of steps: 'probe' reads the generator's own states, 'self' asks it, a name or path "
        "(FORMAT=PATH if its names do not tell) is a PRM, 'none' judges nothing.",
        autocompletion=completion.judges,
    ),
    "calibration": setting_flag(
        MODELS,
        "--calibration",
        "What turns judgements into probabilities; auto takes the one fitted on these very models, else the "
        "portable one.",
        autocompletion=completion.calibrations,
        metavar="auto|none|FILE",
    ),
    "system": flag(SEARCH, "--system -s", "System prompt instead of the built-in one."),
    "think": setting_flag(
        SEARCH,
        "--think",
        f"Let a model think before each answer: on for {THINK_TOKENS} tokens, then its thought is closed and "
        "the answer asked for; auto leaves it to the model.",
        metavar="off|on|auto|TOKENS",
        parser=parse_think,
        show_default="off",
    ),
    "ctx_size": setting_flag(
        MACHINE,
        "--ctx-size -c",
        "Context window of one solution: the question, at most --think, and at most --max-tokens.",
        min=512,
        show_default="2048 and --think",
    ),
    "threads": setting_flag(
        MACHINE, "--threads -t", "CPU threads.", min=1, max=512, show_default="physical cores"
    ),
    "gpu_layers": setting_flag(
        MACHINE,
        "--gpu-layers -ngl",
        "Layers on the GPU.",
        metavar="auto|all|N",
        parser=parse_gpu_layers,
        show_default="auto",
    ),
    "offline": OFFLINE,
    "force": flag(MACHINE, "--force", "Load models even if memory looks too small."),
}

FLAGS: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    SessionOptions: _SESSION,
    SamplingOverrides: {
        "temperature": flag(
            SEARCH,
            "--temperature --temp",
            "Sampling temperature: a higher one draws more varied solutions.",
            min=0.01,
            max=5.0,
            show_default=_as_fitted("0.8"),
        ),
        "top_p": flag(
            SEARCH,
            "--top-p",
            "Share of probability sampled from.",
            min=0.01,
            max=1.0,
            show_default=_as_fitted("0.95"),
        ),
        "min_p": flag(
            SEARCH,
            "--min-p",
            "Drop candidates less likely than this share of the likeliest one; 0 is off.",
            min=0.0,
            max=0.99,
            show_default=_as_fitted("0"),
        ),
        "max_tokens": flag(
            SEARCH,
            "--max-tokens",
            "Tokens of one solution; one that is cut there has no answer.",
            min=1,
            show_default=_as_fitted("768"),
        ),
    },
    SearchOptions: {
        "strategy": setting_flag(SEARCH, "--strategy", "How to search."),
        "mode": setting_flag(
            SEARCH,
            "--mode",
            "Reason in prose, or write Python programs that run in a sandbox. auto: adaptive chooses for "
            "each solution, where the model's own calibration knows programs; else prose.",
        ),
        "adapt": flag(
            SEARCH,
            "--adapt",
            "Let the paper's rule set a number: n (samples of vote and best-of-n), k (prefixes of a beam), m "
            "(children of a prefix), km (both).",
        ),
        "min_confidence": setting_flag(
            SEARCH,
            "--min-confidence",
            "Below it an answer is not taken for known: status low_confidence, and ask exits with 3.",
            min=0.0,
            max=1.0,
        ),
        "seed": _SEED,
    },
    Budget: {
        "max_tokens": setting_flag(
            SEARCH,
            "--budget -b",
            "Token limit of each question (8k is 8000); the first solution may exceed it.",
            metavar="TOKENS",
            parser=partial(parse_count, "--budget"),
        ),
        "max_seconds": setting_flag(
            SEARCH,
            "--time-limit",
            "Time limit of each question (90s, 5m), without loading; the first solution may exceed it.",
            metavar="TIME",
            parser=partial(parse_duration, "--time-limit"),
        ),
    },
    Preset: {
        "effort": _EFFORT,
        "paper": flag(
            SEARCH,
            "--paper",
            "The paper's numbers: 64 samples, 8 prefixes of 8 children pruned every 5 steps, T .7.",
            callback=_paper,
            is_eager=True,
        ),
    },
    StrategyOverrides: {
        "samples": flag(
            SEARCH,
            "--samples",
            "Solutions of vote and best-of-n, at most as many of adaptive.",
            min=1,
            max=1024,
            show_default=_of_efforts("samples"),
        ),
        "width": flag(SEARCH, "--beam-width", "Prefixes that a beam keeps.", min=1, max=64, show_default="4"),
        "branching": flag(
            SEARCH, "--branching", "Children of each kept prefix.", min=1, max=64, show_default="4"
        ),
        "stop_at": flag(
            SEARCH,
            "--stop-at",
            "Probability of the answer at which adaptive stops.",
            min=0.0,
            max=1.0,
            show_default=_of_efforts("stop_at"),
        ),
        "min_gain": flag(
            SEARCH,
            "--min-gain",
            "adaptive also stops where a further solution adds less than this to that probability.",
            min=-1.0,
            max=1.0,
            show_default=_of_efforts("min_gain"),
        ),
        "confidence": flag(
            SEARCH,
            "--confidence",
            "Target of the paper's rules (--adapt, +n, +k, +m): probability that at least one solution is "
            "right.",
            min=0.01,
            max=0.9999,
            show_default="0.99",
        ),
    },
    TerminalOptions: {
        "color": setting_flag(OUTPUT, "--color", "Colour on stderr; NO_COLOR is honoured."),
        "quiet": flag(OUTPUT, "--quiet -q", "No progress; -qq no warnings.", count=True, show_default=False),
        "verbose": flag(
            OUTPUT, "--verbose -v", "Say what is used; -vv llama.cpp's log.", count=True, show_default=False
        ),
        "debug": setting_flag(OUTPUT, "--debug", "Show tracebacks of errors."),
        "yes": YES,
    },
    ViewOptions: {
        "show_tree": _SHOW_TREE,
        "trace": flag(OUTPUT, "--trace", "Write the event log; adascale replay shows it.", metavar="FILE"),
        "save": setting_flag(
            OUTPUT, "--save/--no-save", "Keep the search, unless --trace does; adascale runs lists them."
        ),
        "progress": _PROGRESS,
    },
    AskOptions: {
        "extract": flag(OUTPUT, "--extract -x", "Print the final answer only."),
        "json_output": JSON,
    },
    ServerChoice: {
        "url": setting_flag(
            SERVER,
            "--server",
            "Ask a running adascale serve, and no model of this machine.",
            metavar="URL",
        ),
        "api_key": setting_flag(
            SERVER,
            "--api-key",
            "API key of the server; other users see a command line, so prefer the variable.",
        ),
    },
    CodeSearchOptions: {
        "effort": _EFFORT,
        "samples": flag(
            SEARCH,
            "--samples",
            "Programs at most.",
            min=1,
            max=1024,
            show_default=_of_efforts("samples", "code"),
        ),
        "seed": _SEED,
    },
    CodeOptions: {
        "test": flag(
            None,
            "--test",
            "Python that fails where the program is wrong; may be given several times.",
            metavar="ASSERT",
            show_default=False,
        ),
        "tests": flag(None, "--tests", "A file of asserts or of test functions as pytest has them."),
        "output": flag(None, "--output -o", "Where the program goes, else to stdout.", metavar="FILE"),
        "overwrite": OVERWRITE,
        "json_output": JSON,
        "session.prm": None,
        "session.calibration": None,
        "session.system": None,
        "session.unsandboxed": _UNSANDBOXED,
    },
    BatchOptions: {
        "output": flag(None, "--output -o", "Where the JSON Lines go.", metavar="FILE|-"),
        "form": flag(OUTPUT, "--format", "How the questions are written; auto goes by the file."),
        "question_field": flag(OUTPUT, "--field", "The field that holds the question.", metavar="NAME"),
        "show_tree": _SHOW_TREE,
        "traces": _TRACES,
        "limit": flag(SEARCH, "--limit", "Read only the first so many questions.", min=1, max=_LARGEST),
        "only_failed": flag(
            SEARCH, "--only-failed", "Ask again what failed in an earlier run, and nothing else."
        ),
        "overwrite": flag(OUTPUT, "--overwrite", "Begin anew instead of going on with the output."),
        "fail_on_error": flag(OUTPUT, "--fail-on-error", "End at the first question or line that fails."),
        "ray": flag(MACHINE, "--ray", "Ask on all nodes of a Ray cluster.", metavar="ADDRESS|auto"),
        "session.unsandboxed": _UNSANDBOXED,
        "dry_run": flag(OUTPUT, "--dry-run", "Read everything, load nothing, say what would be done."),
        "progress": _PROGRESS,
    },
    ServeOptions: {
        "host": setting_flag(SERVER, "--host", "Address to listen on; all but loopback need an API key."),
        "port": setting_flag(SERVER, "--port -p", "Port to listen on; 0 takes a free one.", min=0, max=65535),
        "api_key": setting_flag(
            SERVER,
            "--api-key",
            "API key that clients have to send; other users see a command line, so prefer --api-key-file or "
            "the variable.",
        ),
        "api_key_file": flag(SERVER, "--api-key-file", "Read the API key from a file.", metavar="FILE"),
        "cors_origin": flag(
            SERVER,
            "--cors-origin",
            "Pages whose scripts may ask; may be given several times.",
            metavar="ORIGIN",
            show_default=False,
        ),
        "parallel": _PARALLEL,
        "max_queue": setting_flag(
            SERVER, "--max-queue", "Questions that wait; more are refused.", min=0, max=10_000
        ),
        "effort": _EFFORT,
        "strict": setting_flag(
            SERVER,
            "--strict",
            "Refuse requests with fields that have no effect, such as another temperature; else they are "
            "ignored, and named in the answer.",
        ),
        "traces": _TRACES,
    },
    McpOptions: {
        "print_config": flag(None, "--print-config", "Print what to paste into an agent's settings."),
        "parallel": _PARALLEL,
    },
    EvalOptions: {
        "strategies": flag(
            SEARCH,
            "--strategies",
            "What takes part: :N fixes the samples, @low an effort, +n +k +m +km are the paper's rules, "
            "/prose /program /both the mode.",
            metavar="NAME[:N][@EFFORT][+RULE][/MODE],...",
        ),
        "questions": _QUESTIONS,
        "repeats": flag(
            SEARCH,
            "--repeats",
            "How often each strategy runs, each time with other random numbers.",
            min=1,
            max=1000,
        ),
        "seed": flag(
            SEARCH, "--seed", "Seed of the choice of questions and of every draw.", min=0, max=_LARGEST
        ),
        "session.unsandboxed": _UNSANDBOXED,
        "plot": flag(OUTPUT, "--plot", "Draw accuracy against tokens.", metavar="FILE.png|svg"),
        "csv_output": flag(OUTPUT, "--csv", "Print CSV, one row a strategy."),
        "json_output": JSON,
    },
    CalibrationOptions: {
        "data": flag(
            SEARCH,
            "--data -d",
            "JSON Lines with question and answer; may be given several times.",
            metavar="FILE",
            show_default=False,
        ),
        "questions": _QUESTIONS,
        "samples": flag(SEARCH, "--samples -k", "Solutions of each question in prose.", min=1, max=64),
        "programs": flag(
            SEARCH,
            "--programs",
            "Solutions of each question that are programs; all of a code task.",
            min=0,
            max=64,
        ),
        "rollouts": flag(
            SEARCH, "--rollouts -r", "More solutions from one prefix of each question.", min=0, max=64
        ),
        "seed": flag(
            SEARCH, "--seed", "Seed of the choice of questions and of every draw.", min=0, max=_LARGEST
        ),
        "plot": flag(OUTPUT, "--plot", "Draw the reliability diagram.", metavar="FILE.png|svg"),
        "json_output": JSON,
    },
    FitOptions: {
        "quick": flag(SEARCH, "--quick", f"Fit on {QUICK} questions only, unless --questions is given."),
        "unlabelled": flag(
            SEARCH,
            "--unlabelled",
            "Questions without answers, one a line or JSON Lines: what solutions agree on stands for them.",
            metavar="FILE",
            show_default=False,
        ),
        "method": flag(SEARCH, "--method", "Loss: beta (likelihood of counts) or quantile (the paper's)."),
        "output": flag(
            OUTPUT, "--output -o", "File to write.", metavar="FILE", show_default="where ask finds it"
        ),
        "run.data": flag(
            SEARCH,
            "--data -d",
            "JSON Lines with question and answer; may be given several times. Without it, 300 of our own.",
            metavar="FILE",
            show_default=False,
        ),
        "run.session.calibration": None,
    },
    CheckOptions: {
        "run.session.calibration": flag(
            SEARCH,
            "--calibration",
            "What to check; none measures the raw scores alone.",
            metavar="auto|none|FILE",
        )
    },
    DoctorOptions: {"generator": _SESSION["generator"], "offline": _SESSION["offline"], "json_output": JSON},
}


SETTINGS = frozenset(
    key_of(flag) for flags in FLAGS.values() for flag in flags.values() if flag is not None and flag.envvar
)
"""Keys that the config file may have."""

CHOOSES_SEARCH = frozenset(
    f"--{key_of(flag)}"
    for part in (SearchOptions, Preset, StrategyOverrides)
    for name, flag in FLAGS[part].items()
    if flag is not None and name != "seed"
) | {"--extract"}
"""Flags that ask for a search: with one of them on the command line no message gets a plain reply."""
