"""``adascale replay``: show a recorded search again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

from adascale.engine.answer import Answer
from adascale.engine.codec import to_plain
from adascale.engine.search.events import Event, SearchFailed
from adascale.engine.search.record import Record
from adascale.engine.types import Notice

from ..disk.traces import read_trace, trace_path
from ..options.declare import JsonOption, TraceArgument, flag
from ..render.display import open_renderer
from ..render.solution import say_end, write_answer
from ..terminal.console import may_animate, show_warning, write_json

SCHEMA = "adascale.replay/1"

_LONGEST_PAUSE_S = 3600.0
"""Maximum pause between two events of a trace."""

_UNFINISHED = Notice("unfinished-trace", "the trace ends before its search did, so it has no result")


def replay(
    trace: TraceArgument = None,
    speed: Annotated[
        float,
        flag("--speed", "Factor of the recorded speed on a terminal.", metavar="N", min=0.001, max=1000.0),
    ] = 1.0,
    show_tree: Annotated[bool, flag("--show-tree/--no-show-tree", "Show the tree.")] = True,
    json_output: JsonOption = False,
) -> None:
    """Show a recorded search again, and print its answer.

    adascale replay
    adascale replay trace.jsonl --speed 4
    """
    events = read_trace(trace_path(trace))
    with open_renderer(0, show_tree=show_tree) as view:
        play(events, view.on, speed if may_animate() else None)
    record = view.record
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


def play(events: list[Event], on: Callable[[Event], None], speed: float | None) -> None:
    """Hand on the events at ``speed`` times the recorded pace; with None at once."""
    started = time.monotonic()
    for event in events:
        if speed is not None:
            time.sleep(min(max(0.0, started + event.t / speed - time.monotonic()), _LONGEST_PAUSE_S))
        on(event)


def replay_record(record: Record) -> dict[str, Any]:
    """The object of ``--json`` (``adascale.replay/1``); answer and stop reason are None without a result."""
    result = record.result
    return {
        "schema": SCHEMA,
        "answer": Answer.of(record).shown if result else None,
        "stop_reason": result.stop_reason if result else None,
        "nodes": len(record.tree),
        "usage": to_plain(record.tree.usage()),
    }
