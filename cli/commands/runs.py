"""``adascale runs``: what was asked before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from adascale.engine.answers.latex import readable
from adascale.engine.errors import UsageError
from adascale.engine.search.events import SearchFailed, SearchFinished, SearchStarted

from ..disk.history import MAX_BYTES, MAX_RUNS, past_runs, run_name, runs_dir, trace_path
from ..disk.trace import event_of
from ..options import completion
from ..options.declare import JsonLinesOption, RunArgument
from ..terminal.console import say, write_json_lines, write_payload
from ..terminal.text import chance, columns, cut, one_line, thousands, without_bidi_controls
from ..terminal.theme import UNICODE

app = typer.Typer(
    no_args_is_help=True,
    help="What was asked before: each ask keeps its search, "
    f"the newest {MAX_RUNS} of them or {MAX_BYTES // 1_000_000} MB; --no-save keeps nothing.\n\n"
    "adascale replay and adascale tree take the last run, or one by (the beginning of) its name.",
)

SCHEMA = "adascale.run/1"

_QUESTION_CELLS = 48
_TAIL = 1 << 18
"""Bytes at the end of a trace that are read; a last event beyond it has answers of many thousand paths."""


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest ones only.")] = 20,
    as_json: JsonLinesOption = False,
) -> None:
    """List runs, the newest first.

    adascale runs list --limit 5
    """
    facts = [_run_record(path) for path in past_runs()[:limit]]
    if as_json:
        write_json_lines(facts)
    elif facts:
        write_payload(_runs_table(facts))
    else:
        say('adascale: no run is kept yet; adascale ask "What is 17 * 23?" makes one')


@app.command()
def show(run: RunArgument = None) -> None:
    """Print a run's tree and its outcome.

    adascale runs show
    """
    from ..disk.trace import read_trace
    from ..export.document import Document
    from ..export.text import to_text

    write_payload(without_bidi_controls(to_text(Document.of(read_trace(trace_path(run))))))


@app.command()
def path(run: RunArgument = None) -> None:
    """Print where a run's trace is; without a run, and none kept, the folder.

    grep answer_found "$(adascale runs path)"
    """
    write_payload(str(trace_path(run) if run or past_runs() else runs_dir()))


@app.command()
def rm(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", help="What to delete.", autocompletion=completion.runs),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run.")] = False,
) -> None:
    """Delete runs.

    adascale runs rm --all
    """
    if bool(runs) == all_:
        raise UsageError("say which runs to delete", hint="adascale runs rm NAME, or --all")
    inside = set(past_runs())
    doomed = sorted(inside) if all_ else [trace_path(name) for name in runs or []]
    for found in doomed:
        if found not in inside:
            raise UsageError(f"{found} is no kept run", hint="files of your own are yours to delete")
    for found in doomed:
        found.unlink(missing_ok=True)
    say(f"removed {len(doomed)}")


def _run_record(path: Path) -> dict[str, Any]:
    """The record (``adascale.run/1``) of a run, from its first and last event; unknown is None."""
    first, last = _first_and_last(path)
    result = last.result if isinstance(last, SearchFinished) else None
    p = result.confidence if result else None
    return {
        "schema": SCHEMA,
        "run": run_name(path),
        "question": first.problem.question if first else None,
        "strategy": first.strategy if first else None,
        "answer": result.answer if result else None,
        "p": p.median if p and p.calibrated else None,
        "error": last.notice.code if isinstance(last, SearchFailed) else None,
        "stop_reason": result.stop_reason if result else None,
        "generated_tokens": last.usage.generated_tokens if isinstance(last, SearchFinished) else None,
        "seconds": round(last.t, 3) if isinstance(last, SearchFinished) else None,
        "bytes": path.stat().st_size,
    }


def _first_and_last(path: Path) -> tuple[SearchStarted | None, SearchFinished | SearchFailed | None]:
    """The first and the last event of a trace; None for one that is not there, or torn."""
    with path.open("rb") as file:
        first = file.readline()
        file.seek(max(0, path.stat().st_size - _TAIL))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    begin, end = event_of(first), event_of(last)
    return (
        begin if isinstance(begin, SearchStarted) else None,
        end if isinstance(end, SearchFinished | SearchFailed) else None,
    )


def _runs_table(facts: list[dict[str, Any]]) -> str:
    """A line for each run, with its answer as a person reads it."""
    rows = [("RUN", "TOKENS", "ANSWER", "QUESTION")]
    for fact in facts:
        p = f" p {chance(fact['p'])}" if fact["p"] is not None else ""
        tokens = fact["generated_tokens"]
        rows.append(
            (
                fact["run"],
                "-" if tokens is None else thousands(tokens),
                cut(one_line(_ending(fact), UNICODE), 20, UNICODE) + p,
                cut(one_line(fact["question"] or "(unreadable)", UNICODE), _QUESTION_CELLS, UNICODE),
            )
        )
    return columns(rows, "<><<")


def _ending(fact: Mapping[str, Any]) -> str:
    """The answer of a run as a person reads it, or why it has none."""
    if fact["error"] is not None:
        return "(failed)"
    if fact["stop_reason"] is None:
        return "(unfinished)"
    return readable(fact["answer"] or "(none)")
