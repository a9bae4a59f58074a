"""Parts that the options of several commands share: objects that are passed on unchanged, and single flags.

A flag stands in the type of its field, as Typer has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from adascale.engine.errors import UsageError
from adascale.engine.strategies import (
    EFFORTS,
    PAPER_TEMPERATURE,
    STRATEGIES,
    Adapt,
    Adaptive,
    Effort,
    InstanceAdaptive,
    ModeChoice,
    Preset,
    Strategy,
    StrategyOverrides,
    passing,
    with_mode,
)
from adascale.engine.types import Budget, KindName, MessageKind
from adascale.models.options import SessionOptions

from ..render.renderer import ProgressChoice
from ..terminal.console import ColorChoice
from .declare import OUTPUT, SEARCH, SERVER, TOP, YesOption
from .flags import EFFORT, of_efforts

_OF_A_KIND = {each.name for presets in EFFORTS.values() for each in presets.values()} - {Adaptive.name}
"""Strategies that the kind of a question chooses, and no user."""

if TYPE_CHECKING:
    StrategyName = str
else:  # a type checker wants them spelled; Typer reads them here
    StrategyName = Literal[tuple(name for name in STRATEGIES if name not in _OF_A_KIND)]

LARGEST = (1 << 63) - 1
"""Largest integer that a trace can hold."""

EffortOption = Annotated[Effort, EFFORT]
QuestionsOption = Annotated[
    int | None,
    SEARCH.flag(
        "--questions -n",
        "Number of questions to take, spread evenly over all files.",
        min=1,
        show_default="all",
    ),
]
ProgressOption = Annotated[
    ProgressChoice,
    OUTPUT.setting("--progress", "Progress display on stderr; json prints the stream of events."),
]
TracesOption = Annotated[
    Path | None,
    OUTPUT.flag(
        "--traces",
        "Folder to write the event log of each search to, named by the question's id.",
        metavar="DIR",
    ),
]
ParallelOption = Annotated[
    int, SERVER.setting("--parallel", "Number of questions to search at the same time.", min=1, max=256)
]
SeedOption = Annotated[
    int | None,
    SEARCH.setting(
        "--seed",
        "Seed of all sampling; a random one is chosen by default, and -v shows it.",
        min=0,
        max=LARGEST,
    ),
]
SeedOfChoiceOption = Annotated[
    int, SEARCH.flag("--seed", "Seed of the choice of questions and of all sampling.", min=0, max=LARGEST)
]
HurryOption = Annotated[
    bool | None,
    SEARCH.setting(
        "--hurry/--thrift",
        "--hurry saves time: several solutions of a question run at once if this machine is faster that way. "
        "--thrift saves tokens. The answer is the same, apart from rounding.",
        show_default="--hurry while one question is searched, --thrift for several",
    ),
]
ContinueOption = Annotated[
    bool,
    TOP.flag(
        "--continue -c", "Continue from the last question and answer of ask or chat.", show_default=False
    ),
]
SchemaOption = Annotated[
    Path | None,
    SEARCH.flag(
        "--schema",
        "Write the contents of the text as a JSON object of the schema in this file, and say of each field "
        "how likely it is to be correct.",
        metavar="FILE",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """Messages, colours and questions on the terminal."""

    color: Annotated[
        ColorChoice,
        OUTPUT.setting("--color", "Colours on stderr. auto uses them on a terminal unless NO_COLOR is set."),
    ] = "auto"
    quiet: Annotated[
        int,
        OUTPUT.flag(
            "--quiet -q",
            "Show neither progress nor how sure the answer is; -qq shows no warnings either.",
            count=True,
            show_default=False,
        ),
    ] = 0
    verbose: Annotated[
        int,
        OUTPUT.flag(
            "--verbose -v",
            "Show which files and seed are used; -vv also shows the log of llama.cpp.",
            count=True,
            show_default=False,
        ),
    ] = 0
    debug: Annotated[bool, OUTPUT.setting("--debug", "Show the traceback of an error.")] = False
    yes: YesOption = False


def session_for(preset: Preset, session: SessionOptions) -> SessionOptions:
    """The session, at the sampling temperature of the paper if --paper is given without a temperature."""
    if not preset.paper or session.sampling.temperature is not None:
        return session
    return replace(session, sampling=replace(session.sampling, temperature=PAPER_TEMPERATURE))


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a question is searched, and the probability that its answer needs to count as known."""

    kind: Annotated[
        MessageKind | None,
        SEARCH.flag(
            "--as",
            "Treat the question as this kind instead of recognising it: a value is computed, a choice has "
            "options, a fact is a name, a date or a place, and a text gets one reply without a search.",
            metavar="KIND",
        ),
    ] = None
    choices: Annotated[
        str | None,
        SEARCH.flag(
            "--choices",
            "Options to choose from, with commas between them: red,green,blue.",
            metavar="OPTIONS",
            show_default=False,
        ),
    ] = None
    strategy: Annotated[StrategyName, SEARCH.setting("--strategy", "Search strategy.")] = "adaptive"
    mode: Annotated[
        ModeChoice,
        SEARCH.setting(
            "--mode",
            "Reason in prose, or write Python programs that run in a sandbox. With auto, adaptive chooses "
            "for each solution; with a model that has no calibration it alternates between the two.",
        ),
    ] = "auto"
    adapt: Annotated[
        Adapt,
        SEARCH.flag(
            "--adapt",
            "Let a rule of the paper choose a number: n (solutions of vote and best-of-n), k (prefixes of a "
            "beam), m (continuations of a prefix), or km (both).",
        ),
    ] = "none"
    min_confidence: Annotated[
        float,
        SEARCH.setting(
            "--min-confidence",
            "Minimum probability; a less likely answer gets status low_confidence, and ask exits with code "
            "3.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.0
    budget: Budget = Budget()
    seed: SeedOption = None
    hurry: HurryOption = None
    preset: Preset = Preset()

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a choice that are given beside the question, as they were typed."""
        return () if self.choices is None else tuple(self.choices.split(","))

    def make_strategy(self, of_kind: KindName = "value", *, beside_tasks: bool = False) -> Strategy:
        """The strategy with its parameters; the mode ``auto`` is decided when the models are open.

        Args:
            of_kind: Kind of the questions.
            beside_tasks: Accept numbers for code tasks among the questions.

        Raises:
            UsageError: the strategy does not have this rule, mode or number.
        """
        kind = STRATEGIES[self.strategy]
        if self.adapt != "none" and not (issubclass(kind, InstanceAdaptive) and self.adapt in kind.rules):
            raise UsageError(
                f"--adapt {self.adapt} is no rule of {self.strategy}",
                hint="--strategy best-of-n --adapt n, or --strategy beam --adapt km",
            )
        self.preset.check_overrides([self.strategy, *([passing.Passing.name] if beside_tasks else [])])
        strategy = self.preset.strategy(self.strategy, of_kind)
        if self.adapt != "none":
            strategy = strategy.changed(adapt=self.adapt)
        return with_mode(strategy, self.mode)

    def make_code_strategy(self) -> Strategy:
        """The strategy for code tasks among the questions."""
        return self.preset.strategy(passing.Passing.name)


@dataclass(frozen=True, slots=True)
class CodeSearchOptions:
    """How a program for a task is searched."""

    mode: ModeChoice = "auto"
    effort: EffortOption = "medium"
    samples: Annotated[
        int | None,
        SEARCH.flag(
            "--samples",
            "Maximum number of programs.",
            min=1,
            max=1024,
            show_default=of_efforts("samples", "code"),
        ),
    ] = None
    budget: Budget = Budget()
    seed: SeedOption = None
    hurry: HurryOption = None

    def make_strategy(self) -> Strategy:
        """``passing`` with its parameters."""
        return Preset(self.effort, StrategyOverrides(samples=self.samples)).strategy(passing.Passing.name)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How a search is shown while it runs, and where it is kept."""

    show_tree: Annotated[
        bool, OUTPUT.setting("--show-tree/--no-show-tree -T", "Show the search tree on stderr.")
    ] = False
    trace: Annotated[
        Path | None,
        OUTPUT.flag(
            "--trace", "Write the event log to a file, which adascale replay can show again.", metavar="FILE"
        ),
    ] = None
    save: Annotated[
        bool,
        OUTPUT.setting(
            "--save/--no-save",
            "Keep the search in the history that adascale runs lists.",
        ),
    ] = True
    progress: ProgressOption = "auto"
    terminal: TerminalOptions = TerminalOptions()

    @property
    def says_end(self) -> bool:
        """True if a line about the answer goes to stderr."""
        return not self.terminal.quiet and self.progress != "json"


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The server that a question is sent to; without a URL models are opened here."""

    url: Annotated[
        str | None,
        SERVER.setting(
            "--server",
            "Ask a running adascale serve at this address instead of loading a model.",
            metavar="URL",
        ),
    ] = None
    api_key: Annotated[
        str | None,
        SERVER.setting(
            "--api-key",
            "API key of the server. Other users can see a command line, so prefer the environment variable.",
        ),
    ] = field(default=None, repr=False)
