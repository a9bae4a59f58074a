"""The documentation's pictures: they are what the program draws, and every word in the chart can be read."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
SVG = "{http://www.w3.org/2000/svg}"
WIDEST = 0.64
"""Mean width of a character in the widest of the usual fonts (DejaVu Sans Bold), by its size."""

Box = tuple[float, float, float, float]


def boxes(picture: ElementTree.Element) -> dict[str, Box]:
    """Left, top, right and bottom of each text, in a font as wide as DejaVu Sans."""
    style = "".join(picture.itertext())
    sizes = {name: float(size) for name, size in re.findall(r"\.(\w+) {[^}]*font-size: (\d+)px", style)}
    found = {}
    for text in picture.iter(f"{SVG}text"):
        looks = text.get("class", "").split()
        size = next((sizes[look] for look in looks if look in sizes), 14.0)
        words = "".join(text.itertext())
        width = WIDEST * size * len(words)
        left, line = float(text.attrib["x"]), float(text.attrib["y"])
        left -= width * ("end" in looks) + width / 2 * ("middle" in looks)
        box = (left, line - 0.8 * size, left + width, line + 0.2 * size)
        found[f"{words} at {left:.0f}, {line:.0f}"] = box
    return found


def test_no_text_of_the_chart_covers_another_or_leaves_the_picture() -> None:
    picture = ElementTree.parse(DOCS / "frontier.svg").getroot()
    _, _, width, height = map(float, picture.attrib["viewBox"].split())

    found = boxes(picture)

    assert found
    for words, (left, top, right, bottom) in found.items():
        assert 0 <= left < right <= width, words
        assert 0 <= top < bottom <= height, words
    for (one, a), (other, b) in combinations(found.items(), 2):
        assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]), f"{one} covers {other}"


def test_pictures_show_what_the_program_draws() -> None:
    made = runpy.run_path(str(DOCS / "make_demo.py"))

    for name, text in made["files"]().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, "run python docs/make_demo.py"


def test_the_chart_shows_the_table() -> None:
    made = runpy.run_path(str(DOCS / "make_frontier.py"))

    assert made["picture"]() == made["PICTURE"].read_text(encoding="utf-8"), (
        "run python docs/make_frontier.py"
    )
