"""A model's Markdown and LaTeX as a person reads them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.cli.terminal.markdown import as_html
from adascale.cli.terminal.prose import plain, styled_line
from adascale.cli.terminal.theme import ASCII, STYLES, UNICODE


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**Determine** the *total number* of `eggs`.", "Determine the total number of eggs."),
        ("### Step 1: **Add**\nthen 2", "Step 1: Add\nthen 2"),
        ("#### 18", "18"),
        ("a\n\n\n\nb\n \n\t\n\nc\n\nd", "a\n\nb\n\nc\n\nd"),
        ("a\n---\nb", "a\n\nb"),
        ("```python\nprint(2**3 * 4**5)\n```\nends", "print(2**3 * 4**5)\nends"),
        ("Do:\n```python\n# add\nf(**kw)\n```\nSo **8**.", "Do:\n# add\nf(**kw)\nSo 8."),
        ("```\nx = 'a\\frac'\n# open", "x = 'a\\frac'\n# open"),
        ("2 * 3 * 4 = 24, x*y*z and 2 ** 3", "2 * 3 * 4 = 24, x*y*z and 2 ** 3"),
        ("- one\n* two\n1. three", "- one\n* two\n1. three"),
        (r"**16** \text{ eggs/day} and \(\frac{1}{2}\)", "16 eggs/day and 1/2"),
        ("**Calculate the", "Calculate the"),
        ("a #1 fan of C#", "a #1 fan of C#"),
    ],
)
def test_marks_are_not_shown(markdown: str, shown: str) -> None:
    assert plain(markdown) == shown


def test_a_page_has_it_bold_and_escaped() -> None:
    assert as_html("**a < b** & c") == "<p><strong>a &lt; b</strong> &amp; c</p>\n"
    assert as_html("<b>x [y](z) ![y](z) <z:a>") == "<p>&lt;b&gt;x [y](z) ![y](z) &lt;z:a&gt;</p>\n"


def bold(text: str, width: int = 60, *, end: bool = False) -> tuple[str, list[str]]:
    """A line, and its parts in bold."""
    line = styled_line(text, width, UNICODE, end=end)
    assert {span.style for span in line.spans} <= {STYLES["emphasis"]}
    return line.plain, [line.plain[span.start : span.end] for span in line.spans]


def test_a_line_is_bold_where_it_was_marked() -> None:
    assert bold("# Step 1\n**Add** 2 and **3**.") == ("Step 1 Add 2 and 3.", ["Step 1", "Add", "3"])
    assert bold("It is **very long** indeed", 12) == ("It is very…", ["very…"])
    assert bold("It is **very long** indeed", 12, end=True) == ("…long indeed", ["long"])
    assert bold("It is **very long** indeed", 8, end=True) == ("…indeed", [])
    assert bold("no marks") == ("no marks", [])


@given(st.text(alphabet="*#`- \n\\{}ab2", max_size=80), st.integers(0, 30), st.booleans())
def test_a_line_fits_whatever_is_written(text: str, width: int, end: bool) -> None:
    for glyphs in (UNICODE, ASCII):
        line = styled_line(text, width, glyphs, end=end)
        assert line.cell_len <= max(width, len(glyphs.ellipsis))
        assert "\n" not in line.plain
    as_html(text)


@pytest.mark.parametrize("piece", ["**a ", "** ", "*a ", "`a", "\n \n", "# ", " ", "#", "**", "\n", "```\n"])
def test_a_degenerate_text_takes_no_time(piece: str) -> None:
    started = time.process_time()
    plain(piece * (16_000 // len(piece)))
    assert time.process_time() - started < 0.2
