"""Line breaks in a text that comes in pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.cli.terminal.wrapping import Wrapping


def wrapped(pieces: list[str], width: int) -> str:
    wrapping = Wrapping(width)
    return "".join([*map(wrapping.take, pieces), wrapping.end()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", "one two\nthree"),
        ("one two\nthree four", "one two\nthree\nfour"),
        ("    if x:\n      y", "    if\nx:\n      y"),
        ("一二三四五六", "一二三\n四五六"),
        ("ab cd efg", "ab cd\nefg"),
        ("incomprehensible ok", "incomprehensible\nok"),
    ],
)
def test_lines_end_between_words(text: str, expected: str) -> None:
    assert wrapped([text], 7) == expected


def test_behind_a_block_of_code_lines_end_between_words_again() -> None:
    code, inline = "```\none two three\n```\n", "```a``` one two\n"
    assert wrapped([code + "one two three"], 7) == code + "one two\nthree"
    assert wrapped([inline], 7) == "```a```\none two\n"


texts = st.text("ab c\n 一", max_size=60)


@given(texts, st.lists(st.integers(0, 60)), st.integers(6, 20))
def test_pieces_make_no_difference_and_nothing_is_lost(text: str, cuts: list[int], width: int) -> None:
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(ends)]
    found = wrapped(pieces, width)
    assert found == wrapped([text], width)
    assert "".join(found.split()) == "".join(text.split())


def test_a_word_is_shown_when_the_next_one_begins() -> None:
    wrapping = Wrapping(80)
    assert [wrapping.take(piece) for piece in ("Hel", "lo", " wor", "ld", "!")] == ["", "", "Hello", "", ""]
    assert wrapping.end() == " world!"
