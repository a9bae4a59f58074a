"""``adascale replay``: show a recorded search again, or write its tree as a picture."""

from __future__ import annotations

import io
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.answer import Answer
from adascale.engine.errors import UsageError
from adascale.engine.search.events import Event, SearchFailed
from adascale.engine.types import Notice

from ..disk.files import check_output, write_file
from ..disk.runs import trace_path
from ..disk.traces import read_trace
from ..options.flags import JsonFlag, OverwriteFlag, flag
from ..render.closing import say_end, write_answer
from ..render.views import SearchView
from ..report import answer_record
from ..terminal.console import may_animate, new_console
from ..terminal.errors import show_warning
from ..terminal.streams import say, write_json
from ..terminal.text import clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..render.state import ViewState

PICTURE_WIDTH = 110
"""Cells of a line in a picture."""

_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""A font that Rich's picture would load from the network."""

_LONGEST_PAUSE_S = 3600.0
"""Maximum pause between two events of a trace."""

_UNFINISHED = Notice("unfinished-trace", "the trace ends before its search did, so it has no result")


def replay(
    trace: Annotated[
        str | None,
        typer.Argument(
            metavar="TRACE",
            help="Run that adascale runs list shows, or the file of one. The default is the last run.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        float,
        flag("--speed", "Factor of the recorded speed on a terminal.", "N", min=0.001, max=1000.0),
    ] = 1.0,
    show_tree: Annotated[bool, flag("--show-tree/--no-show-tree", "Show the tree.")] = True,
    json_output: JsonFlag = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the tree as a picture, named .svg, instead.")
    ] = None,
    overwrite: OverwriteFlag = False,
) -> None:
    """Show a recorded search again, leave its whole tree, and print its answer.

    adascale replay
    adascale replay trace.jsonl --speed 4
    adascale replay --output search.svg

    The trace itself is JSON Lines, with every event: adascale runs path.
    """
    source = trace_path(trace)
    if output is not None:
        _write_picture(source, output, overwrite=overwrite)
        return
    events = read_trace(source)
    with SearchView(show_tree=show_tree) as view:
        play(events, view.on, speed if may_animate() else None)
    record = view.record
    assert record is not None, "a trace that was read begins with its search"
    if isinstance(record.end, SearchFailed):
        raise record.end.error()
    if record.result is None:
        show_warning(_UNFINISHED)
    elif json_output:
        write_json(answer_record(Answer.of(record)))
    else:
        write_answer(record)
    say_end(record)


def _write_picture(source: Path, output: Path, *, overwrite: bool) -> None:
    from ..render.state import ViewState

    if output.suffix.lower() != ".svg":
        raise UsageError(f"{output} is no name of an SVG picture", hint="--output search.svg")
    other = f"--output {shlex.quote(f'{source.stem}-tree.svg')}"
    check_output(output, other, reads=[source], overwrite=overwrite)
    text = document(picture(ViewState.of(read_trace(source))))
    write_file(output, text)
    say(f"adascale: wrote {output}")


def picture(state: ViewState) -> RenderableType:
    """The tree of a search and the lines below it, as wide as a picture."""
    from rich.console import Group

    from ..render.picture import final_tree
    from ..render.summary import closing_lines

    return Group(final_tree(state, PICTURE_WIDTH), *closing_lines(state, verbose=1))


def document(picture: RenderableType) -> str:
    """A drawing as SVG, which loads nothing."""
    console = new_console(
        width=PICTURE_WIDTH,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(picture)
    return clean(_FONT.sub("", console.export_svg(title="adascale"))).rstrip() + "\n"


def play(events: list[Event], on: Callable[[Event], None], speed: float | None) -> None:
    """Hand on the events at ``speed`` times the recorded pace; with None at once."""
    started = time.monotonic()
    for event in events:
        if speed is not None:
            time.sleep(min(max(0.0, started + event.t / speed - time.monotonic()), _LONGEST_PAUSE_S))
        on(event)
