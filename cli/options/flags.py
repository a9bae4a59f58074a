"""Every flag of the commands that open models, declared once: ``FLAGS[dataclass][field]``.

The type and the default stand where the field stands (``by_command``, ``models.options``, the strategies). A
name with dots is a field inside one command's dataclass that has a flag of its own there, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from typer.models import OptionInfo

from adascale.engine.strategies import EFFORTS, PAPER_TEMPERATURE, Preset, StrategyOverrides
from adascale.engine.types import Budget, KindName
from adascale.models.options import (
    ROOMY_WINDOW,
    THINK_TOKENS,
    FallbackOptions,
    SamplingOverrides,
    SessionOptions,
)

from . import completion
from .by_command import (
    QUICK,
    AskOptions,
    BatchOptions,
    CalibrationOptions,
    ChatOptions,
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


def _of_efforts(name: str, kind: KindName = "value") -> str:
    """The default of a number that the effort sets, for the help."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS[kind].values())
    return "by effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


def _as_fitted(usual: str) -> str:
    """The default of a sampling parameter, for the help."""
    return f"{usual}, or that of the calibration"


def _ctx_size(names: str, usual: str = "2048") -> OptionInfo:
    return setting_flag(
        MACHINE,
        names,
        "Tokens of context for one solution: question, thinking (--think) and solution (--max-tokens) "
        "together.",
        min=512,
        show_default=f"{usual} plus the tokens of --think",
    )


_EFFORT = setting_flag(
    SEARCH, "--effort -e", "How sure to be before stopping, and how many solutions to generate at most."
)
_QUESTIONS = flag(
    SEARCH,
    "--questions -n",
    "Number of questions to take, spread evenly over all files.",
    min=1,
    show_default="all",
)
_SHOW_TREE = setting_flag(OUTPUT, "--show-tree/--no-show-tree -T", "Show the search tree on stderr.")
_PROGRESS = setting_flag(
    OUTPUT, "--progress", "Progress display on stderr; json prints the stream of events."
)

_TRACES = flag(
    OUTPUT,
    "--traces",
    "Folder to write the event log of each search to, named by the question's id.",
    metavar="DIR",
)
_PARALLEL = setting_flag(
    SERVER, "--parallel", "Number of questions to search at the same time.", min=1, max=256
)
_LARGEST = (1 << 63) - 1
"""Largest integer that a trace can hold."""
_SEED = setting_flag(
    SEARCH,
    "--seed",
    "Seed of all sampling; a random one is chosen by default, and -v shows it.",
    min=0,
    max=_LARGEST,
)
_HURRY = setting_flag(
    SEARCH,
    "--hurry/--thrift",
    "--hurry saves time: several solutions of a question run at once if this machine is faster that way. "
    "--thrift saves tokens. The answer is the same, apart from rounding.",
    show_default="--hurry while one question is searched, --thrift for several",
)
_SEED_OF_CHOICE = flag(
    SEARCH, "--seed", "Seed of the choice of questions and of all sampling.", min=0, max=_LARGEST
)
_UNSANDBOXED = flag(
    MACHINE,
    "--unsandboxed",
    "Run programs that need CPython without a sandbox, with limits of time and memory only.",
)

