"""Recorded searches as they looked before; ``--update-golden`` accepts a change."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from sample_log import Log, pens, programs

from adascale.cli.render.solution import search_frame, solution_lines
from adascale.cli.render.summary import closing_lines
from adascale.cli.render.tree import final_frame, live_frame
from adascale.engine.types import ROOT, Budget

from .test_rows import shown

GOLDEN = Path(__file__).parents[2] / "golden" / "views"
HEIGHT = 40
ADAPTIVE = {"samples": 16, "lead": 3}


def wordy() -> Log:
    log = Log("一支钢笔两元，十八元可以买几支？ 👩‍🚀", pace=0.1)
    log.read_prompt()
    log.grant(ROOT, 2)
    log.finish_path(
        log.step(ROOT, "先算 18 ÷ 2 = 9，再写下来。\n", 0.7), "所以是 \\boxed{9} 支 ✍️", 0.8, "九支"
    )
    log.start(ROOT, "また別の考え方をすると、十八円は", 6)
    return log


def hostile() -> Log:
    log = Log("[bold]What[/bold] is \x1b[2J[/] $2 \\textbf{and} `this`?", pace=0.1)
    log.grant(ROOT, 3)
    log.finish_path(
        log.step(ROOT, "[red]\x1b]0;title\x07 100% & <b>\n", 0.4),
        "\\boxed{\\frac{1}{2}} \u202eabc",
        0.6,
        "[/]",
    )
    log.start(ROOT, "\r\rover\bwritten\t\ttabs", 4)
    return log


def large() -> Log:
    rng = random.Random(7)
    log = Log("How does a search of 700 nodes fit a screen?", budget=Budget(max_tokens=64_000), pace=0.01)
    log.read_prompt()
    open_ = [ROOT]
    for node in range(600):
        parent = open_[rng.randrange(len(open_))]
        p = rng.random()
        found = log.step(parent, f"thought {node}\n", (p / 2, p, (1 + p) / 2), tokens=9)
        if node % 17 == 0:
            log.prune(found)
        elif node % 7 == 0:
            log.finish_path(found, f"so {node % 5}", p, str(node % 5), tokens=5)
        else:
            open_.append(found)
    for node in open_[-5:]:
        log.start(node, "and here is one that is being written", 7)
    return log


def prose() -> Log:
    log = Log("What is 17 * 23, step by step?", params=ADAPTIVE, pace=0.4)
    log.read_prompt()
    log.grant(ROOT, 16)
    first = log.step(ROOT, "### Split the second factor\n\nTo find $17 \\times 23$, we use:\n\n", 0.7)
    second = log.step(
        first,
        "1. **Tens**: \\( 17 \\cdot 20 = 340 \\), since 17*2*10 is 34 tens, which is the larger part of it\n"
        "2. **Ones**: \\( 17 \\cdot 3 = 51 \\)\n\n",
        0.8,
    )
    log.finish_path(second, "\\[ 340 + 51 = \\boxed{391} \\]", (0.8, 0.96, 0.99), "391")
    log.program("a = 17\nb = 23\nprint(a * b)", (0.8, 0.97, 0.99), output="391\n", answer="391")
    log.start(ROOT, "Seventeen times", 3)
    return log


SEARCHES: dict[str, Callable[[], Log]] = {
    "interrupted": lambda: pens(pace=0.3),
    "cjk": wordy,
    "hostile": hostile,
    "large": large,
    "programs": lambda: programs(pace=0.3),
    "prose": prose,
}
ENDS = {"prose": "confident", "interrupted": "interrupted"}


def snapshot(name: str, width: int) -> str:
    """The live tree and what it leaves; the solution as it is written; the screen at the end, with -v."""
    log = SEARCHES[name]()
    state = log.state()
    parts = ["live tree", *shown(live_frame(state, width, HEIGHT)).splitlines(), "", "live"]
    parts += [*shown(search_frame(state, width, HEIGHT)).splitlines(), "", "tree at the end"]
    log.end(ENDS.get(name, "exhausted"))  # type: ignore[arg-type]
    state = log.state()
    parts += [*shown(final_frame(state, width)).splitlines(), "", "end"]
    if state.best is not None:
        parts += [*shown(solution_lines(state, state.best, width, whole=False)).splitlines(), ""]
    parts += [line.plain for line in closing_lines(state, verbose=1)]
    return "\n".join(line.rstrip() for line in parts).rstrip() + "\n"


@pytest.mark.parametrize(
    ("name", "width"),
    [("cjk", 60), ("interrupted", 80), ("large", 120), ("programs", 60), ("prose", 60)],
)
def test_it_looks_as_before(name: str, width: int, request: pytest.FixtureRequest) -> None:
    found, path = snapshot(name, width), GOLDEN / f"{name}-{width}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_no_line_is_wider_or_more_than_there_is_room(name: str) -> None:
    state = SEARCHES[name]().state()
    for width in (20, 80, 120):
        for draw in (live_frame, search_frame):
            lines = draw(state, width, 24)
            assert len(lines) <= 24
            assert max(cell_len(line.plain) for line in lines) <= width
            assert not any(character < " " for line in lines for character in line.plain)
