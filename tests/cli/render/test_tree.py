"""Pictures of the tree, and what gives way where it does not fit; ``--update-golden`` accepts a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, Group
from sample_log import Log, pens, programs
from scripted import searched
from terminal import shown

from adascale.cli.render.solution import search_frame, solution
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import closing_lines
from adascale.cli.render.tree import final_tree, live_tree
from adascale.engine.search.events import BranchGrew
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, BranchId

GOLDEN = Path(__file__).parents[2] / "golden" / "views"


SEARCHES: dict[str, tuple[Callable[[], Log], int]] = {
    "pens": (lambda: pens(pace=0.3), 80),
    "programs": (lambda: programs(pace=0.3), 60),
}


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_it_looks_as_before(name: str, request: pytest.FixtureRequest) -> None:
    make, width = SEARCHES[name]
    log = make()
    state = log.state()
    parts = ["live tree", shown(live_tree(state, width, 40), width)]
    parts += ["", "live", shown(search_frame(state, 40), width)]
    log.end("interrupted" if name == "pens" else "exhausted")
    state = log.state()
    assert state.best is not None
    parts += ["", "tree at the end", shown(final_tree(state, width), width)]
    parts += ["", "end", shown(solution(state, state.best, whole=False), width), ""]
    parts += [line.plain for line in closing_lines(state, verbose=1)]
    found, path = "\n".join(parts) + "\n", GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_every_style_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich draws a text whose style it does not know without any."""
    known = Console.get_style
    monkeypatch.setattr(Console, "get_style", lambda self, name, *, default=None: known(self, name))
    for make, width in SEARCHES.values():
        log = make()
        shown(Group(live_tree(log.state(), width, 40), search_frame(log.state(), 40)), width)
        log.end()
        state = log.state()
        shown(Group(final_tree(state, 120), solution(state, state.best or ROOT, whole=True)), 120)


def rows(log: Log, height: int = 10_000) -> list[str]:
    """The rows of the tree while the search runs."""
    lines = shown(live_tree(log.state(), 130, height), 130).splitlines()
    return [line.lstrip("│├└─ ") for line in lines[2 : lines.index("")]]


def texts(log: Log, room: int) -> list[str]:
    """The texts of the rows for which there is room, among a footer of two lines and a head of three."""
    return [row.partition("  ")[0].split(" ", 1)[1] for row in rows(log, room + 5)]


def test_the_answer_stays_before_what_is_written_and_that_before_other_steps() -> None:
    log = Log()
    for n in range(4):
        log.start(log.step(ROOT, f"first {n}\n", 0.5), f"writing {n}", 3)
    log.finish_path(log.step(ROOT, "so\n", 0.5), "it is 3", 0.9, "3")
    writing = [f"writing {n}" for n in range(4)]
    assert texts(log, 9) == ["question", "first 0", "writing 0", "so", "it is 3", *writing[1:], "3 more rows"]
    assert texts(log, 8) == ["question", "so", "it is 3", *writing, "4 more rows"]
    assert texts(log, 4) == ["question", "it is 3", "writing 0", "8 more rows"]


def test_a_chain_deeper_than_python_recurses_is_drawn() -> None:
    log, node = Log(), ROOT
    for n in range(1500):
        node = log.step(node, f"step {n}\n", 0.5)
    log.start(node, "writing the last one", 4)
    assert "writing the last" in shown(live_tree(log.state(), 80, 24), 80)
    assert len(rows(log)) == 1502


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.integers(0, 1000),
    st.floats(0.1, 1.0),
    st.integers(20, 130),
    st.integers(1, 40),
)
def test_any_frame_of_any_search_fits_the_terminal_and_keeps_the_best(
    strategy: str, seed: int, share: float, width: int, height: int
) -> None:
    log = searched(strategy, seed, None)
    state = ViewState.of(log[: max(1, int(share * len(log)))])
    tree = shown(live_tree(state, width, height), width)
    for frame in (tree, shown(search_frame(state, height), width)):
        lines = frame.splitlines()
        assert len(lines) <= height
        assert all(cell_len(line) <= width for line in lines)
    if state.best is not None and height >= 8:
        assert "★" in tree


def test_a_score_is_no_probability() -> None:
    log = Log()
    log.step(ROOT, "likely", 0.7)
    log.calibrated = False
    log.step(ROOT, "unknown", 0.6)
    likely, unknown = shown(final_tree(log.state(), 120), 120).splitlines()[3:5]
    assert likely.partition("likely")[2].split() == ["70", "%", "20"]
    assert unknown.partition("unknown")[2].split() == [".60", "20"]
    assert "score" in shown(live_tree(pens(calibrated=False).state(), 80, 24), 80).splitlines()[1]


def test_a_thought_is_one_row_with_its_length_where_it_does_not_fork() -> None:
    log, at = Log(), ROOT
    branch = log.start(ROOT)
    for part in range(3):
        at = log.step(at, f"hmm {part}\n\n", 0.3, branch=branch, tokens=70, ended=False, thought="part")
    at = log.step(at, "so.</think>", 0.4, branch=branch, tokens=3, ended=False, thought="cut")
    log.finish_path(at, "it is 3", 0.5, "3", branch=branch)
    _, thought, end = (row.split() for row in rows(log))
    assert thought[1:4] == ["thought,", "213", "tokens"]
    assert (end[1:4], end[-1]) == (["it", "is", "3"], "20")
    log = Log()
    first = log.step(ROOT, "hmm\n\n", 0.3, thought="part")
    for n in range(2):
        log.step(first, f"so {n}.</think>", 0.3, thought="whole")
    at = log.step(ROOT, "hmm\n\n", 0.3, ended=False, thought="part")
    log.add(BranchGrew, branch=BranchId(3), parent=at, text="I wonder", tokens=8, thinks=True)
    assert [row.split()[1] for row in rows(log)] == ["question", *4 * ["thought,"], "I"]