_SESSION: Mapping[str, OptionInfo | None] = {
    "generator": setting_flag(
        MODELS,
        "--generator --model -g -m",
        "Model that writes the solutions: a name that adascale list shows, ollama:NAME, a GGUF file, or "
        "hf:user/repo:quant.",
        metavar="MODEL",
        autocompletion=completion.models,
    ),
    "prm": setting_flag(
        MODELS,
        "--prm",
        "Model that judges steps: probe reads the generator's hidden states, self asks the generator, none "
        "judges nothing. A name or a path is a process reward model; write FORMAT=PATH if its format is not "
        "recognised.",
        autocompletion=completion.judges,
    ),
    "calibration": setting_flag(
        MODELS,
        "--calibration",
        "Calibration that turns scores into probabilities. auto uses the one that was fitted on exactly "
        "these models; without one, agreement and the size of the model decide.",
        autocompletion=completion.calibrations,
        metavar="auto|none|FILE",
    ),
    "system": flag(
        SEARCH, "--system -s", "System prompt to use instead of the built-in one.", metavar="TEXT"
    ),
    "think": setting_flag(
        SEARCH,
        "--think",
        f"Let the model think before each solution, for this many tokens at most; on is {THINK_TOKENS}. auto "
        "lets the model decide whether to think.",
        metavar="off|on|auto|TOKENS",
        parser=parse_think,
        show_default="off",
    ),
    "ctx_size": _ctx_size("--ctx-size -c"),
    "threads": setting_flag(
        MACHINE, "--threads -t", "Number of CPU threads.", min=1, max=512, show_default="physical cores"
    ),
    "gpu_layers": setting_flag(
        MACHINE,
        "--gpu-layers -ngl",
        "Number of layers to load onto the GPU.",
        metavar="auto|all|N",
        parser=parse_gpu_layers,
        show_default="auto",
    ),
    "offline": OFFLINE,
    "force": flag(MACHINE, "--force", "Load the models even if there seems to be too little memory."),
}

_CONTINUE = flag(
    None, "--continue -c", "Continue from the last question and answer of ask or chat.", show_default=False
)
_SCHEMA = flag(
    SEARCH,
    "--schema",
    "Write what the text says as a JSON object of the JSON schema in this file, and say of each field how "
    "likely it is to be correct.",
    metavar="FILE",
    show_default=False,
)
_CTX_SIZE_BESIDE_CONTINUE = _ctx_size("--ctx-size")
"""Without ``-c``, which continues, as it does in llm."""
_ROOMY = f"{ROOMY_WINDOW}, or what model and memory allow,"

