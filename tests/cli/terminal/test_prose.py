"""A model's Markdown and LaTeX as a person reads them."""

from __future__ import annotations

import time

import pytest

from adascale.cli.terminal.text import last_line, plain


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**So** it is\n\n1. **27**", "1. 27"),
        ("so\nit is\n- ", "it is"),
        (r"It is \frac{1}{2} = \frac{\text{8", "It is 1/2 ="),
        ("```python\na = 2", "a = 2"),
        ("\n", ""),
    ],
)
def test_the_last_line_says_something(text: str, shown: str) -> None:
    assert last_line(text) == shown


@pytest.mark.parametrize("piece", ["**a ", "** ", "*a ", "`a", "\n \n", "# ", " ", "#", "**", "\n", "```\n"])
def test_a_degenerate_text_takes_no_time(piece: str) -> None:
    started = time.process_time()
    plain(piece * (16_000 // len(piece)))
    assert time.process_time() - started < 0.2
