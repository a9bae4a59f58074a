"""Parts that the options of several commands share: objects that are passed on unchanged, and single flags.

A flag, or an option of ``-o``, stands in the type of its field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from adascale.models.options import MAX_BRANCHES, SessionOptions

from ..terminal.console import ColorChoice
from .declare import YesOption, flag, option, setting
from .flags import EFFORT, of_efforts

_OF_A_KIND = {each.name for presets in EFFORTS.values() for each in presets.values()} - {Adaptive.name}
"""Strategies that the kind of a question chooses, and no user."""

_CHOSEN = [name for name in STRATEGIES if name not in _OF_A_KIND]

if TYPE_CHECKING:
    StrategyName = str
else:  # a type checker wants them spelled; Typer reads them here
    StrategyName = Literal[tuple(_CHOSEN)]

_SEEDS = (1 << 31) - 1
"""Largest seed; a random one has 31 bits."""

EffortOption = Annotated[Effort, EFFORT]
QuestionsOption = Annotated[
    int | None,
    flag("--questions -n", "Number of questions, spread evenly over all files.", metavar="N", min=1),
]
TracesOption = Annotated[
    Path | None, flag("--traces", "Folder for the event log of each search.", metavar="DIR")
]
ParallelOption = Annotated[
    int, option("serve and mcp: questions that are searched at the same time.", min=1, max=256)
]
SeedOption = Annotated[
    int | None,
    setting("--seed", "Seed of sampling; random by default.", metavar="N", min=0, max=_SEEDS),
]
SeedOfChoiceOption = Annotated[
    int,
    flag("--seed", "Seed of the choice of questions and of all sampling.", metavar="N", min=0, max=_SEEDS),
]
WidthOption = Annotated[
    int | None,
    option(
        "Solutions of a question that run side by side.",
        min=1,
        max=MAX_BRANCHES,
        usual="what is fastest on this machine; 4 at most in a batch",
    ),
]
ContinueOption = Annotated[bool, flag("--continue -c", "Continue the last conversation of ask or chat.")]
SchemaOption = Annotated[
    Path | None,
    flag("--schema", "Fill in the JSON schema of this file from the text.", metavar="FILE"),
]


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """Messages, colours and questions on the terminal."""

    quiet: Annotated[
        int, flag("--quiet -q", "Only the answer and warnings; -qq leaves out these too.", count=True)
    ] = 0
    verbose: Annotated[
        int, flag("--verbose -v", "Files and seed; -vv adds the log of llama.cpp.", count=True)
    ] = 0
    yes: YesOption = False
    color: Annotated[
        ColorChoice, option("Colours on stderr; auto has them on a terminal, unless NO_COLOR is set.")
    ] = "auto"


def session_for(preset: Preset, session: SessionOptions) -> SessionOptions:
    """The session, at the sampling temperature of the paper if it is wanted without a temperature."""
    if not preset.paper or session.sampling.temperature is not None:
        return session
    return replace(session, sampling=replace(session.sampling, temperature=PAPER_TEMPERATURE))


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a question is searched, and the probability that its answer needs to count as known."""

    preset: Preset = Preset()
    strategy: Annotated[
        StrategyName, setting("--strategy", f"Search strategy: {', '.join(_CHOSEN)}.", metavar="NAME")
    ] = "adaptive"
    mode: Annotated[ModeChoice, setting("--mode", "How solutions reason.", metavar="auto|prose|program")] = (
        "auto"
    )
    kind: Annotated[
        MessageKind | None,
        flag(
            "--as",
            "Kind of question: value, choice, yes-no, fact or text.",
            metavar="KIND",
        ),
    ] = None
    choices: Annotated[
        str | None, flag("--choices", "Options to choose from: red,green,blue.", metavar="A,B,C")
    ] = None
    budget: Budget = Budget()
    seed: SeedOption = None
    width: WidthOption = None
    adapt: Annotated[
        Adapt,
        option("Rule of the paper that chooses a number: n of best-of-n, k, m or both of a beam."),
    ] = "none"
    min_confidence: Annotated[
        float,
        option(
            "Probability below which an answer has status low_confidence, and ask exits with code 3.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.0

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
                f"-o adapt {self.adapt} is no rule of {self.strategy}",
                hint="--strategy best-of-n -o adapt n, or --strategy beam -o adapt km",
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

    effort: EffortOption = "medium"
    mode: ModeChoice = "auto"
    budget: Budget = Budget()
    seed: SeedOption = None
    width: WidthOption = None
    samples: Annotated[
        int | None, option("Programs at most.", min=1, max=1024, usual=of_efforts("samples", "code"))
    ] = None

    def make_strategy(self) -> Strategy:
        """``passing`` with its parameters."""
        return Preset(self.effort, StrategyOverrides(samples=self.samples)).strategy(passing.Passing.name)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How a search is shown while it runs, and where it is kept."""

    show_tree: Annotated[bool, setting("--show-tree -T", "Show the search tree.")] = False
    trace: Annotated[
        Path | None, flag("--trace", "File for the event log, which adascale replay reads.", metavar="FILE")
    ] = None
    save: Annotated[bool, setting("--save/--no-save", "Keep the search in the history.")] = True
    terminal: TerminalOptions = TerminalOptions()
