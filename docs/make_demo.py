"""Writes the pictures of the recorded search ``docs/demo.jsonl``; ``make check`` fails where they are old.

Usage: ``python docs/make_demo.py``

``demo.svg`` moves, and has no script, no font and nothing else to load; a viewer without animation shows its
last frame. ``search.svg`` is what ``adascale tree`` writes. The search is
``adascale ask -m qwen2.5-coder-1.5b --seed 1 --trace docs/demo.jsonl "A baker ..."``, with the folder of the
package taken out of the calibration's path.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text

from adascale.cli.disk.trace import read_trace
from adascale.cli.documents.picture import (
    ANSWER,
    BAR,
    CELL,
    LINE,
    MARGIN,
    drawn,
    large_answer,
    to_svg,
    window,
)
from adascale.cli.render.solution import solution_lines, writing_frame
from adascale.cli.render.state import ViewState
from adascale.cli.terminal.theme import UNICODE
from adascale.engine.search.events import Event

FOLDER = Path(__file__).parent
WIDTH, ROWS = 96, 17
"""Cells of a line, and maximum number of lines below the command."""

FRAMES = 36
SECONDS, HOLD = 12.0, 6.0
"""Length of the search, and of its end."""

STYLE = f"""g.shot {{ animation: shot {SECONDS + HOLD}s steps(1) infinite; }}
@keyframes shot {{ 0% {{ visibility: visible; }} {100 * SECONDS / FRAMES / (SECONDS + HOLD):.3f}% \
{{ visibility: hidden; }} }}
g.last {{ animation: last {SECONDS + HOLD}s steps(1) infinite; }}
@keyframes last {{ 0% {{ visibility: hidden; }} {100 * SECONDS / (SECONDS + HOLD):.3f}% \
{{ visibility: visible; }} }}
@media (prefers-reduced-motion: reduce) {{ g.shot, g.last {{ animation: none; }} }}
"""


def shots(events: Sequence[Event]) -> Iterator[list[Text]]:
    """Frames of the terminal at moments of equal distance, before the end."""
    for at in range(FRAMES):
        t = events[-1].t * at / FRAMES
        state = ViewState.of([events[0], *(event for event in events[1:] if event.t <= t)])
        yield writing_frame(state, WIDTH, ROWS, UNICODE, at)


def picture(events: Sequence[Event]) -> str:
    """The whole file."""
    state = ViewState.of(events)
    command = textwrap.wrap(f'$ adascale "{state.tree.problem.question}"', WIDTH, subsequent_indent="  ")
    top = BAR + 6 + LINE * (len(command) + 1)
    moving, printed = list(shots(events)), solution_lines(state, state.best, WIDTH, UNICODE, whole=False)
    height = top + MARGIN + max(LINE * max(map(len, moving)), LINE * len(printed) + ANSWER)
    parts = [*drawn([Text(line, "bold") for line in command], BAR + 6)]
    for at, lines in enumerate(moving):
        delay = f"{SECONDS * at / FRAMES:.2f}s"
        parts.append(f'<g class="shot" visibility="hidden" style="animation-delay:{delay}">')
        parts += [*drawn(lines, top), "</g>"]
    end = top + LINE * len(printed)
    parts += ['<g class="last">', *drawn(printed, top), *large_answer(state, end), "</g>"]
    return window(state, parts, 2 * MARGIN + CELL * WIDTH, height, STYLE)


def files() -> dict[str, str]:
    """What stands beside this file, by name."""
    events = read_trace(FOLDER / "demo.jsonl")
    return {"demo.svg": picture(events) + "\n", "search.svg": to_svg(ViewState.of(events)) + "\n"}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
