"""The options of each command: one frozen dataclass a command, made of objects that are passed on unchanged.

A flag, or a name of ``-o``, stands in the type of its field; the objects of the engine and the models have
theirs in ``declare.FLAGS``. What differs in a command stands in the type of the field that holds the object,
None for no flag. A field without a flag is fixed for its command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from typer.models import OptionInfo

from adascale.engine.request import SearchRequest
from adascale.engine.types import Budget
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import MAX_BRANCHES, FallbackOptions, QuestionFormat, SessionOptions

from .declare import (
    SEEDS,
    JsonOption,
    ModelOption,
    OfflineOption,
    OverwriteOption,
    YesOption,
    flag,
    of_efforts,
    option,
    parse_keep_alive,
    setting,
)

QuestionsOption = Annotated[
    int | None,
    flag("--questions -n", "Number of questions, spread evenly over all files.", metavar="N", min=1),
]
TracesOption = Annotated[
    Path | None, flag("--traces", "Folder for the event log of each search.", metavar="DIR")
]
ParallelOption = Annotated[
    int, option("parallel", "serve and mcp: questions that are searched at the same time.", min=1, max=256)
]
SEED_OF_CHOICE = flag(
    "--seed", "Seed of the choice of questions and of all sampling.", metavar="N", min=0, max=SEEDS
)
ContinueOption = Annotated[bool, flag("--continue -c", "Continue the last conversation of ask or chat.")]
SchemaOption = Annotated[
    Path | None,
    flag("--schema", "Fill in the JSON schema of this file from the text.", metavar="FILE"),
]


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """Messages and questions on the terminal."""

    quiet: Annotated[
        int, flag("--quiet -q", "Only the answer and warnings; -qq leaves out these too.", count=True)
    ] = 0
    verbose: Annotated[
        int, flag("--verbose -v", "Files and seed; -vv adds the log of llama.cpp.", count=True)
    ] = 0
    yes: YesOption = False


def _only(*names: str, **others: OptionInfo) -> Mapping[str, OptionInfo | None]:
    """The fields of a request that can be set, some of them by another flag."""
    return {**{field.name: None for field in fields(SearchRequest) if field.name not in names}, **others}


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How a search is shown while it runs, and where it is kept."""

    show_tree: Annotated[bool, setting("--show-tree -T", "Show the search tree.")] = False
    save: Annotated[bool, setting("--save/--no-save", "Keep the search for adascale replay.")] = True
    keep_alive: Annotated[
        float,
        option(
            "keep_alive",
            "ask, chat and code: how long the model stays loaded for the next one, with its memory.",
            unit="time, such as 5m, or 0",
            parser=parse_keep_alive,
            usual="0",
        ),
    ] = 0.0
    terminal: TerminalOptions = TerminalOptions()


_UNSANDBOXED = {"unsandboxed": flag("--unsandboxed", "Run code tasks without a sandbox, with limits alone.")}


_MODEL_ALONE: Mapping[str, OptionInfo | None] = dict.fromkeys(
    ("size", "prm", "calibration", "system", "think", "force", "sampling")
)
"""Settings of a session that nothing but a search has."""


