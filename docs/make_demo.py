"""Writes the pictures of the recorded search ``docs/demo.jsonl``; ``make check`` fails where they are old.

Usage: ``python docs/make_demo.py``

``demo.svg`` moves, and has no script, no font and nothing else to load; ``search.svg`` and ``search.html``
are what ``adascale tree`` writes. It is ``adascale ask --seed 4 --trace docs/demo.jsonl "A baker ..."``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from adascale.cli.disk.trace import read_trace
from adascale.cli.documents.document import Document
from adascale.cli.documents.page import to_html
from adascale.cli.documents.text import to_svg
from adascale.cli.render.frame import final_frame, live_frame
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import summary, why
from adascale.cli.terminal.theme import UNICODE
from adascale.engine.search.events import Event

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 100, 27
FRAMES = 36
SECONDS, HOLD = 12.0, 6.0
CELL, LINE, MARGIN = 8.4, 18, 16

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>{title}</title>
<style>
text {{ font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre;
  fill: {ink}; }}
.b {{ font-weight: bold; }} .i {{ font-style: italic; }} .d {{ opacity: .6; }}
g {{ visibility: hidden; animation: show {cycle}s steps(1) infinite; }}
@keyframes show {{ 0% {{ visibility: visible; }} {on:.3f}% {{ visibility: hidden; }} }}
@keyframes hold {{ 0% {{ visibility: visible; }} {hold:.3f}% {{ visibility: hidden; }} }}
g.last {{ animation-name: hold; }}
@media (prefers-reduced-motion: reduce) {{ g {{ animation: none; }} g.last {{ visibility: visible; }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="{paper}"/>"""


def frames(events: Sequence[Event]) -> Iterator[list[Text]]:
    """Moments at equal distances, then the end with what is printed below it."""
    end = events[-1].t
    for at in range(FRAMES):
        state = ViewState.of([events[0], *(event for event in events[1:] if event.t <= end * at / FRAMES)])
        yield live_frame(state, WIDTH, HEIGHT, UNICODE, at)
    state = ViewState.of(events)
    printed = [summary(state, UNICODE), Text(why(state))]
    wrapped = [line for text in printed for line in text.wrap(Console(width=WIDTH), WIDTH)]
    yield [*final_frame(state, WIDTH, UNICODE), Text(), *wrapped]


def drawn(lines: Sequence[Text]) -> Iterator[str]:
    """A frame as text elements, one for each run of a style."""
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
    for row, line in enumerate(lines):
        column = 0
        for segment in console.render(line):
            if text := segment.text.rstrip():
                x, y = MARGIN + CELL * column, MARGIN + LINE * (row + 0.8)
                width = f'textLength="{CELL * cell_len(text):.1f}"'
                yield f'<text x="{x:.1f}" y="{y:.1f}" {width}{_look(segment)}>{escape(text)}</text>'
            column += segment.cell_length


def _look(segment: Segment) -> str:
    style = segment.style
    if style is None:
        return ""
    marks = [("b", style.bold), ("i", style.italic), ("d", style.dim)]
    names = " ".join(name for name, on in marks if on)
    colour = style.color.get_truecolor(DIMMED_MONOKAI).hex if style.color else ""
    return (f' class="{names}"' if names else "") + (f' style="fill:{colour}"' if colour else "")


def picture(events: Sequence[Event]) -> str:
    """The whole file."""
    shown = list(frames(events))
    cycle = SECONDS + HOLD
    rows = max(map(len, shown))
    head = HEAD.format(
        title=escape(f"adascale searches: {events[0].problem.question}"),  # type: ignore[union-attr]
        width=2 * MARGIN + CELL * WIDTH,
        height=2 * MARGIN + LINE * rows,
        ink=DIMMED_MONOKAI.foreground_color.hex,
        paper=DIMMED_MONOKAI.background_color.hex,
        cycle=cycle,
        on=100 * SECONDS / FRAMES / cycle,
        hold=100 * HOLD / cycle,
    )
    parts = [head]
    for at, lines in enumerate(shown):
        last = ' class="last"' if at == FRAMES else ""
        parts.append(f'<g{last} style="animation-delay:{SECONDS * at / FRAMES:.2f}s">')
        parts += [*drawn(lines), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def files() -> dict[str, str]:
    """What stands beside this file, by name."""
    events = read_trace(FOLDER / "demo.jsonl")
    document = Document.of(events)
    made = {"demo.svg": picture(events), "search.svg": to_svg(document), "search.html": to_html(document)}
    return {name: text if text.endswith("\n") else text + "\n" for name, text in made.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
