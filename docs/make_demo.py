"""Writes the pictures of the recorded searches beside it; ``make check`` fails where they are old.

Usage: ``python docs/make_demo.py``

``choice.svg``, ``code.svg``, ``label.svg`` and ``server.svg`` are what a command leaves on the screen,
``firming.svg`` is the screen at the first and the last answer of ``demo.jsonl``, and ``search.svg`` is what
``adascale replay --output`` writes of it. Each search was recorded by
its command with ``-m qwen2.5-coder-1.5b --seed 1``, that of the server over llama-server;
``adascale runs path`` names its file. ``label.txt`` is what a run of ``label`` has printed.
"""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from adascale.cli.commands.replay import PICTURE_WIDTH, document, picture
from adascale.cli.disk.traces import read_trace
from adascale.cli.render.picture import option_bars, search_frame, solution
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import closing_lines
from adascale.cli.terminal.console import new_console
from adascale.engine.search.events import AnswersJudged

FOLDER = Path(__file__).parent

TYPED = {
    "choice": """\
$ adascale "Which gas do plants take in for photosynthesis?
> A. Oxygen  B. Carbon dioxide  C. Nitrogen  D. Hydrogen\"""",
    "code": """\
$ adascale code "Write rle(text), which encodes runs: 'aab' becomes 'a2b1'." \\
>   --test "assert rle('aab') == 'a2b1'" --test "assert rle('') == ''\"""",
    "server": """\
$ adascale ask -m http://127.0.0.1:8080 \\
>   "A recipe for 4 needs 300 g of rice. How much for 7?\"""",
}
"""Pictures by name, and how their commands were typed."""


def screen(name: str) -> Group:
    """A command, and what it leaves on the screen."""
    state = ViewState.of(read_trace(FOLDER / f"{name}.jsonl"))
    shown: list[RenderableType] = [option_bars(state), Text()] if state.options else []
    if state.best is not None and state.tree.problem.kind == "code":
        shown = [solution(state, state.best), Text()]
    return Group(Text(TYPED[name], "bold"), Text(), *shown, *closing_lines(state))


def firming() -> Group:
    """The screen while the first answer stands, and the lines that the end leaves."""
    log = read_trace(FOLDER / "demo.jsonl")
    first = next(at for at, event in enumerate(log) if isinstance(event, AnswersJudged))
    state = ViewState.of(log[: first + 1])
    state.takes = True
    frame = search_frame(state, new_console(width=PICTURE_WIDTH), 17)
    return Group(Text("$ adascale", "bold"), frame, Text(), *closing_lines(ViewState.of(log)))


def files() -> dict[str, str]:
    """What stands beside this file, by name."""
    demo = ViewState.of(read_trace(FOLDER / "demo.jsonl"))
    screens = {f"{name}.svg": document(screen(name)) for name in TYPED}
    labels = Text((FOLDER / "label.txt").read_text(encoding="utf-8").rstrip("\n"))
    labels.highlight_regex(r"(?m)^[$>] .*$", "bold")
    return screens | {
        "label.svg": document(labels),
        # The mark of running work turns, and the picture's id with it.
        "firming.svg": re.sub(r"terminal-\d+", "terminal-0", re.sub("[◓◑◒]", "◐", document(firming()))),
        "search.svg": document(picture(demo)),
    }


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