@dataclass(frozen=True, slots=True)
class AskOptions:
    """Options of ``ask``; ``goes_on`` continues the conversation of the last run."""

    session: SessionOptions = SessionOptions()
    search: SearchRequest = SearchRequest()
    goes_on: ContinueOption = False
    schema: SchemaOption = None
    fallback: FallbackOptions = FallbackOptions()
    json_output: JsonOption = False
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Options of ``chat``; ``goes_on`` continues the conversation of the last run."""

    session: SessionOptions = SessionOptions(purpose="conversation")
    search: Annotated[SearchRequest, {"choices": None, "min_confidence": None}] = SearchRequest()
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
    session: Annotated[SessionOptions, {"prm": None, "calibration": None, **_UNSANDBOXED}] = SessionOptions()
    search: Annotated[
        SearchRequest,
        _only(
            *("effort", "budget", "seed", "width"),
            samples=option(
                "samples", "Programs at most.", min=1, max=1024, usual=of_efforts("samples", "code")
            ),
        ),
    ] = SearchRequest()
    json_output: JsonOption = False
    view: ViewOptions = ViewOptions()


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options of ``batch``."""

    output: Annotated[
        str, flag("--output", "File for the records: JSON Lines, or a table (answers.csv).", metavar="FILE|-")
    ] = "-"
    overwrite: Annotated[
        bool, flag("--overwrite", "Start with an empty output instead of continuing it.")
    ] = False
    form: Annotated[
        QuestionFormat,
        option("format", "batch: form of the questions; auto goes by the name of the file, or by each line."),
    ] = "auto"
    question_field: Annotated[str, flag("--field", "Field that holds the question.", metavar="NAME")] = (
        "question"
    )
    limit: Annotated[
        int | None, flag("--limit", "Read only this many questions.", metavar="N", min=1, max=1_000_000_000)
    ] = None
    session: Annotated[SessionOptions, _UNSANDBOXED] = SessionOptions(branches=MAX_BRANCHES)
    search: SearchRequest = SearchRequest()
    schema: SchemaOption = None
    fallback: FallbackOptions = FallbackOptions()
    traces: TracesOption = None
    at_once: Annotated[
        int | None,
        flag(
            "--at-once",
            "Solutions that are written at once, of all questions together.",
            metavar="N",
            min=1,
            max=1024,
        ),
    ] = None
    ray: Annotated[
        str | None,
        option(
            "ray", "batch: Ray cluster, on all of whose nodes to run.", unit="ADDRESS or auto", usual="none"
        ),
    ] = None
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """Options of ``label``."""

    text: Annotated[str, flag("--text", "Column with the text.", metavar="COLUMN")] = "text"
    labels: Annotated[
        str,
        flag("--labels", "Labels, or a file with one a line: NAME or NAME: DESCRIPTION.", metavar="A,B|FILE"),
    ] = ""
    question: Annotated[
        str, flag("--ask", 'The question that a label answers: "Which team should read this?"', metavar="TEXT")
    ] = ""
    many: Annotated[bool, flag("--many", "A row may have several labels, or none.")] = False
    output: Annotated[
        str, flag("--output", "File to write, in the form of the input.", metavar="FILE|-", show_default=True)
    ] = "-"
    review: Annotated[
        Path | None, flag("--review", "File for the rows that a person should label.", metavar="FILE")
    ] = None
    below: Annotated[
        float,
        flag(
            "--below",
            "Probability below which a row goes there.",
            metavar="P",
            min=0.0,
            max=1.0,
            show_default=True,
        ),
    ] = 0.8
    merge: Annotated[
        Path | None, flag("--merge", "Take the labels that a person wrote into such a file.", metavar="FILE")
    ] = None
    known: Annotated[
        str, flag("--known", "Column with correct labels, empty where nobody knows.", metavar="COLUMN")
    ] = ""
    at_least: Annotated[
        float | None,
        flag(
            "--at-least",
            "Find the probability from which on so many percent are correct.",
            metavar="PERCENT",
            min=50.0,
            max=99.9,
        ),
    ] = None
    to: Annotated[
        Literal["labelstudio"] | None,
        flag("--to", "Write tasks of Label Studio with predictions.", metavar="labelstudio"),
    ] = None
    limit: Annotated[
        int | None, flag("--limit", "Read only this many rows.", metavar="N", min=1, max=1_000_000_000)
    ] = None
    session: Annotated[SessionOptions, _MODEL_ALONE] = SessionOptions()
    terminal: TerminalOptions = TerminalOptions()


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of ``serve``; a request may lower the limit of tokens of ``budget``."""

    session: SessionOptions = SessionOptions(branches=MAX_BRANCHES, purpose="conversation")
    search: Annotated[SearchRequest, _only("effort", "budget")] = SearchRequest()
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
class FitOptions:
    """Options of ``calibrate fit``, which makes a calibration and uses none."""

    session: Annotated[SessionOptions, {"calibration": None}] = SessionOptions(
        calibration="none", branches=MAX_BRANCHES, purpose="rollouts"
    )
    data: Annotated[
        list[Path], flag("--data -d", "JSON Lines with question and answer; repeatable.", metavar="FILE")
    ] = field(default_factory=list)
    questions: QuestionsOption = None
    seed: Annotated[int, SEED_OF_CHOICE] = 0
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
    output: Annotated[
        Path | None, flag("--output", "File to write; by default where ask finds it.", metavar="FILE")
    ] = None


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Options of ``doctor``."""

    generator: ModelOption = DEFAULT_GENERATOR
    offline: OfflineOption = False
    json_output: JsonOption = False


OPTION_TYPES: Sequence[type[Any]] = (
    AskOptions,
    ChatOptions,
    CodeOptions,
    BatchOptions,
    LabelOptions,
    ServeOptions,
    McpOptions,
    FitOptions,
    DoctorOptions,
)
"""All of them. ``adascale config`` has the default of the first one with a setting."""
