"""The options of each command: one frozen dataclass a command, made of objects that are passed on unchanged.

A flag, or an option of ``-o``, stands in the type of its field; the objects of the engine and the models have
theirs in ``flags.FLAGS``. A field without one is fixed for its command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from typer.models import OptionInfo

from adascale.engine.strategies import Preset
from adascale.engine.types import Budget
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import MAX_BRANCHES, FallbackOptions, QuestionFormat, SessionOptions

from .declare import JsonOption, OfflineOption, OverwriteOption, flag, option, setting
from .flags import ModelOption
from .parts import (
    CodeSearchOptions,
    ContinueOption,
    EffortOption,
    ParallelOption,
    QuestionsOption,
    SchemaOption,
    SearchOptions,
    SeedOfChoiceOption,
    TerminalOptions,
    TracesOption,
    ViewOptions,
    WidthOption,
)

_UNSANDBOXED = flag("--unsandboxed", "Run code tasks without a sandbox, with limits alone.")


@dataclass(frozen=True, slots=True)
class AskOptions:
    """Options of ``ask``; ``goes_on`` continues the conversation of the last run."""

    session: SessionOptions = SessionOptions()
    search: SearchOptions = SearchOptions()
    goes_on: ContinueOption = False
    schema: SchemaOption = None
    fallback: FallbackOptions = FallbackOptions()
    extract: Annotated[bool, flag("--extract -x", "Print only the final answer.")] = False
    json_output: JsonOption = False
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Options of ``chat``; ``goes_on`` continues the conversation of the last run."""

    session: SessionOptions = SessionOptions(is_roomy=True)
    search: SearchOptions = SearchOptions()
    goes_on: ContinueOption = False
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """Options of ``code``."""

    test: Annotated[
        list[str],
        flag("--test", "Code that fails if the program is wrong; repeatable.", metavar="ASSERT"),
    ] = field(default_factory=list)
    tests: Annotated[
        Path | None, flag("--tests", "File of asserts, or of test functions as for pytest.", metavar="FILE")
    ] = None
    output: Annotated[
        Path | None, flag("--output", "File for the program, instead of stdout.", metavar="FILE")
    ] = None
    overwrite: OverwriteOption = False
    session: SessionOptions = SessionOptions()
    search: CodeSearchOptions = CodeSearchOptions()
    json_output: JsonOption = False
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options of ``batch``."""

    output: Annotated[str, flag("--output", "File for the records, as JSON Lines.", metavar="FILE|-")] = "-"
    overwrite: Annotated[
        bool, flag("--overwrite", "Start with an empty output instead of continuing it.")
    ] = False
    form: Annotated[
        QuestionFormat,
        option(
            "batch: form of the questions; auto goes by the name of the file, or by each line.", name="format"
        ),
    ] = "auto"
    question_field: Annotated[str, flag("--field", "Field that holds the question.", metavar="NAME")] = (
        "question"
    )
    limit: Annotated[
        int | None, flag("--limit", "Read only this many questions.", metavar="N", min=1, max=1_000_000_000)
    ] = None
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    search: SearchOptions = SearchOptions()
    schema: SchemaOption = None
    fallback: FallbackOptions = FallbackOptions()
    traces: TracesOption = None
    fail_on_error: Annotated[bool, option("batch: stop at the first question that fails.")] = False
    ray: Annotated[
        str | None,
        option("batch: Ray cluster, on all of whose nodes to run.", unit="ADDRESS or auto", usual="none"),
    ] = None
    dry_run: Annotated[bool, flag("--dry-run", "Say what a run would do, without a model.")] = False
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of ``serve``; a request may lower the limit of tokens of ``budget``."""

    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, is_roomy=True)
    effort: EffortOption = "medium"
    budget: Budget = Budget()
    host: Annotated[
        str,
        setting(
            "--host",
            "Address to listen on; others than loopback need an API key.",
            metavar="HOST",
            show_default=True,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        setting(
            "--port -p",
            "Port to listen on; 0 takes a free one.",
            metavar="N",
            min=0,
            max=65535,
            show_default=True,
        ),
    ] = 8321
    api_key_file: Annotated[
        Path | None, setting("--api-key-file", "File that holds the API key.", metavar="FILE")
    ] = None
    cors_origin: Annotated[
        list[str],
        flag("--cors-origin", "Origin of pages that may send requests; repeatable.", metavar="ORIGIN"),
    ] = field(default_factory=list)
    traces: TracesOption = None
    fallback: FallbackOptions = FallbackOptions()
    terminal: TerminalOptions = TerminalOptions()
    parallel: ParallelOption = 8
    max_queue: Annotated[
        int, option("serve: questions that wait; further ones are refused.", min=0, max=10_000)
    ] = 64


@dataclass(frozen=True, slots=True)
class McpOptions:
    """Options of ``mcp``; ``parallel`` and ``budget`` mean the same as for ``serve``."""

    print_config: Annotated[
        bool, flag("--print-config", "Print what to paste into the settings of an agent.")
    ] = False
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES)
    budget: Budget = Budget()
    parallel: ParallelOption = 8
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """Options of ``eval``."""

    strategies: Annotated[
        str,
        flag(
            "--strategies",
            "What to compare: NAME[:N][@EFFORT][+RULE][/MODE][+redraw], with commas. :N is the number of "
            "solutions, +n, +k, +m or +km a rule of the paper, the mode prose, program or both; +redraw "
            "rewrites steps with a wrong sum.",
            metavar="LIST",
            show_default=True,
        ),
    ] = "greedy,vote:4,vote:16,adaptive"
    questions: QuestionsOption = None
    repeats: Annotated[
        int,
        flag(
            "--repeats",
            "Runs of each strategy, each with other random numbers.",
            metavar="N",
            min=1,
            max=1000,
        ),
    ] = 1
    seed: SeedOfChoiceOption = 0
    json_output: JsonOption = False
    width: WidthOption = None
    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="replay")
    preset: Preset = Preset()
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """Options of ``calibrate check``, which are also some of ``calibrate fit``."""

    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="rollouts")
    data: Annotated[
        list[Path], flag("--data -d", "JSON Lines with question and answer; repeatable.", metavar="FILE")
    ] = field(default_factory=list)
    questions: QuestionsOption = None
    seed: SeedOfChoiceOption = 0
    samples: Annotated[
        int,
        flag(
            "--samples -k",
            "Solutions in prose of each question.",
            metavar="N",
            min=1,
            max=64,
            show_default=True,
        ),
    ] = 3
    programs: Annotated[
        int,
        flag("--programs", "Programs for each question.", metavar="N", min=0, max=64, show_default=True),
    ] = 3
    json_output: JsonOption = False
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of ``calibrate fit``; ``run`` has the questions, the samples and the models."""

    run: CalibrationOptions = CalibrationOptions(
        session=SessionOptions(calibration="none", branches=MAX_BRANCHES, purpose="rollouts")
    )
    output: Annotated[
        Path | None, flag("--output", "File to write; by default where ask finds it.", metavar="FILE")
    ] = None


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Options of ``doctor``."""

    generator: ModelOption = DEFAULT_GENERATOR
    offline: OfflineOption = False
    json_output: JsonOption = False


OVERRIDES: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    ChatOptions: {"search.choices": None, "search.min_confidence": None, "view.trace": None},
    CodeOptions: {
        "session.prm": None,
        "session.calibration": None,
        "session.system": None,
        "session.unsandboxed": _UNSANDBOXED,
    },
    BatchOptions: {"session.unsandboxed": _UNSANDBOXED},
    EvalOptions: {"session.unsandboxed": _UNSANDBOXED},
    FitOptions: {"run.session.calibration": None},
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
"""Name of each dataclass's command. ``config show`` has the default of the first command with a setting."""
