"""The options of each command: one frozen dataclass a command, made of objects that are passed on unchanged.

A field without a flag (``flags.FLAGS``) is fixed for its command.
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
    StrategyOverrides,
    passing,
    with_mode,
)
from adascale.engine.types import Budget, KindName, MessageKind
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import MAX_BRANCHES, FallbackOptions, SessionOptions
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
    """Messages, colours and questions on the terminal.

    Attributes:
        color: Colour on stderr.
        quiet: 1 hides progress, 2 hides warnings too.
        verbose: 1 shows the files and the seed, 2 also the log of llama.cpp.
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
    """How a question is searched, and the probability that its answer needs to count as known.

    Attributes:
        kind: Kind to take every question for; None to recognise it.
        choices: Options of the questions, with commas between them.
        hurry: As ``engine.search.settings.Settings`` has it.
    """

    kind: MessageKind | None = None
    choices: str = ""
    strategy: StrategyName = "adaptive"
    mode: ModeChoice = "auto"
    adapt: Adapt = "none"
    min_confidence: float = 0.0
    budget: Budget = Budget()
    seed: int | None = None
    hurry: bool | None = None
    preset: Preset = Preset()

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a choice that are given beside the question."""
        return tuple(filter(None, (option.strip() for option in self.choices.split(","))))

    def make_strategy(self, of_kind: KindName = "value", *, beside_tasks: bool = False) -> Strategy:
        """The strategy with its parameters; the mode ``auto`` is decided when the models are open.

        Args:
            of_kind: Kind of the questions.
            beside_tasks: Accept ``--samples`` for code tasks among the questions.

        Raises:
            UsageError: the strategy does not have this rule, mode or number.
        """
        kind = STRATEGIES[self.strategy]
        if kind is passing.Passing:
            raise UsageError(
                "passing writes programs until one passes its tests, and a question has none",
                hint='adascale code "Square n." --test "assert f(2) == 4"',
            )
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

    effort: Effort = "medium"
    samples: int | None = None
    budget: Budget = Budget()
    seed: int | None = None
    hurry: bool | None = None

    def make_strategy(self) -> Strategy:
        """``passing`` with its parameters."""
        return Preset(self.effort, StrategyOverrides(samples=self.samples)).strategy(passing.Passing.name)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How a search is shown while it runs, and where it is kept."""

    show_tree: bool = False
    trace: Path | None = None
    save: bool = True
    progress: ProgressChoice = "auto"
    terminal: TerminalOptions = TerminalOptions()

    @property
    def says_end(self) -> bool:
        """True if a line about the answer goes to stderr."""
        return not self.terminal.quiet and self.progress != "json"


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The server that a question is sent to; without a URL models are opened here."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AskOptions:
    """Options of ``ask``; ``goes_on`` continues the conversation of the last run."""

    goes_on: bool = False
    schema: Path | None = None
    extract: bool = False
    json_output: bool = False
    server: ServerChoice = ServerChoice()
    fallback: FallbackOptions = FallbackOptions()
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions()
    view: ViewOptions = ViewOptions()

    @property
    def prints_reply(self) -> bool:
        """True if a reply without an answer goes to stdout while it is generated."""
        return not self.json_output


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Options of ``chat``; ``goes_on`` continues the conversation of the last run."""

    goes_on: bool = False
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions(is_roomy=True)
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """Options of ``code``."""

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
    """Options of ``batch``."""

    output: str = "-"
    form: QuestionFormat = "auto"
    question_field: str = "question"
    schema: Path | None = None
    show_tree: bool = False
    traces: Path | None = None
    limit: int | None = None
    only_failed: bool = False
    overwrite: bool = False
    fail_on_error: bool = False
    ray: str | None = None
    dry_run: bool = False
    fallback: FallbackOptions = FallbackOptions()
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    progress: ProgressChoice = "auto"
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of ``serve``.

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
    fallback: FallbackOptions = FallbackOptions()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, is_roomy=True)
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class McpOptions:
    """Options of ``mcp``; ``parallel`` and ``budget`` mean the same as for ``serve``."""

    print_config: bool = False
    parallel: int = 8
    budget: Budget = Budget()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """Options of ``eval``."""

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
    """Options of ``calibrate check``, which are also some of ``calibrate fit``."""

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
    """Options of ``calibrate fit``.

    Attributes:
        method: Loss of the fit.
        quick: Fit on few questions unless their number is given.
        unlabelled: Files of questions without answers.
        output: File to write; None for the folder in which ``ask`` looks.
        run: Questions, samples and models.
    """

    method: Method = "beta"
    quick: bool = False
    unlabelled: list[Path] = field(default_factory=list)
    output: Path | None = None
    run: CalibrationOptions = CalibrationOptions(
        session=SessionOptions(calibration="none", branches=MAX_BRANCHES, purpose="rollouts")
    )

    def sized(self) -> Self:
        """These options with the number of questions; a quick fit takes few."""
        questions = self.run.questions or (QUICK if self.quick else None)
        return replace(self, run=replace(self.run, questions=questions))


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Options of ``doctor``."""

    generator: str = DEFAULT_GENERATOR
    offline: bool = False
    json_output: bool = False


OPTION_TYPES: Mapping[type[Any], str] = {
    AskOptions: "ask",
    ChatOptions: "chat",
    CodeOptions: "code",
    BatchOptions: "batch",
    ServeOptions: "serve",
    McpOptions: "mcp",
    EvalOptions: "eval",
    FitOptions: "calibrate fit",
    CalibrationOptions: "calibrate check",
    DoctorOptions: "doctor",
}
"""Name of each dataclass's command. ``config show`` shows the default of the first command with a setting."""
