"""Writes the pictures of the recorded search ``docs/demo.jsonl``; ``make check`` fails where they are old.

Usage: ``python docs/make_demo.py``

``demo.svg`` is what ``adascale`` leaves on the screen, and ``search.svg`` what ``adascale replay --output``
writes. The search is ``adascale ask -m qwen2.5-coder-1.5b --seed 1 --trace docs/demo.jsonl "A baker ..."``,
with the folder of the package taken out of the calibration's path.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from rich.console import Group
from rich.text import Text

from adascale.cli.commands.replay import PICTURE_WIDTH, document, picture
from adascale.cli.disk.traces import read_trace
from adascale.cli.render.solution import solution
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import closing_lines

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """What stands beside this file, by name."""
    state = ViewState.of(read_trace(FOLDER / "demo.jsonl"))
    assert state.best is not None
    command = f'$ adascale "{state.tree.problem.question}"'
    typed = [Text(line, "bold") for line in textwrap.wrap(command, PICTURE_WIDTH, subsequent_indent="  ")]
    screen = Group(*typed, Text(), solution(state, state.best, whole=False), Text(), *closing_lines(state))
    return {"demo.svg": document(screen, ".svg"), "search.svg": document(picture(state), ".svg")}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
