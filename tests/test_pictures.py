"""The documentation's pictures: they are what the program draws, and every word in them can be read."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest

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
        [size] = re.findall(r"font-size:(\d+)px", text.get("style", "")) or [14]
        size = float(next((sizes[look] for look in looks if look in sizes), size))
        words = "".join(text.itertext())
        width = float(text.get("textLength", WIDEST * size * len(words)))
        left, line = float(text.attrib["x"]), float(text.attrib["y"])
        left -= width * ("end" in looks) + width / 2 * ("middle" in looks)
        found[f"{words} at {left:.0f}, {line:.0f}"] = (
            left,
            line - 0.8 * size,
            left + width,
            line + 0.2 * size,
        )
    return found


def still(name: str) -> ElementTree.Element:
    """A picture as a viewer shows it that knows neither styles nor animations."""
    picture = ElementTree.parse(DOCS / name).getroot()
    for hidden in picture.findall(f"{SVG}g[@visibility='hidden']"):
        picture.remove(hidden)
    return picture


@pytest.mark.parametrize("name", ["demo.svg", "frontier.svg", "search.svg"])
def test_no_text_covers_another_or_leaves_the_picture(name: str) -> None:
    picture = still(name)
    _, _, width, height = map(float, picture.attrib["viewBox"].split())

    found = boxes(picture)

    assert found
    for words, (left, top, right, bottom) in found.items():
        assert 0 <= left < right <= width, words
        assert 0 <= top < bottom <= height, words
    for (one, a), (other, b) in combinations(found.items(), 2):
        assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]), f"{one} covers {other}"


@pytest.mark.parametrize("name", ["demo.svg", "search.svg"])
def test_no_text_has_spaces_that_a_viewer_may_collapse(name: str) -> None:
    texts = ["".join(text.itertext()) for text in ElementTree.parse(DOCS / name).iter(f"{SVG}text")]
    assert all(text == " ".join(text.split()) for text in texts)


def test_the_demo_is_low_and_ends_in_its_answer_without_animation() -> None:
    picture = still("demo.svg")

    [end] = picture.findall(f"{SVG}g")

    assert float(picture.attrib["height"]) <= 420
    large = max(end.iter(f"{SVG}text"), key=lambda text: "large" in text.get("class", ""))
    assert large.text == "24"


def test_pictures_show_what_the_program_draws() -> None:
    made = runpy.run_path(str(DOCS / "make_demo.py"))

    for name, text in made["files"]().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, "run python docs/make_demo.py"


def test_the_chart_shows_the_table() -> None:
    made = runpy.run_path(str(DOCS / "make_frontier.py"))

    assert made["picture"]() == made["PICTURE"].read_text(encoding="utf-8"), (
        "run python docs/make_frontier.py"
    )
