"""Flags of the commands, each as the annotation of a parameter.

Those of a setting have their texts in the table of ``settings``, which reads their values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.models import OptionInfo

from .settings import ROWS


def flag(names: str, help_text: str, metavar: str = "", **more: Any) -> OptionInfo:
    """A flag of the command line.

    Args:
        names: Names of the flag, separated by spaces, the long one first.
        help_text: One line of help.
        metavar: Form of its value.
        more: Arguments of ``typer.Option``.
    """
    more = {"show_default": False, "metavar": metavar or None, **more}
    option = typer.Option(..., *names.split(), help=help_text, **more)
    assert isinstance(option, OptionInfo)
    return option


def _setting(name: str) -> OptionInfo:
    row = ROWS[name]
    return flag(row.flags, row.help, row.unit)


ModelFlag = Annotated[str | None, _setting("model")]
PrmFlag = Annotated[str | None, _setting("prm")]
CalibrationFlag = Annotated[str | None, _setting("calibration")]
ThinkFlag = Annotated[str | None, _setting("think")]
OfflineFlag = Annotated[bool | None, _setting("offline")]
YesFlag = Annotated[bool | None, _setting("yes")]
StrategyFlag = Annotated[str | None, _setting("strategy")]
EffortFlag = Annotated[str | None, _setting("effort")]
ModeFlag = Annotated[str | None, _setting("mode")]
TimeLimitFlag = Annotated[str | None, _setting("time_limit")]
SeedFlag = Annotated[str | None, _setting("seed")]
ShowTreeFlag = Annotated[bool | None, _setting("show_tree")]
SaveFlag = Annotated[bool | None, _setting("save")]
HostFlag = Annotated[str | None, _setting("host")]
PortFlag = Annotated[str | None, _setting("port")]
ApiKeyFileFlag = Annotated[str | None, _setting("api_key_file")]

SystemFlag = Annotated[str, flag("--system -s", "System prompt, below the built-in one.", "TEXT")]
KindFlag = Annotated[
    str | None, flag("--as", "Kind of question: value, date, choice, yes-no, fact or text.", "KIND")
]
ChoicesFlag = Annotated[str | None, flag("--choices", "Options to choose from: red,green,blue.", "A,B,C")]
FallbackFlag = Annotated[
    str | None,
    flag("--fallback", "Server for questions without a likely answer: http://HOST:PORT#NAME.", "URL"),
]
UnsandboxedFlag = Annotated[
    bool, flag("--unsandboxed", "Run code tasks without a sandbox, with limits alone.")
]
QuietFlag = Annotated[
    int, flag("--quiet -q", "Only the answer and warnings; -qq leaves out these too.", count=True)
]
VerboseFlag = Annotated[
    int, flag("--verbose -v", "Files and seed; -vv adds the log of llama.cpp.", count=True)
]
PairsFlag = Annotated[
    list[Any] | None,
    flag(
        "--option -o",
        "Set what adascale config --all lists, such as -o temperature 0.5.",
        "NAME VALUE",
        parser=tuple,
    ),
]

ContinueFlag = Annotated[bool, flag("--continue -c", "Continue the last conversation of ask or chat.")]
SchemaFlag = Annotated[
    Path | None, flag("--schema", "Fill in the JSON schema of this file from the text.", "FILE")
]
TracesFlag = Annotated[Path | None, flag("--traces", "Folder for the event log of each search.", "DIR")]
JsonFlag = Annotated[bool, flag("--json", "Print one JSON object.")]
JsonLinesFlag = Annotated[bool, flag("--json", "Print JSON, one object a line.")]
AllFlag = Annotated[bool, flag("--all", "List all that there is.")]
OverwriteFlag = Annotated[bool, flag("--overwrite", "Replace a file that is there already.")]
QuestionsFlag = Annotated[
    int | None, flag("--questions -n", "Number of questions, spread evenly over all files.", "N", min=1)
]
SeedOfChoiceFlag = Annotated[
    int, flag("--seed", "Seed of the choice of questions and of all sampling.", "N", min=0, max=(1 << 31) - 1)
]


def limit_flag(noun: str) -> OptionInfo:
    """A number of lines that are read."""
    return flag("--limit", f"Read only this many {noun}.", "N", min=1, max=1_000_000_000)
