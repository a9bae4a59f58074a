"""``adascale replay``: show a recorded search again."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from adascale.engine.codec import to_plain
from adascale.engine.errors import UsageError
from adascale.engine.search.events import Event, SearchFailed
from adascale.engine.search.record import Record
from adascale.engine.types import Notice

from ..disk.history import trace_path
from ..disk.trace import read_trace
from ..options.declare import TraceArgument, parse_moment
from ..render.ending import say_end, write_answer
from ..render.frame import live_frame
from ..render.plain import plain_height, plain_width
from ..render.renderer import Renderer, RendererKind, choose_progress, open_renderer
from ..render.state import ViewState
from ..report.answer import answer_of
from ..terminal.console import may_animate, show_warning, stderr_console, write_json
from ..terminal.theme import glyphs_for

SCHEMA = "adascale.replay/1"

_LONGEST_PAUSE_S = 3600.0
"""Maximum pause between two events of a trace."""

_UNFINISHED = Notice("unfinished-trace", "the trace ends before its search did, so it has no result")


def replay(
    trace: TraceArgument = None,
    speed: Annotated[
        float,
        typer.Option(help="Factor of the recorded speed on a terminal; a pipe gets everything at once."),
    ] = 1.0,
    at: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=parse_moment,
            help="Show the search as it was at this time (12.5s), and stop.",
        ),
    ] = None,
    show_tree: Annotated[bool, typer.Option("--show-tree/--no-show-tree", help="Show the tree.")] = True,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Show a recorded search again, and print its answer.

    adascale replay
    adascale replay trace.jsonl --speed 4
    adascale replay trace.jsonl --at 12.5s
    """
    if not speed > 0:
        raise UsageError(
            f"--speed must be greater than 0, not {speed:g}", hint="--speed 4 is four times as fast"
        )
    if json_output and at is not None:
        raise UsageError("--at draws the search, and --json prints its result", hint="leave out one of them")
    events = read_trace(trace_path(trace))
    if at is not None:
        draw(ViewState.of([events[0], *(event for event in events[1:] if event.t <= at)]))
        return
    kind = choose_progress("auto", 0, may_animate())
    with open_renderer(kind, show_tree=show_tree) as renderer:
        play(events, renderer, kind, speed)
    record = renderer.record
    assert record is not None, "a trace that was read begins with its search"
    if isinstance(record.end, SearchFailed):
        raise record.end.error()
    if record.result is None:
        show_warning(_UNFINISHED)
    if json_output:
        write_json(replay_record(record))
    else:
        write_answer(record)
    say_end(record)


def play(events: list[Event], renderer: Renderer, kind: RendererKind, speed: float) -> None:
    """Give the events to a renderer; a live view gets them at ``speed`` times the recorded pace."""
    started = time.monotonic()
    for event in events:
        if kind == "live":
            time.sleep(min(max(0.0, started + event.t / speed - time.monotonic()), _LONGEST_PAUSE_S))
        renderer.on(event)


def draw(state: ViewState) -> None:
    """One moment of a search on stderr, no taller than the terminal; in a pipe a large tree is folded."""
    console = stderr_console()
    width, height = console.size if may_animate() else (plain_width(), plain_height(state))
    for line in live_frame(state, width, height, glyphs_for(sys.stderr))[:-1]:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def replay_record(record: Record) -> dict[str, Any]:
    """The object of ``--json`` (``adascale.replay/1``); answer and stop reason are None without a result."""
    result = record.result
    return {
        "schema": SCHEMA,
        "answer": answer_of(record),
        "stop_reason": result.stop_reason if result else None,
        "nodes": len(record.tree),
        "usage": to_plain(record.tree.usage()),
    }
