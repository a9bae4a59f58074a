"""``adascale batch``: many questions in, one JSON object a line out."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from adascale.engine.kinds import KINDS
from adascale.engine.strategies import Strategy
from adascale.engine.types import KindName, Problem
from adascale.models.questions import BadLine, count_lines

from ..disk.files import check_apart
from ..disk.results import open_results
from ..exit_codes import INTERRUPTED, PARTIAL
from ..options.by_command import BatchOptions
from ..options.flatten import chooses_search, with_options
from ..render.batch import BatchView, open_batch_view
from ..render.renderer import choose_progress
from ..report.batch_counts import BatchCounts
from ..searching.batch import BatchRun, read_lines, wanted
from ..searching.fallback import open_fallback
from ..terminal.console import may_animate, say, show_error, stdin_stream
from ..terminal.text import plural


@with_options(BatchOptions)
def batch(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="JSON Lines, CSV with a header, or one question a line."),
    ] = "-",
    *,
    context: typer.Context,
    options: BatchOptions,
) -> None:
    """Answer many questions, and write one JSON object a line as each is done.

    adascale batch questions.jsonl --output answers.jsonl
    cat questions.txt | adascale batch --effort low > answers.jsonl

    The same command continues where it stopped, and asks failed questions again.
    """
    path = Path(source)
    answers = "answers.jsonl" if source == "-" else str(path.parent / f"{path.stem}.answers.jsonl")
    check_apart(options.output, [source, *options.session.references()], f"--output {shlex.quote(answers)}")
    strategies: dict[KindName, Strategy] = {
        kind: options.search.make_code_strategy()
        if kind == "code"
        else options.search.make_strategy(kind, beside_tasks=True)
        for kind in KINDS
    }
    stream = stdin_stream("adascale batch questions.txt") if source == "-" else path
    lines = read_lines(stream, options, search_all=chooses_search(context))
    if options.dry_run:
        _say_plan(lines, strategies, options)
        return
    counts, fallback = BatchCounts(), open_fallback(options.fallback)
    with open_results(options.output, overwrite=options.overwrite) as results:
        name = "stdin" if source == "-" else path.name
        view = partial(_open_view, counts, source, options)
        BatchRun(options, name, strategies, results, view, counts, fallback).ask_all(lines)
    _finish(counts, source, options)


def _open_view(counts: BatchCounts, source: str, options: BatchOptions) -> AbstractContextManager[BatchView]:
    """The progress display on stderr; no live picture if records go to the same terminal."""
    kind = choose_progress(options.terminal.quiet, may_animate())
    live = kind == "live" and not (options.output == "-" and sys.stdout.isatty())
    total = _total(source, options) if live else None
    return open_batch_view(counts, total, live=live, quiet=kind == "none")


def _total(source: str, options: BatchOptions) -> int | None:
    """Approximate number of questions, those with a record included; None for a pipe."""
    total = None if source == "-" else count_lines(Path(source), options.form)
    return total if total is None or options.limit is None else min(total, options.limit)


def _finish(counts: BatchCounts, source: str, options: BatchOptions) -> None:
    """Print the summary, and leave with the exit code of the run."""
    if not options.terminal.quiet:
        for line in counts.summary():
            say(f"adascale: {line}")
    same = "the same command without --overwrite" if options.overwrite else "the same command"
    again = f"mend them and run {same}: only these are asked again"
    failure = counts.error(
        "--output FILE keeps what is done for another run" if options.output == "-" else again
    )
    if counts.interrupted:
        if failure is not None:
            show_error(failure)
        total = _total(source, options)
        done = f"{counts.done + counts.skipped:,}" + (f" of {total:,}" if total is not None else "")
        goes_on = (
            "with --output FILE it could be continued" if options.output == "-" else f"{same} continues it"
        )
        say(f"adascale: stopped at {done}; {goes_on}")
        raise typer.Exit(INTERRUPTED)
    if failure is not None:
        raise failure


def _say_plan(
    lines: Iterator[Problem | BadLine], strategies: Mapping[KindName, Strategy], options: BatchOptions
) -> None:
    """Read everything and say what a run would do.

    Raises:
        typer.Exit: some lines are no questions.
    """
    counts = BatchCounts()
    bad: Counter[str] = Counter()
    asked: Counter[KindName] = Counter()
    with open_results(options.output, overwrite=options.overwrite) as results:
        for line in wanted(lines, results, counts):
            if isinstance(line, BadLine):
                bad[line.error.message] += 1
            else:
                asked[line.kind] += 1
    say(f"adascale: {asked.total():,} to ask, {counts.not_asked()}, {plural(bad.total(), 'bad line')}")
    for message in list(bad)[:10]:
        say(f"adascale: {message}")
    for kind, number in asked.items():
        name, most = strategies[kind].name, strategies[kind].at_most
        limit = name if most is None else f"{name}, at most {plural(most, KINDS[kind].noun)} each"
        say(f"adascale: {number:,} {kind}: {'one reply each' if kind == 'text' else limit}")
    if bad:
        raise typer.Exit(PARTIAL)
