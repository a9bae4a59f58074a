"""The options of each command: one frozen dataclass a command, made of objects that are passed on unchanged.

A flag stands in the type of its field, as Typer has it; the objects of the engine and the models have theirs
in ``flags.FLAGS``. A field without a flag is fixed for its command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self

from typer.models import OptionInfo

from adascale.engine.strategies import Preset
from adascale.engine.types import Budget
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import MAX_BRANCHES, ROOMY_WINDOW, FallbackOptions, SessionOptions
from adascale.models.questions import QuestionFormat

from .declare import (
    MACHINE,
    OFFLINE,
    OUTPUT,
    OVERWRITE,
    SEARCH,
    SERVER,
    TOP,
    JsonOption,
)
from .flags import ModelOption, ctx_size
from .parts import (
    LARGEST,
    CodeSearchOptions,
    ContinueOption,
    EffortOption,
    ParallelOption,
    ProgressOption,
    QuestionsOption,
    SchemaOption,
    SearchOptions,
    SeedOfChoiceOption,
    ServerChoice,
    TerminalOptions,
    TracesOption,
    ViewOptions,
)

QUICK = 60
"""Questions of a quick fit."""

_ROOMY = f"{ROOMY_WINDOW}, or what model and memory allow,"
_UNSANDBOXED = MACHINE.flag(
    "--unsandboxed", "Run code tasks in CPython without a sandbox, with limits of time and memory only."
)


@dataclass(frozen=True, slots=True)
class AskOptions:
    """Options of ``ask``; ``goes_on`` continues the conversation of the last run."""

    goes_on: ContinueOption = False
    schema: SchemaOption = None
    extract: Annotated[
        bool, OUTPUT.flag("--extract -x", "Print only the final answer, or the reply to a text.")
    ] = False
    json_output: JsonOption = False
    server: ServerChoice = ServerChoice()
    fallback: FallbackOptions = FallbackOptions()
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions()
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Options of ``chat``; ``goes_on`` continues the conversation of the last run."""

    goes_on: ContinueOption = False
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions(is_roomy=True)
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """Options of ``code``."""

    test: Annotated[
        list[str],
        TOP.flag(
            "--test",
            "Python code that fails if the program is wrong. Can be given several times.",
            metavar="ASSERT",
            show_default=False,
        ),
    ] = field(default_factory=list)
    tests: Annotated[
        Path | None, TOP.flag("--tests", "File of asserts, or of test functions as for pytest.")
    ] = None
    output: Annotated[
        Path | None,
        TOP.flag("--output -o", "File to write the program to instead of stdout.", metavar="FILE"),
    ] = None
    overwrite: Annotated[bool, OVERWRITE] = False
    json_output: JsonOption = False
    search: CodeSearchOptions = CodeSearchOptions()
    session: SessionOptions = SessionOptions()
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options of ``batch``."""

    output: Annotated[
        str, TOP.flag("--output -o", "File to write the records to, as JSON Lines.", metavar="FILE|-")
    ] = "-"
    form: Annotated[
        QuestionFormat,
        OUTPUT.flag(
            "--format", "Format of the questions. auto goes by the name of the file, or by each line."
        ),
    ] = "auto"
    question_field: Annotated[
        str, OUTPUT.flag("--field", "Field that holds the question.", metavar="NAME")
    ] = "question"
    schema: SchemaOption = None
    traces: TracesOption = None
    limit: Annotated[
        int | None, SEARCH.flag("--limit", "Read only this many questions.", min=1, max=LARGEST)
    ] = None
    only_failed: Annotated[
        bool, SEARCH.flag("--only-failed", "Ask only the questions that failed in an earlier run.")
    ] = False
    overwrite: Annotated[
        bool, OUTPUT.flag("--overwrite", "Start again with an empty output instead of continuing it.")
    ] = False
    fail_on_error: Annotated[
        bool, OUTPUT.flag("--fail-on-error", "Stop at the first question or line that fails.")
    ] = False
    ray: Annotated[
        str | None,
        MACHINE.flag("--ray", "Run on all nodes of the Ray cluster at this address.", metavar="ADDRESS|auto"),
    ] = None
    dry_run: Annotated[
        bool,
        OUTPUT.flag("--dry-run", "Read the questions and say what a run would do, without loading a model."),
    ] = False
    fallback: FallbackOptions = FallbackOptions()
    search: SearchOptions = SearchOptions()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    progress: ProgressOption = "auto"
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of ``serve``; a request may lower the limit of tokens of ``budget``."""

    host: Annotated[
        str,
        SERVER.setting("--host", "Address to listen on. Addresses other than loopback need an API key."),
    ] = "127.0.0.1"
    port: Annotated[
        int, SERVER.setting("--port -p", "Port to listen on; 0 chooses a free one.", min=0, max=65535)
    ] = 8321
    api_key: Annotated[
        str | None,
        SERVER.setting(
            "--api-key",
            "API key that clients have to send. Other users can see a command line, so prefer "
            "--api-key-file or the environment variable.",
        ),
    ] = field(default=None, repr=False)
    api_key_file: Annotated[
        Path | None, SERVER.flag("--api-key-file", "File that holds the API key.", metavar="FILE")
    ] = None
    cors_origin: Annotated[
        list[str],
        SERVER.flag(
            "--cors-origin",
            "Origin of a web page whose scripts may send requests. Can be given several times.",
            metavar="ORIGIN",
            show_default=False,
        ),
    ] = field(default_factory=list)
    parallel: ParallelOption = 8
    max_queue: Annotated[
        int,
        SERVER.setting(
            "--max-queue", "Maximum number of waiting questions; further ones are refused.", min=0, max=10_000
        ),
    ] = 64
    effort: EffortOption = "medium"
    budget: Budget = Budget()
    strict: Annotated[
        bool,
        SERVER.setting(
            "--strict", "Refuse requests with fields that have no effect, instead of ignoring these fields."
        ),
    ] = False
    traces: TracesOption = None
    fallback: FallbackOptions = FallbackOptions()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, is_roomy=True)
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class McpOptions:
    """Options of ``mcp``; ``parallel`` and ``budget`` mean the same as for ``serve``."""

    print_config: Annotated[
        bool, TOP.flag("--print-config", "Print the configuration to paste into the settings of an agent.")
    ] = False
    parallel: ParallelOption = 8
    budget: Budget = Budget()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """Options of ``eval``."""

    strategies: Annotated[
        str,
        SEARCH.flag(
            "--strategies",
            "Strategies to compare. :N sets the number of solutions, @EFFORT an effort, +n, +k, +m or +km a "
            "rule of the paper, /prose, /program or /both the mode (by default that of ask), and +redraw at "
            "the end rewrites steps with a wrong sum.",
            metavar="NAME[:N][@EFFORT][+RULE][/MODE][+redraw],...",
        ),
    ] = "greedy,vote:4,vote:16,adaptive"
    questions: QuestionsOption = None
    repeats: Annotated[
        int,
        SEARCH.flag(
            "--repeats", "Number of runs of each strategy, each with other random numbers.", min=1, max=1000
        ),
    ] = 1
    seed: SeedOfChoiceOption = 0
    json_output: JsonOption = False
    preset: Preset = Preset()
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="replay")
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """Options of ``calibrate check``, which are also some of ``calibrate fit``."""

    data: Annotated[
        list[Path],
        SEARCH.flag(
            "--data -d",
            "JSON Lines with question and answer. Can be given several times.",
            metavar="FILE",
            show_default=False,
        ),
    ] = field(default_factory=list)
    questions: QuestionsOption = None
    samples: Annotated[
        int, SEARCH.flag("--samples -k", "Number of solutions in prose for each question.", min=1, max=64)
    ] = 3
    rollouts: Annotated[
        int,
        SEARCH.flag(
            "--rollouts -r", "Number of further solutions from one prefix of each question.", min=0, max=64
        ),
    ] = 0
    programs: Annotated[
        int,
        SEARCH.flag("--programs", "Number of programs for each question or code task.", min=0, max=64),
    ] = 3
    seed: SeedOfChoiceOption = 0
    json_output: JsonOption = False
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="rollouts")
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of ``calibrate fit``; ``run`` has the questions, the samples and the models."""

    quick: Annotated[
        bool, SEARCH.flag("--quick", f"Fit on {QUICK} questions, unless --questions is given.")
    ] = False
    output: Annotated[
        Path | None,
        OUTPUT.flag("--output -o", "File to write.", metavar="FILE", show_default="where ask finds it"),
    ] = None
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

    generator: ModelOption = DEFAULT_GENERATOR
    offline: Annotated[bool, OFFLINE] = False
    json_output: JsonOption = False


OVERRIDES: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    AskOptions: {"session.ctx_size": ctx_size("--ctx-size")},
    ChatOptions: {
        "session.ctx_size": ctx_size("--ctx-size", _ROOMY),
        "search.choices": None,
        "search.min_confidence": None,
        "view.trace": None,
    },
    CodeOptions: {
        "session.prm": None,
        "session.calibration": None,
        "session.system": None,
        "session.unsandboxed": _UNSANDBOXED,
    },
    BatchOptions: {"session.unsandboxed": _UNSANDBOXED},
    ServeOptions: {"session.ctx_size": ctx_size("--ctx-size -c", _ROOMY)},
    EvalOptions: {"session.unsandboxed": _UNSANDBOXED},
    CalibrationOptions: {
        "session.calibration": SEARCH.flag(
            "--calibration", "Calibration to check; none measures the raw scores.", metavar="auto|none|FILE"
        )
    },
    FitOptions: {
        "run.data": SEARCH.flag(
            "--data -d",
            "JSON Lines with question and answer. Can be given several times; the default is the 300 "
            "bundled questions.",
            metavar="FILE",
            show_default=False,
        ),
        "run.session.calibration": None,
    },
}
"""Flags of fields inside a command's dataclass that are others there, by dotted path; None for no flag."""

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
