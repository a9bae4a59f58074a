"""What ``ask`` and ``batch`` share, as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from adascale.engine.budget import Budget
from adascale.engine.strategies import STRATEGIES, SearchParams, Strategy, strategy_named
from adascale.models.catalog import DEFAULT_GENERATOR

from .render.base import ProgressChoice
from .shared import (
    MODELS,
    OUTPUT,
    SEARCH,
    ColorOption,
    CtxSizeOption,
    DebugOption,
    ForceOption,
    GeneratorOption,
    GpuLayersOption,
    JsonOption,
    OfflineOption,
    PrmOption,
    QuietOption,
    SystemOption,
    TemperatureOption,
    ThreadsOption,
    TopPOption,
    VerboseOption,
    YesOption,
    env,
    option,
)
from .values import parse_count, parse_duration

StrategyName = Literal["greedy", "vote", "best-of-n", "beam", "dvts", "adaptive", "adaptive-consistency"]
assert set(STRATEGIES) == set(StrategyName.__args__)  # type: ignore[attr-defined]


CalibrationOption = Annotated[
    str,
    option(
        "--calibration",
        panel=MODELS,
        envvar=env("CALIBRATION"),
        metavar="auto|none|FILE",
        help="What turns judgements into probabilities; auto takes the one fitted on these very models.",
    ),
]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What ``ask`` and ``batch`` share, as typed by the user."""

    generator: GeneratorOption = DEFAULT_GENERATOR
    prm: PrmOption = "probe"
    calibration: CalibrationOption = "auto"
    strategy: Annotated[
        StrategyName, option("--strategy", panel=SEARCH, envvar=env("STRATEGY"), help="How to search.")
    ] = "vote"
    samples: Annotated[
        int, option("--samples", panel=SEARCH, min=1, max=1024, help="Trajectories of vote and best-of-n.")
    ] = 16
    beam_width: Annotated[
        int, option("--beam-width", panel=SEARCH, min=1, max=64, help="Prefixes that beam search keeps.")
    ] = 4
    branching: Annotated[
        int, option("--branching", panel=SEARCH, min=1, max=64, help="Children of each kept prefix.")
    ] = 4
    budget: Annotated[
        str | None,
        option(
            "--budget", "-b", panel=SEARCH, envvar=env("BUDGET"), metavar="TOKENS",
            help="Most tokens to generate for one question; 8k is 8000.",
        ),
    ] = None  # fmt: skip
    time_limit: Annotated[
        str | None,
        option(
            "--time-limit", panel=SEARCH, envvar=env("TIME_LIMIT"), metavar="TIME",
            help="Most time for one question, loading excluded: 90s, 5m.",
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int | None,
        option("--seed", panel=SEARCH, envvar=env("SEED"), min=0, help="Random unless given; shown by -v."),
    ] = None
    temperature: TemperatureOption = 0.8
    top_p: TopPOption = 0.95
    system: SystemOption = None
    ctx_size: CtxSizeOption = None
    threads: ThreadsOption = None
    gpu_layers: GpuLayersOption = "auto"
    offline: OfflineOption = False
    yes: YesOption = False
    force: ForceOption = False
    json_output: JsonOption = False
    progress: Annotated[
        ProgressChoice,
        option(
            "--progress", panel=OUTPUT, envvar=env("PROGRESS"),
            help="What stderr shows; json is the event stream.",
        ),
    ] = "auto"  # fmt: skip
    color: ColorOption = "auto"
    quiet: QuietOption = 0
    verbose: VerboseOption = 0

    debug: DebugOption = False

    @classmethod
    def of(cls, options: Any, **more: Any) -> RunOptions:
        """What another command's options have in common with these, and ``more``."""
        common = {f.name: getattr(options, f.name) for f in fields(cls) if hasattr(options, f.name)}
        return cls(**{**common, **more})

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
    option("--trace", panel=OUTPUT, metavar="FILE", help="Write the event log; adascale replay shows it."),
]
ShowTreeOption = Annotated[
    bool, option("--show-tree/--no-show-tree", "-T", panel=OUTPUT, help="Show the search tree on stderr.")
]
ExtractOption = Annotated[bool, option("--extract", "-x", panel=OUTPUT, help="Print the final answer only.")]
