"""``adascale replay``: show a recorded search again."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from adascale.engine.errors import UsageError
from adascale.engine.events import Event, SearchFinished
from adascale.engine.replay import replay as rebuild
from adascale.engine.tree import Tree
from adascale.engine.types import SearchResult

from .answer import answer_payload
from .console import may_animate, show_warning, write_payload
from .kept import TraceArgument, trace_path
from .render.base import Renderer, RendererKind, choose_progress, make_renderer
from .render.jsonl import json_line
from .trace import read_trace

SCHEMA = "adascale.replay/1"


def replay(
    trace: TraceArgument = None,
    speed: Annotated[
        float, typer.Option(help="Times the recorded speed on a terminal; a pipe gets everything at once.")
    ] = 1.0,
    show_tree: Annotated[bool, typer.Option("--show-tree/--no-show-tree", help="Draw the tree.")] = True,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Show a recorded search again, and print its answer."""
    if not speed > 0:
        raise UsageError(
            f"--speed must be greater than 0, not {speed:g}", hint="--speed 4 is four times as fast"
        )
    events = read_trace(trace_path(trace))
    kind = choose_progress("auto", 0, may_animate())
    with make_renderer(kind, show_tree=show_tree) as renderer:
        play(events, renderer, kind, speed)
    tree, last = rebuild(events), events[-1]
    result = last.result if isinstance(last, SearchFinished) else None
    if result is None:
        show_warning("unfinished-trace", "the trace ends before its search did, so it has no result")
    if json_output:
        write_payload(json_line(replay_record(tree, result)))
    elif result is not None and (payload := answer_payload(tree, result, extract=False)):
        write_payload(payload)


def play(events: list[Event], renderer: Renderer, kind: RendererKind, speed: float) -> None:
    """Give the events to a renderer, to a live view at ``speed`` times the recorded pace."""
    started = time.monotonic()
    for event in events:
        if kind == "live":
            time.sleep(max(0.0, started + event.t / speed - time.monotonic()))
        renderer.on(event)


def replay_record(tree: Tree, result: SearchResult | None) -> dict[str, Any]:
    """What ``--json`` prints; everything about the result is null when the trace has none."""
    usage = tree.usage()
    return {
        "schema": SCHEMA,
        "answer": result.answer if result else None,
        "stop_reason": result.stop_reason if result else None,
        "nodes": len(tree),
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "reused_tokens": usage.reused_tokens,
            "generated_tokens": usage.generated_tokens,
            "prm_tokens": usage.prm_tokens,
            "flops": usage.flops,
            "seconds": usage.seconds,
        },
    }
