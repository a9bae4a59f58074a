"""What ``batch`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..disk.questions import Format
from .flatten import MACHINE, OUTPUT, SEARCH, option
from .run_options import RunOptions, ShowTreeOption


@dataclass(frozen=True, slots=True)
class BatchOptions(RunOptions):
    """What ``batch`` takes beside what ``ask`` takes."""

    form: Annotated[
        Format, option("--format", panel=OUTPUT, help="How the questions are written; auto goes by the file.")
    ] = "auto"  # fmt: skip
    question_field: Annotated[
        str, option("--field", panel=OUTPUT, metavar="NAME", help="The field that holds the question.")
    ] = "question"  # fmt: skip
    show_tree: ShowTreeOption = False
    traces: Annotated[
        Path | None,
        option("--traces", panel=OUTPUT, metavar="DIR", help="Keep each search's event log, by its id."),
    ] = None  # fmt: skip
    limit: Annotated[
        int | None, option("--limit", panel=SEARCH, min=1, help="Read only the first so many questions.")
    ] = None  # fmt: skip
    only_failed: Annotated[
        bool, option("--only-failed", panel=SEARCH, help="Ask only those again that failed before.")
    ] = False  # fmt: skip
    overwrite: Annotated[
        bool, option("--overwrite", panel=OUTPUT, help="Begin anew instead of going on with the output.")
    ] = False  # fmt: skip
    fail_on_error: Annotated[
        bool, option("--fail-on-error", panel=OUTPUT, help="End at the first question or line that fails.")
    ] = False  # fmt: skip
    ray: Annotated[
        str | None,
        option("--ray", panel=MACHINE, metavar="ADDRESS|auto", help="Ask on all nodes of a Ray cluster."),
    ] = None  # fmt: skip
    dry_run: Annotated[
        bool, option("--dry-run", panel=OUTPUT, help="Read everything, load nothing, say what would be done.")
    ] = False  # fmt: skip
