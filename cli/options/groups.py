"""What each command takes: one frozen dataclass a command, made of objects that are handed on as they are.

A field without a flag (``flags.FLAGS``) is not the user's to set: it says what the command always does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from adascale.engine.calibration import Method
from adascale.engine.errors import UsageError
from adascale.engine.strategies import (
    PAPER_TEMPERATURE,
    STRATEGIES,
    Adapt,
    Effort,
    InstanceAdaptive,
    ModeChoice,
    Preset,
    Strategy,
    passing,
    with_mode,
)
from adascale.engine.types import Budget
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import MAX_BRANCHES, SessionOptions
from adascale.models.questions import QuestionFormat

from ..render.renderer import ProgressChoice
from ..terminal.console import ColorChoice

if TYPE_CHECKING:
    StrategyName = str
else:
    StrategyName = Literal[tuple(STRATEGIES)]  # a type checker wants them spelled; Typer reads them here

QUICK = 60
"""Questions of a quick fit."""


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """How a command talks with the person who typed it.

    Attributes:
        color: Colour on stderr.
        quiet: 0, 1 for no progress, 2 for no warnings either.
        verbose: 0, 1 to say what is used, 2 for llama.cpp's log.
        debug: Show tracebacks.
        yes: Download without asking.
    """

    color: ColorChoice = "auto"
    quiet: int = 0
    verbose: int = 0
    debug: bool = False
    yes: bool = False


def session_for(preset: Preset, session: SessionOptions) -> SessionOptions:
    """The session, at the sampling temperature of the paper if --paper is given without a temperature."""
    if not preset.paper or session.sampling.temperature is not None:
        return session
    return replace(session, sampling=replace(session.sampling, temperature=PAPER_TEMPERATURE))


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a question is searched, and the probability that its answer needs to count as known."""

    strategy: StrategyName = "adaptive"
    mode: ModeChoice = "auto"
    adapt: Adapt = "none"
    min_confidence: float = 0.0
    budget: Budget = Budget()
    seed: int | None = None
    preset: Preset = Preset()

    def make_strategy(self, *, beside_tasks: bool = False) -> Strategy:
        """The strategy with its parameters; a mode that is ``auto`` is settled where models are open.

        Args:
            beside_tasks: Whether there may be code tasks too, whose programs ``--samples`` counts.

        Raises:
            UsageError: a rule, a mode or a number that the strategy does not have.
        """
        kind = STRATEGIES[self.strategy]
        if kind is passing.Passing:
            raise UsageError(
                "passing draws programs until one passes its tests, and a question has none",
                hint='adascale code "Square n." --test "assert f(2) == 4"',
            )
        if self.adapt != "none" and not (issubclass(kind, InstanceAdaptive) and self.adapt in kind.rules):
            raise UsageError(
                f"--adapt {self.adapt} is no rule of {self.strategy}",
                hint="--strategy best-of-n --adapt n, or --strategy beam --adapt km",
            )
        self.preset.check_overrides([self.strategy, *([passing.Passing.name] if beside_tasks else [])])
        strategy = self.preset.strategy(self.strategy)
        if self.adapt != "none":
            strategy = strategy.changed(adapt=self.adapt)
        return with_mode(strategy, self.mode)

    def make_code_strategy(self) -> Strategy:
        """The strategy for code tasks among the questions."""
        return _passing(self.preset.effort, self.preset.overrides.samples)


def _passing(effort: Effort, samples: int | None) -> Strategy:
    strategy = passing.EFFORTS[effort]
    return strategy if samples is None else replace(strategy, samples=samples)


