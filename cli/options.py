"""What ``ask`` and ``batch`` share, as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from adascale.engine.budget import Budget
from adascale.engine.effort import EFFORTS, PAPER, PAPER_TEMPERATURE
from adascale.engine.errors import UsageError
from adascale.engine.strategies import STRATEGIES, SearchParams, Strategy, strategy_named
from adascale.engine.strategies.base import Adapt
from adascale.models.catalog import DEFAULT_GENERATOR

from .render.base import ProgressChoice
from .search_options import (
    BeamWidthOption,
    BranchingOption,
    ConfidenceOption,
    EffortOption,
    MinGainOption,
    PaperOption,
    SamplesOption,
    StopAtOption,
)
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
ADAPT_HINT = "--strategy best-of-n --adapt n, or --strategy beam --adapt km"
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
    ] = "adaptive"
    effort: EffortOption = "medium"
    samples: SamplesOption = None
    beam_width: BeamWidthOption = None
    branching: BranchingOption = None
    stop_at: StopAtOption = None
    min_gain: MinGainOption = None
    min_confidence: Annotated[
        float,
        option(
            "--min-confidence", panel=SEARCH, min=0.0, max=1.0, help="Exit 3 if the answer is less likely."
        ),
    ] = 0.0  # fmt: skip
    adapt: Annotated[
        Adapt,
        option(
            "--adapt", panel=SEARCH,
            help="The paper's rules: n samples of vote and best-of-n, k prefixes and m children of a beam.",
        ),
    ] = "none"  # fmt: skip
    confidence: ConfidenceOption = None
    paper: PaperOption = False
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
    temperature: TemperatureOption = None
    top_p: TopPOption = None
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
        """The strategy's numbers: of the paper or of the effort, and what was given beside.

        Raises:
            UsageError: a rule that the strategy does not have.
        """
        if self.adapt != "none" and self.adapt not in self.chosen().adapts:
            raise UsageError(f"--adapt {self.adapt} is no rule of {self.strategy}", hint=ADAPT_HINT)
        names = ("samples", "beam_width", "branching", "stop_at", "min_gain", "confidence")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(PAPER if self.paper else EFFORTS[self.effort], adapt=self.adapt, **given)

    def heat(self) -> float | None:
        """The sampling temperature; None for that of the calibration."""
        return PAPER_TEMPERATURE if self.paper and self.temperature is None else self.temperature

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
SaveOption = Annotated[
    bool,
    option(
        "--save/--no-save", panel=OUTPUT, envvar=env("SAVE"),
        help="Keep the search, unless --trace does; adascale runs lists them.",
    ),
]  # fmt: skip
ShowTreeOption = Annotated[
    bool, option("--show-tree/--no-show-tree", "-T", panel=OUTPUT, help="Show the search tree on stderr.")
]
ExtractOption = Annotated[bool, option("--extract", "-x", panel=OUTPUT, help="Print the final answer only.")]
