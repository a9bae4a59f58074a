"""Draws ``docs/frontier.svg`` from a table of ``docs/research.md``; ``make check`` compares them.

Usage: ``python docs/make_frontier.py``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FOLDER = Path(__file__).parent
SOURCE, PICTURE = FOLDER / "research.md", FOLDER / "frontier.svg"
HEADING = "### All cells"

NAMES = {
    "greedy": "one answer",
    "vote:4/both": "vote of 4",
    "vote:8/both": "vote of 8",
    "vote:16/both": "vote of 16",
    "one after another": "one by one",
    "`adaptive`": "adascale",
}
"""Rows of the table, and their names in the picture."""

OURS = "adascale"
POINTS = ("one answer", "vote of 4", "vote of 8", "vote of 16", OURS)
RIVALS = ("one answer", "vote of 8", "vote of 16", "one by one")

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 400" role="img">
<title>{title}</title>
<style>
text {{ font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1b1b1b; }}
.title {{ font-size: 19px; font-weight: bold; }} .head, .ours {{ font-weight: bold; }}
.faint {{ fill: #5a5a5a; font-size: 12px; }} .ours {{ fill: #1a7f37; }}
.end {{ text-anchor: end; }} .middle {{ text-anchor: middle; }}
line, polyline {{ stroke: #8a8a8a; fill: none; }} .grid {{ stroke: #e4e4e4; }}
circle {{ fill: #5a5a5a; }} circle.ours {{ fill: #1a7f37; }} line.ours {{ stroke: #1a7f37; stroke-width: 2; }}
</style>
<rect x=".5" y=".5" width="859" height="399" rx="8" fill="#ffffff" stroke="#c9c9c9"/>"""


@dataclass(frozen=True, slots=True)
class Row:
    """A rule of the table.

    Attributes:
        correct: Share of questions, in percent.
        seconds: Seconds a question.
        gain: Percentage points by which adascale has more questions correct, and the 95 % interval; of
            adascale itself all 0.
    """

    correct: float
    seconds: float
    gain: tuple[float, float, float]

    @classmethod
    def of(cls, cells: list[str]) -> Self:
        """A row from its cells after the name: accuracy, tokens, seconds, easy, first, ECE, difference."""
        accuracy, seconds, difference = cells[0], cells[2], cells[6]
        found = [100 * float(number) for number in re.findall(r"[+-]?\d*\.\d+", difference)]
        middle, low, high = found or (0.0, 0.0, 0.0)
        return cls(100 * float(accuracy), float(seconds), (middle, low, high))


def rows() -> dict[str, Row]:
    """The rows by their names in the picture."""
    _, _, table = SOURCE.read_text(encoding="utf-8").partition(HEADING)
    found: dict[str, Row] = {}
    for line in table.partition("\n###")[0].splitlines():
        name, *cells = (cell.strip().strip("*") for cell in line.strip("|").split("|"))
        if name in NAMES:
            found[NAMES[name]] = Row.of(cells)
    assert found.keys() == set(NAMES.values()), f"{SOURCE} has no table of all rows below {HEADING!r}"
    return found


def text(x: float, y: float, words: str, look: str = "") -> str:
    """Words that begin, end or are centred at ``x``, on the line ``y``."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}">{words}</text>'


def line(x1: float, y1: float, x2: float, y2: float, look: str = "") -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{look}"/>'


def point(x: float, y: float, look: str = "") -> str:
    """A dot."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{7 if look else 5}" class="{look}"/>'


def accuracy(found: dict[str, Row]) -> Iterator[str]:
    """The panel on the left: correct answers against seconds, a named point each."""

    def place(seconds: float, correct: float) -> tuple[float, float]:
        return 64 + 330 * seconds / 60, 320 - 200 * (correct - 40) / 25

    yield text(24, 98, "Questions answered correctly", "head")
    for percent in range(40, 66, 5):
        x, y = place(0, percent)
        yield line(x, y, 420, y, "grid")
        yield text(x - 8, y + 4, f"{percent} %", "faint end")
    for seconds in range(0, 61, 20):
        yield text(place(seconds, 0)[0], 340, f"{seconds}", "faint middle")
    yield text(238, 360, "seconds for each question", "faint middle")
    at = {name: place(found[name].seconds, found[name].correct) for name in POINTS}
    votes = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at[name] for name in POINTS[:4]))
    yield f'<polyline points="{votes}" stroke-dasharray="2 4"/>'
    for name, (x, y) in at.items():
        look = "ours" if name == OURS else ""
        x_text, end = (x - 12, " end") if name == OURS else (x + 12, "")
        yield point(x, y, look)
        yield text(x_text, y + 2, name, (look or "head") + end)
        yield text(x_text, y + 18, f"{found[name].correct:.0f} % correct", "faint" + end)


def differences(found: dict[str, Row]) -> Iterator[str]:
    """The panel on the right: by how much adascale is ahead of each other rule on the same questions."""

    def place(points: float) -> float:
        return 646 + 5.8 * points

    yield text(472, 98, "adascale is ahead of", "head")
    for points in (0, 10, 20):
        yield line(place(points), 120, place(points), 320, "" if points == 0 else "grid")
        yield text(place(points), 340, f"{points:+d}" if points else "0", "faint middle")
    yield text(place(7.5), 360, "percentage points, on the same questions", "faint middle")
    for at, name in enumerate(RIVALS):
        row, y = found[name], 146 + 50 * at
        middle, low, high = row.gain
        yield text(472, y, name)
        yield text(472, y + 16, _time(found[OURS].seconds / row.seconds), "faint")
        yield line(place(low), y + 3, place(high), y + 3, "ours")
        yield point(place(middle), y + 3, "ours")
        yield text(836, y + 8, f"{middle:+.1f}", "ours end")


def _time(ratio: float) -> str:
    return f"in {100 * ratio:.0f} % of its time" if ratio < 1.5 else f"in {ratio:.1f} times its time"


def picture() -> str:
    """The whole file."""
    found = rows()
    rival, ours = found["vote of 16"], found[OURS]
    assert rival.gain[1] < 0 < rival.gain[2], "the title says that the two are about as accurate"
    title = f"About as accurate as a vote of 16, in {100 * ours.seconds / rival.seconds:.0f} % of its time"
    parts = [
        HEAD.format(title=title),
        text(24, 38, title, "title"),
        text(
            24,
            60,
            "Two small models (0.5b, 1.5b), 400 maths questions that no calibration has seen, two CPU cores",
            "faint",
        ),
        *accuracy(found),
        *differences(found),
        text(
            24,
            386,
            "A vote asks that often and takes the most frequent answer. Bars are 95 % intervals.",
            "faint",
        ),
        "</svg>",
    ]
    return "\n".join(parts).replace(' class=""', "") + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