@dataclass(frozen=True, slots=True)
class CodeSearchOptions:
    """How the program of one task is searched."""

    effort: Effort = "medium"
    samples: int | None = None
    budget: Budget = Budget()
    seed: int | None = None

    def make_strategy(self) -> Strategy:
        """``passing`` with its parameters."""
        return _passing(self.effort, self.samples)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How one search is shown while it runs, and kept."""

    show_tree: bool = False
    trace: Path | None = None
    save: bool = True
    progress: ProgressChoice = "auto"
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The server that a question goes to; without a URL the models of this machine answer."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AskOptions:
    """What ``ask`` takes beside the question."""

    extract: bool = False
    json_output: bool = False
    server: ServerChoice = ServerChoice()
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions()
    view: ViewOptions = ViewOptions()

    @property
    def prints_reply(self) -> bool:
        """True if a reply without an answer goes to stdout while it is generated."""
        return not (self.extract or self.json_output)


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """What ``code`` takes beside the task."""

    test: list[str] = field(default_factory=list)
    tests: Path | None = None
    output: Path | None = None
    overwrite: bool = False
    json_output: bool = False
    search: CodeSearchOptions = CodeSearchOptions()
    session: SessionOptions = SessionOptions()
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What ``batch`` takes beside the questions."""

    output: str = "-"
    form: QuestionFormat = "auto"
    question_field: str = "question"
    show_tree: bool = False
    traces: Path | None = None
    limit: int | None = None
    only_failed: bool = False
    overwrite: bool = False
    fail_on_error: bool = False
    ray: str | None = None
    dry_run: bool = False
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    progress: ProgressChoice = "auto"
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What ``serve`` takes.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        api_key: Key that clients have to send; ``api_key_file`` holds one instead.
        cors_origin: Origins of pages whose scripts may ask.
        parallel: Questions that are searched at once.
        max_queue: Questions that wait at most.
        effort: Effort of a request that names none.
        budget: Limits of each search; a request may lower that of tokens.
        strict: Refuse requests with fields that have no effect.
        traces: Folder for the searches' event logs; None keeps none.
    """

    host: str = "127.0.0.1"
    port: int = 8321
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    cors_origin: list[str] = field(default_factory=list)
    parallel: int = 8
    max_queue: int = 64
    effort: Effort = "medium"
    budget: Budget = Budget()
    strict: bool = False
    traces: Path | None = None
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, is_roomy=True)
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class McpOptions:
    """What ``mcp`` takes; ``parallel`` and ``budget`` as of ``serve``."""

    print_config: bool = False
    parallel: int = 8
    budget: Budget = Budget()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What ``eval`` takes beside the questions."""

    strategies: str = "greedy,vote:4,vote:16,adaptive"
    questions: int | None = None
    repeats: int = 1
    seed: int = 0
    plot: Path | None = None
    csv_output: bool = False
    json_output: bool = False
    preset: Preset = Preset()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="replay")
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """What ``calibrate fit`` and ``calibrate check`` share: questions, draws, models, and what is shown."""

    data: list[Path] = field(default_factory=list)
    questions: int | None = None
    samples: int = 3
    rollouts: int = 0
    programs: int = 3
    seed: int = 0
    plot: Path | None = None
    json_output: bool = False
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="rollouts")
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What ``calibrate fit`` takes.

    Attributes:
        method: How a stage is fitted.
        quick: Few questions, where no number is given.
        unlabelled: Files of questions whose answers nobody knows.
        output: File to write; None where ``ask`` finds it.
        run: Questions, draws and models.
    """

    method: Method = "beta"
    quick: bool = False
    unlabelled: list[Path] = field(default_factory=list)
    output: Path | None = None
    run: CalibrationOptions = CalibrationOptions(
        session=SessionOptions(calibration="none", branches=MAX_BRANCHES, purpose="rollouts")
    )

    def sized(self) -> Self:
        """The same, on few questions where it is to be quick and no number is given."""
        questions = self.run.questions or (QUICK if self.quick else None)
        return replace(self, run=replace(self.run, questions=questions))


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What ``calibrate check`` takes."""

    run: CalibrationOptions = CalibrationOptions()


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What ``doctor`` takes."""

    generator: str = DEFAULT_GENERATOR
    offline: bool = False
    json_output: bool = False


OPTION_TYPES: Mapping[type[Any], str] = {
    AskOptions: "ask",
    CodeOptions: "code",
    BatchOptions: "batch",
    ServeOptions: "serve",
    McpOptions: "mcp",
    EvalOptions: "eval",
    FitOptions: "calibrate fit",
    CheckOptions: "calibrate check",
    DoctorOptions: "doctor",
}
"""The command of each dataclass; where two have the same setting, the first one's default is shown."""