FLAGS: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    SessionOptions: _SESSION,
    SamplingOverrides: {
        "temperature": flag(
            SEARCH,
            "--temperature --temp",
            "Sampling temperature; higher values give more varied solutions.",
            min=0.01,
            max=5.0,
            show_default=_as_fitted("0.8"),
        ),
        "top_p": flag(
            SEARCH,
            "--top-p",
            "Sample from the likeliest tokens that have this probability together.",
            min=0.01,
            max=1.0,
            show_default=_as_fitted("0.95"),
        ),
        "min_p": flag(
            SEARCH,
            "--min-p",
            "Drop tokens that are less likely than this share of the likeliest one; 0 drops none.",
            min=0.0,
            max=0.99,
            show_default=_as_fitted("0"),
        ),
        "max_tokens": flag(
            SEARCH,
            "--max-tokens",
            "Maximum number of tokens of one solution; a solution that is cut there has no answer.",
            min=1,
            show_default=_as_fitted("768"),
        ),
    },
    SearchOptions: {
        "kind": flag(
            SEARCH,
            "--as",
            "Treat the question as this kind instead of recognising it: a value is computed, a choice has "
            "options, a fact is a name, a date or a place, and a text gets one reply without a search.",
            metavar="KIND",
        ),
        "choices": flag(
            SEARCH,
            "--choices",
            "Options to choose from, with commas between them: red,green,blue.",
            metavar="OPTIONS",
            show_default=False,
        ),
        "strategy": setting_flag(SEARCH, "--strategy", "Search strategy."),
        "mode": setting_flag(
            SEARCH,
            "--mode",
            "Reason in prose, or write Python programs that run in a sandbox. With auto, adaptive chooses "
            "for each solution; with a model that has no calibration it alternates between the two.",
        ),
        "adapt": flag(
            SEARCH,
            "--adapt",
            "Let a rule of the paper choose a number: n (solutions of vote and best-of-n), k (prefixes of a "
            "beam), m (continuations of a prefix), or km (both).",
        ),
        "min_confidence": setting_flag(
            SEARCH,
            "--min-confidence",
            "Minimum probability; a less likely answer gets status low_confidence, and ask exits with code "
            "3.",
            min=0.0,
            max=1.0,
        ),
        "seed": _SEED,
        "hurry": _HURRY,
    },
    Budget: {
        "max_tokens": setting_flag(
            SEARCH,
            "--budget -b",
            "Maximum number of generated tokens of a question (8k is 8000). The first solution is finished "
            "even if it exceeds the limit.",
            metavar="TOKENS",
            parser=partial(parse_count, "--budget"),
        ),
        "max_seconds": setting_flag(
            SEARCH,
            "--time-limit",
            "Time limit of a question (90s, 5m), not counting the time to load the models. The first "
            "solution is finished even if it exceeds the limit.",
            metavar="TIME",
            parser=partial(parse_duration, "--time-limit"),
        ),
    },
    Preset: {
        "effort": _EFFORT,
        "paper": flag(
            SEARCH,
            "--paper",
            "Use the numbers of the paper: 64 solutions, beams of 8 prefixes with 8 continuations each, "
            f"pruned every 5 steps, temperature {PAPER_TEMPERATURE:g}.",
        ),
    },
    StrategyOverrides: {
        "samples": flag(
            SEARCH,
            "--samples",
            "Number of solutions (vote, best-of-n); maximum number for adaptive.",
            min=1,
            max=1024,
            show_default=_of_efforts("samples"),
        ),
        "width": flag(
            SEARCH, "--beam-width", "Number of prefixes that a beam keeps.", min=1, max=64, show_default="4"
        ),
        "branching": flag(
            SEARCH,
            "--branching",
            "Number of continuations of each kept prefix.",
            min=1,
            max=64,
            show_default="4",
        ),
        "stop_at": flag(
            SEARCH,
            "--stop-at",
            "adaptive stops when its answer has this probability.",
            min=0.0,
            max=1.0,
            show_default=_of_efforts("stop_at"),
        ),
        "min_gain": flag(
            SEARCH,
            "--min-gain",
            "adaptive also stops when another solution would raise that probability by less than this.",
            min=-1.0,
            max=1.0,
            show_default=_of_efforts("min_gain"),
        ),
        "confidence": flag(
            SEARCH,
            "--confidence",
            "Target of the paper's rules (--adapt): the probability that at least one solution is correct.",
            min=0.01,
            max=0.9999,
            show_default="0.99",
        ),
    },
    TerminalOptions: {
        "color": setting_flag(
            OUTPUT, "--color", "Colours on stderr. auto uses them on a terminal unless NO_COLOR is set."
        ),
        "quiet": flag(
            OUTPUT,
            "--quiet -q",
            "Show no progress; -qq shows no warnings either.",
            count=True,
            show_default=False,
        ),
        "verbose": flag(
            OUTPUT,
            "--verbose -v",
            "Show which files and seed are used; -vv also shows the log of llama.cpp.",
            count=True,
            show_default=False,
        ),
        "debug": setting_flag(OUTPUT, "--debug", "Show the traceback of an error."),
        "yes": YES,
    },
    ViewOptions: {
        "show_tree": _SHOW_TREE,
        "trace": flag(
            OUTPUT,
            "--trace",
            "Write the event log to a file, which adascale replay can show again.",
            metavar="FILE",
        ),
        "save": setting_flag(
            OUTPUT,
            "--save/--no-save",
            "Keep the search in the history that adascale runs lists; --trace keeps it in its file instead.",
        ),
        "progress": _PROGRESS,
    },
    AskOptions: {
        "goes_on": _CONTINUE,
        "schema": _SCHEMA,
        "session.ctx_size": _CTX_SIZE_BESIDE_CONTINUE,
        "extract": flag(OUTPUT, "--extract -x", "Print only the final answer, or the reply to a text."),
        "json_output": JSON,
    },
    ChatOptions: {
        "goes_on": _CONTINUE,
        "session.ctx_size": _ctx_size("--ctx-size", _ROOMY),
        "search.choices": None,
        "view.trace": None,
    },
    ServerChoice: {
        "url": setting_flag(
            SERVER,
            "--server",
            "Ask a running adascale serve at this address instead of loading a model.",
            metavar="URL",
        ),
        "api_key": setting_flag(
            SERVER,
            "--api-key",
            "API key of the server. Other users can see a command line, so prefer the environment variable.",
        ),
    },
    FallbackOptions: {
        "url": flag(
            SERVER,
            "--fallback",
            "If the answer is not likely enough, send the question, with the conversation before it, to "
            "this server of OpenAI's chat completions.",
            metavar="URL",
        ),
        "key_file": flag(
            SERVER,
            "--fallback-key-file",
            "File that holds the API key of that server; ADASCALE_FALLBACK_KEY can hold it instead.",
            metavar="FILE",
        ),
        "below": flag(
            SERVER, "--fallback-below", "Probability below which a question is sent there.", min=0.0, max=1.0
        ),
        "model": flag(SERVER, "--fallback-model", "Model of that server.", metavar="NAME"),
        "calls": flag(
            SERVER, "--fallback-calls", "Maximum number of calls per day, of all commands together.", min=1
        ),
        "seconds": flag(
            SERVER,
            "--fallback-time-limit",
            "Time limit of such a call; after it the answer of your own model stays.",
            metavar="TIME",
            parser=partial(parse_duration, "--fallback-time-limit"),
            show_default="60s",
        ),
    },
    CodeSearchOptions: {
        "effort": _EFFORT,
        "samples": flag(
            SEARCH,
            "--samples",
            "Maximum number of programs.",
            min=1,
            max=1024,
            show_default=_of_efforts("samples", "code"),
        ),
        "seed": _SEED,
        "hurry": _HURRY,
    },
    CodeOptions: {
        "test": flag(
            None,
            "--test",
            "Python code that fails if the program is wrong. Can be given several times.",
            metavar="ASSERT",
            show_default=False,
        ),
        "tests": flag(None, "--tests", "File of asserts, or of test functions as for pytest."),
        "output": flag(
            None, "--output -o", "File to write the program to instead of stdout.", metavar="FILE"
        ),
        "overwrite": OVERWRITE,
        "json_output": JSON,
        "session.prm": None,
        "session.calibration": None,
        "session.system": None,
        "session.unsandboxed": _UNSANDBOXED,
    },
    BatchOptions: {
        "output": flag(None, "--output -o", "File to write the records to, as JSON Lines.", metavar="FILE|-"),
        "form": flag(
            OUTPUT, "--format", "Format of the questions. auto goes by the name of the file, or by each line."
        ),
        "schema": _SCHEMA,
        "question_field": flag(OUTPUT, "--field", "Field that holds the question.", metavar="NAME"),
        "show_tree": _SHOW_TREE,
        "traces": _TRACES,
        "limit": flag(SEARCH, "--limit", "Read only this many questions.", min=1, max=_LARGEST),
        "only_failed": flag(SEARCH, "--only-failed", "Ask only the questions that failed in an earlier run."),
        "overwrite": flag(
            OUTPUT, "--overwrite", "Start again with an empty output instead of continuing it."
        ),
        "fail_on_error": flag(OUTPUT, "--fail-on-error", "Stop at the first question or line that fails."),
        "ray": flag(
            MACHINE, "--ray", "Run on all nodes of the Ray cluster at this address.", metavar="ADDRESS|auto"
        ),
        "session.unsandboxed": _UNSANDBOXED,
        "dry_run": flag(
            OUTPUT, "--dry-run", "Read the questions and say what a run would do, without loading a model."
        ),
        "progress": _PROGRESS,
    },
    ServeOptions: {
        "host": setting_flag(
            SERVER, "--host", "Address to listen on. Addresses other than loopback need an API key."
        ),
        "port": setting_flag(
            SERVER, "--port -p", "Port to listen on; 0 chooses a free one.", min=0, max=65535
        ),
        "api_key": setting_flag(
            SERVER,
            "--api-key",
            "API key that clients have to send. Other users can see a command line, so prefer "
            "--api-key-file or the environment variable.",
        ),
        "api_key_file": flag(SERVER, "--api-key-file", "File that holds the API key.", metavar="FILE"),
        "cors_origin": flag(
            SERVER,
            "--cors-origin",
            "Origin of a web page whose scripts may send requests. Can be given several times.",
            metavar="ORIGIN",
            show_default=False,
        ),
        "parallel": _PARALLEL,
        "max_queue": setting_flag(
            SERVER,
            "--max-queue",
            "Maximum number of waiting questions; further ones are refused.",
            min=0,
            max=10_000,
        ),
        "effort": _EFFORT,
        "strict": setting_flag(
            SERVER,
            "--strict",
            "Refuse requests with fields that have no effect, instead of ignoring these fields.",
        ),
        "session.ctx_size": _ctx_size("--ctx-size -c", _ROOMY),
        "traces": _TRACES,
    },
    McpOptions: {
        "print_config": flag(
            None, "--print-config", "Print the configuration to paste into the settings of an agent."
        ),
        "parallel": _PARALLEL,
    },
    EvalOptions: {
        "strategies": flag(
            SEARCH,
            "--strategies",
            "Strategies to compare. :N sets the number of solutions, @EFFORT an effort, +n, +k, +m or +km a "
            "rule of the paper, /prose, /program or /both the mode, and +redraw at the end rewrites steps "
            "with a wrong sum.",
            metavar="NAME[:N][@EFFORT][+RULE][/MODE][+redraw],...",
        ),
        "questions": _QUESTIONS,
        "repeats": flag(
            SEARCH,
            "--repeats",
            "Number of runs of each strategy, each with other random numbers.",
            min=1,
            max=1000,
        ),
        "seed": _SEED_OF_CHOICE,
        "session.unsandboxed": _UNSANDBOXED,
        "plot": flag(
            OUTPUT, "--plot", "Picture of accuracy against tokens to write.", metavar="FILE.png|svg"
        ),
        "csv_output": flag(OUTPUT, "--csv", "Print CSV with a row for each strategy."),
        "json_output": JSON,
    },
    CalibrationOptions: {
        "data": flag(
            SEARCH,
            "--data -d",
            "JSON Lines with question and answer. Can be given several times.",
            metavar="FILE",
            show_default=False,
        ),
        "questions": _QUESTIONS,
        "samples": flag(
            SEARCH, "--samples -k", "Number of solutions in prose for each question.", min=1, max=64
        ),
        "programs": flag(
            SEARCH,
            "--programs",
            "Number of programs for each question or code task.",
            min=0,
            max=64,
        ),
        "rollouts": flag(
            SEARCH,
            "--rollouts -r",
            "Number of further solutions from one prefix of each question.",
            min=0,
            max=64,
        ),
        "seed": _SEED_OF_CHOICE,
        "plot": flag(
            OUTPUT, "--plot", "Picture of the reliability diagram to write.", metavar="FILE.png|svg"
        ),
        "json_output": JSON,
        "session.calibration": flag(
            SEARCH,
            "--calibration",
            "Calibration to check; none measures the raw scores.",
            metavar="auto|none|FILE",
        ),
    },
    FitOptions: {
        "quick": flag(SEARCH, "--quick", f"Fit on {QUICK} questions, unless --questions is given."),
        "unlabelled": flag(
            SEARCH,
            "--unlabelled",
            "Questions without answers, one a line or JSON Lines. The fit uses how well their solutions "
            "agree.",
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
            "JSON Lines with question and answer. Can be given several times; the default is the 300 "
            "bundled questions.",
            metavar="FILE",
            show_default=False,
        ),
        "run.session.calibration": None,
    },
    DoctorOptions: {"generator": _SESSION["generator"], "offline": _SESSION["offline"], "json_output": JSON},
}


SETTINGS = frozenset(
    key_of(flag) for flags in FLAGS.values() for flag in flags.values() if flag is not None and flag.envvar
)
"""Keys that the config file may have."""

ALIASES = {
    other.lstrip("-"): key_of(flag)
    for flags in FLAGS.values()
    for flag in flags.values()
    if flag is not None and flag.envvar
    for other in (flag.param_decls or ())[1:]
    if other.startswith("--")
}
"""Other names of settings, such as model for generator."""

CHOOSES_SEARCH = frozenset(
    f"--{key_of(flag)}"
    for part in (SearchOptions, Preset, StrategyOverrides)
    for name, flag in FLAGS[part].items()
    if flag is not None and name not in ("seed", "hurry", "preset", "effort", "min_confidence")
)
"""Flags that say how to search: with one of them on the command line no message gets a plain reply."""
