"""What ``ask`` and ``batch`` share, as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from adascale.engine.budget import Budget
from adascale.engine.errors import UsageError
from adascale.engine.strategies import STRATEGIES, Adapt, InstanceAdaptive, Strategy, strategy_named

from ..render.renderer import ProgressChoice
from .flatten import OUTPUT, SEARCH, env, option
from .search_options import SearchOptions
from .values import parse_count, parse_duration

StrategyName = Literal[
    "greedy", "vote", "best-of-n", "beam", "dvts", "adaptive", "adaptive-consistency", "margin"
]
ADAPT_HINT = "--strategy best-of-n --adapt n, or --strategy beam --adapt km"
assert set(STRATEGIES) == set(StrategyName.__args__)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class RunOptions(SearchOptions):
    """What ``ask`` and ``batch`` share, as typed by the user."""

    strategy: Annotated[
        StrategyName, option("--strategy", panel=SEARCH, envvar=env("STRATEGY"), help="How to search.")
    ] = "adaptive"
    adapt: Annotated[
        Adapt,
        option(
            "--adapt", panel=SEARCH,
            help="The paper's rules: n samples of vote and best-of-n, k prefixes and m children of a beam.",
        ),
    ] = "none"  # fmt: skip
    min_confidence: Annotated[
        float,
        option(
            "--min-confidence", panel=SEARCH, envvar=env("MIN_CONFIDENCE"), min=0.0, max=1.0,
            help="Below it an answer is not taken for known: status low_confidence, and ask exits with 3.",
        ),
    ] = 0.0  # fmt: skip
    budget: Annotated[
        str | None,
        option(
            "--budget", "-b", panel=SEARCH, envvar=env("BUDGET"), metavar="TOKENS",
            help="Most tokens for one question, but one solution is finished; 8k is 8000.",
        ),
    ] = None  # fmt: skip
    time_limit: Annotated[
        str | None,
        option(
            "--time-limit", panel=SEARCH, envvar=env("TIME_LIMIT"), metavar="TIME",
            help="Most time for one question, loading excluded, but one solution is finished: 90s, 5m.",
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int | None,
        option("--seed", panel=SEARCH, envvar=env("SEED"), min=0, help="Random unless given; shown by -v."),
    ] = None
    progress: Annotated[
        ProgressChoice,
        option(
            "--progress", panel=OUTPUT, envvar=env("PROGRESS"),
            help="What stderr shows; json is the event stream.",
        ),
    ] = "auto"  # fmt: skip

    def chosen(self) -> Strategy:
        """The strategy with its parameters.

        Raises:
            UsageError: a rule that the strategy does not have.
        """
        kind = STRATEGIES[self.strategy]
        if self.adapt != "none" and not (issubclass(kind, InstanceAdaptive) and self.adapt in kind.rules):
            raise UsageError(f"--adapt {self.adapt} is no rule of {self.strategy}", hint=ADAPT_HINT)
        return strategy_named(self.strategy, **self.parameters(), adapt=self.adapt)

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
    bool,
    option(
        "--show-tree/--no-show-tree",
        "-T",
        panel=OUTPUT,
        envvar=env("SHOW_TREE"),
        help="Show the search tree on stderr.",
    ),
]
ExtractOption = Annotated[bool, option("--extract", "-x", panel=OUTPUT, help="Print the final answer only.")]
