"""Options of every command that runs models, defined once.

Typer reads a function's signature, so ``with_run_options`` writes the fields of ``RunOptions`` into the
signature of a command and hands it one ``RunOptions`` instead of thirty arguments.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from adascale.engine.budget import Budget
from adascale.engine.strategies import STRATEGIES, SearchParams, Strategy, strategy_named
from adascale.models.catalog import DEFAULT_GENERATOR

from .console import ColorChoice, use_color
from .render.base import ProgressChoice
from .values import parse_count, parse_duration

_MODELS, _SEARCH, _MACHINE, _OUTPUT = "Models", "Search", "Machine", "Output"

StrategyName = Literal["greedy", "vote", "best-of-n", "beam"]
assert set(STRATEGIES) == set(StrategyName.__args__)  # type: ignore[attr-defined]


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, **more)


def _env(name: str) -> str:
    return f"ADASCALE_{name}"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What ``ask`` and ``batch`` share, as typed by the user."""

    generator: Annotated[
        str,
        _option(
            "--generator", "-g", panel=_MODELS, envvar=_env("GENERATOR"),
            help="Model that writes solutions: catalogue name, GGUF path or hf:user/repo:quant.",
        ),
    ] = DEFAULT_GENERATOR  # fmt: skip
    prm: Annotated[
        str,
        _option(
            "--prm", panel=_MODELS, envvar=_env("PRM"),
            help="Model that judges steps; 'self' is the generator, 'none' uses log-probability and votes.",
        ),
    ] = "none"  # fmt: skip
    strategy: Annotated[
        StrategyName, _option("--strategy", panel=_SEARCH, envvar=_env("STRATEGY"), help="How to search.")
    ] = "vote"
    samples: Annotated[
        int, _option("--samples", panel=_SEARCH, min=1, max=1024, help="Trajectories of vote and best-of-n.")
    ] = 16
    beam_width: Annotated[
        int, _option("--beam-width", panel=_SEARCH, min=1, max=64, help="Prefixes that beam search keeps.")
    ] = 4
    branching: Annotated[
        int, _option("--branching", panel=_SEARCH, min=1, max=64, help="Children of each kept prefix.")
    ] = 4
    budget: Annotated[
        str | None,
        _option(
            "--budget", "-b", panel=_SEARCH, envvar=_env("BUDGET"), metavar="TOKENS",
            help="Most tokens to generate for one question; 8k is 8000.",
        ),
    ] = None  # fmt: skip
    time_limit: Annotated[
        str | None,
        _option(
            "--time-limit", panel=_SEARCH, envvar=_env("TIME_LIMIT"), metavar="TIME",
            help="Most time for one question, loading excluded: 90s, 5m.",
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int | None,
        _option(
            "--seed", panel=_SEARCH, envvar=_env("SEED"), min=0, help="Random unless given; shown by -v."
        ),
    ] = None
    temperature: Annotated[
        float, _option("--temperature", "--temp", panel=_SEARCH, min=0.01, max=5.0, help="Of sampling.")
    ] = 0.8
    top_p: Annotated[
        float, _option("--top-p", panel=_SEARCH, min=0.01, max=1.0, help="Share of probability sampled from.")
    ] = 0.95
    system: Annotated[
        str | None,
        _option("--system", "-s", panel=_SEARCH, help="System prompt instead of the built-in one."),
    ] = None
    ctx_size: Annotated[
        int | None,
        _option(
            "--ctx-size", "-c", panel=_MACHINE, envvar=_env("CTX_SIZE"), min=512, show_default="2048",
            help="Tokens of one trajectory, question included.",
        ),
    ] = None  # fmt: skip
    threads: Annotated[
        int | None,
        _option(
            "--threads", "-t", panel=_MACHINE, envvar=_env("THREADS"), min=1, max=512,
            show_default="physical cores", help="CPU threads.",
        ),
    ] = None  # fmt: skip
    gpu_layers: Annotated[
        str,
        _option(
            "--gpu-layers", "-ngl", panel=_MACHINE, envvar=_env("GPU_LAYERS"), metavar="auto|all|N",
            help="Layers on the GPU.",
        ),
    ] = "auto"  # fmt: skip
    offline: Annotated[
        bool, _option("--offline", panel=_MACHINE, envvar=_env("OFFLINE"), help="Never touch the network.")
    ] = False
    yes: Annotated[
        bool, _option("--yes", "-y", panel=_MACHINE, envvar=_env("YES"), help="Download without asking.")
    ] = False
    force: Annotated[
        bool, _option("--force", panel=_MACHINE, help="Load models even if memory looks too small.")
    ] = False
    json_output: Annotated[bool, _option("--json", panel=_OUTPUT, help="Print one JSON object.")] = False
    progress: Annotated[
        ProgressChoice,
        _option(
            "--progress", panel=_OUTPUT, envvar=_env("PROGRESS"),
            help="What stderr shows; json is the event stream.",
        ),
    ] = "auto"  # fmt: skip
    color: Annotated[
        ColorChoice, _option("--color", panel=_OUTPUT, help="Colour on stderr; NO_COLOR is honoured.")
    ] = "auto"
    quiet: Annotated[
        int,
        _option(
            "--quiet",
            "-q",
            panel=_OUTPUT,
            count=True,
            show_default=False,
            help="No progress; -qq no warnings.",
        ),
    ] = 0
    verbose: Annotated[
        int,
        _option(
            "--verbose",
            "-v",
            panel=_OUTPUT,
            count=True,
            show_default=False,
            help="Say what is used; -vv llama.cpp's log.",
        ),
    ] = 0

    debug: Annotated[
        bool, _option("--debug", panel=_OUTPUT, envvar=_env("DEBUG"), help="Show tracebacks of errors.")
    ] = False

    def params(self) -> SearchParams:
        """The strategy's numbers."""
        return SearchParams(self.samples, self.beam_width, self.branching)

    def chosen(self) -> Strategy:
        """The strategy."""
        return strategy_named(self.strategy)

    def limits(self) -> Budget:
        """The budget of one question.

        Raises:
            UsageError: a value that is no count or duration.
        """
        tokens = None if self.budget is None else parse_count("--budget", self.budget)
        seconds = None if self.time_limit is None else parse_duration("--time-limit", self.time_limit)
        return Budget(tokens, seconds)


TraceOption = Annotated[
    Path | None,
    _option("--trace", panel=_OUTPUT, metavar="FILE", help="Write the event log; adascale replay shows it."),
]
ShowTreeOption = Annotated[
    bool, _option("--show-tree/--no-show-tree", "-T", panel=_OUTPUT, help="Show the search tree on stderr.")
]
ExtractOption = Annotated[
    bool, _option("--extract", "-x", panel=_OUTPUT, help="Print the final answer only.")
]


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``options: RunOptions`` by one parameter per field."""
    hints = get_type_hints(RunOptions, include_extras=True)
    added = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(RunOptions)
    ]
    own_hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "options"
    ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        options = RunOptions(**{field.name: values.pop(field.name) for field in fields(RunOptions)})
        use_color(options.color)
        if options.debug:
            os.environ[_env("DEBUG")] = "1"  # main() reads it, where errors end up
        command(options=options, **values)

    parameters = [own[0], *added, *own[1:]]  # the argument, then the panels from models to output
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    del run.__wrapped__  # inspect would look behind the new signature
    return run
