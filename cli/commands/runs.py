"""List and delete kept searches; --no-save keeps none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from adascale.engine.answer import Answer
from adascale.engine.answers.latex import readable
from adascale.engine.errors import UsageError
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import percent

from ..disk.runs import MAX_BYTES, MAX_RUNS, past_runs, run_record, runs_dir, trace_path
from ..options.command_line import Listing
from ..options.flags import JsonLinesFlag
from ..report import answer_record, error_record
from ..terminal.streams import say, write_json_lines, write_payload
from ..terminal.text import columns, cut, one_line, plural, rounded

app = typer.Typer(
    cls=Listing,
    help=f"{__doc__}\n\n"
    f"The newest {MAX_RUNS} are kept, or {MAX_BYTES // 1_000_000} MB of them. adascale replay takes "
    "the last run, or one by (the beginning of) its name.",
)

_QUESTION_CELLS = 1000
"""Width of a question at most; a terminal cuts its end."""


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Number of runs to list.")] = 20,
    as_json: JsonLinesFlag = False,
) -> None:
    """List runs, the newest first.

    adascale runs list
    adascale runs --limit 5
    """
    facts = [_record(path) for path in past_runs()[:limit]]
    if as_json:
        write_json_lines(facts)
    elif facts:
        write_payload(_runs_table(facts))
    else:
        say('adascale: no run is kept yet; adascale ask "What is 17 * 23?" makes one')


@app.command()
def path(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Name of a run, or its beginning. The default is the last run."),
    ] = None,
) -> None:
    """Print the path of a run's trace, or of the folder if nothing is kept.

    grep answer_found "$(adascale runs path)"
    """
    write_payload(str(trace_path(run) if run or past_runs() else runs_dir()))


@app.command()
def rm(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Runs to delete."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Delete all runs.")] = False,
) -> None:
    """Delete runs.

    adascale runs rm --all
    """
    if runs and all_:
        raise UsageError("name runs, or give --all, not both", hint="leave out --all")
    if not (runs or all_):
        raise UsageError("no run is named", hint="adascale runs rm NAME, or --all")
    inside = set(past_runs())
    doomed = inside if all_ else {trace_path(name).absolute() for name in runs or []}
    for run in doomed:
        if run not in inside:
            raise UsageError(f"{run} is not a kept run", hint="files of your own are yours to delete")
    for run in doomed:
        run.unlink(missing_ok=True)
    say(f"removed {len(doomed)}")


def _record(path: Path) -> dict[str, Any]:
    """The record of a run as ``ask --json`` prints it, with its name; ``status`` says if it has none."""
    fields: dict[str, Any] = {"question": "(unreadable)", "status": "unreadable"}
    if (search := run_record(path)) is not None:
        problem = search.started.problem
        fields = {"question": problem.question, "kind": problem.kind, "status": "unfinished"}
        if isinstance(search.end, SearchFailed):
            fields = error_record(problem, search.end.error())
        elif search.result is not None:
            fields = answer_record(Answer.of(search))
    return {"run": path.stem, **fields}


def _runs_table(facts: list[dict[str, Any]]) -> str:
    """A line for each run."""
    rows = [("RUN", "TOKENS", "ANSWER", "QUESTION")]
    for fact in facts:
        is_whole = "usage" in fact
        p = fact["confidence"]["p"] if is_whole else None
        tokens = f"{fact['usage']['generated_tokens']:,}" if is_whole else "-"
        ending = cut(one_line(_ending(fact)), 20) + ("" if p is None else f"  {percent(p)}")
        rows.append((fact["run"], tokens, ending, cut(one_line(fact["question"]), _QUESTION_CELLS)))
    return columns(rows, "<><<")


def _ending(fact: Mapping[str, Any]) -> str:
    """The readable answer of a run, or the reason why it has none."""
    if "tests" in fact:
        return f"passes {fact['passed']} of {plural(len(fact['tests']), 'test')}"
    if "usage" not in fact:
        return "(failed)" if "error" in fact else f"({fact['status']})"
    return rounded(readable(fact["answer"] or ("(a reply)" if fact["kind"] == "text" else "(none)")))
