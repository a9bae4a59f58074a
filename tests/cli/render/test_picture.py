"""Pictures of the tree, and what gives way if it does not fit; ``--update-golden`` accepts a change."""

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
from terminal import frame, shown

from adascale.cli.render import picture
from adascale.cli.render.picture import final_tree, solution
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import closing_lines
from adascale.engine.search.events import BranchGrew
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, BranchId

GOLDEN = Path(__file__).parents[2] / "golden" / "views"


SEARCHES: dict[str, tuple[Callable[[], Log], int]] = {
    "pens": (lambda: pens(pace=0.3), 80),
    "programs": (lambda: programs(pace=0.3), 40),
}


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_a_search_looks_as_before(name: str, request: pytest.FixtureRequest) -> None:
    make, width = SEARCHES[name]
    log = make()
    parts = ["live tree", frame(log.state(), width, 40, show_tree=True)]
    parts += ["", "live", frame(log.state(), width, 40)]
    log.end("interrupted" if name == "pens" else "exhausted")
    state = log.state()
    assert state.best is not None
    parts += ["", "tree at the end", shown(final_tree(state, width), width)]
    parts += ["", "end", shown(solution(state, state.best), width), ""]
    parts += [line.plain for line in closing_lines(state, verbose=1)]
    text, path = "\n".join(parts) + "\n", GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_theme_has_every_style(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich draws a text whose style it does not know without any."""
    get_style = Console.get_style
    monkeypatch.setattr(Console, "get_style", lambda self, name, *, default=None: get_style(self, name))
    for make, width in SEARCHES.values():
        log = make()
        frame(log.state(), width, 40, show_tree=True)
        log.end()
        state = log.state()
        shown(Group(final_tree(state, 120), solution(state, state.best or ROOT)), 120)


def rows(state: ViewState, room: int = 10_000, *, show_tree: bool = True) -> list[str]:
    """The rows of a running search: mark, text, and figures, two spaces or more between them."""
    height = room + 5 if show_tree else max(room + 5, 2 * room)
    lines = frame(state, 130, height, show_tree=show_tree).splitlines()
    return [line.lstrip("│├└─ ") for line in lines[2 : lines.index("")]]


def texts(log: Log, room: int, *, show_tree: bool = True) -> list[str]:
    lines = rows(log.state(), room, show_tree=show_tree)
    return [line.partition("  ")[0].split(" ", 1)[1] for line in lines]


def test_the_answer_stays_before_running_branches_and_those_before_other_steps() -> None:
    log = Log()
    for n in range(4):
        log.start(log.step(ROOT, f"first {n}\n", 0.5), f"writing {n}", 3)
    log.finish_path(log.step(ROOT, "so\n", 0.5), "it is 3", 0.9, "3")
    writing, end = [f"writing {n}" for n in range(4)], "= 3 · it is 3"
    assert texts(log, 9) == ["question", "first 0", "writing 0", "so", end, *writing[1:], "3 more rows"]
    assert texts(log, 8) == ["question", "so", end, *writing, "4 more rows"]
    assert texts(log, 4) == ["question", end, "writing 0", "8 more rows"]


def test_without_its_steps_each_solution_has_one_row() -> None:
    log = Log(params={"samples": 8})
    branches = [log.start(ROOT), log.start(ROOT, mode="program"), log.start(ROOT)]
    first = log.step(ROOT, "3 pens\n", 0.5, branch=branches[0], ended=False)
    log.add(BranchGrew, branch=branches[0], parent=first, text="**So** it is\nnow 27,", tokens=4)
    log.add(BranchGrew, branch=branches[1], parent=ROOT, text="```python\na = 2\nprint(", tokens=7)
    log.finish_path(ROOT, "It is 27.", 0.9, "27", branch=branches[2])
    log.program("1/0", 0.1, error="Traceback\nZeroDivisionError: division by zero")
    log.finish_path(ROOT, "Hm.", 0.5, None)
    log.prune(log.step(ROOT, "Once more", 0.1))
    assert [" ".join(row.split()) for row in rows(log.state(), show_tree=False)] == [
        "● question",
        "★ = 27 · It is 27. 90 % 20",
        "✗ ZeroDivisionError: division by zero · print(1 / 0) 10 % 20",
        "✓ no answer · Hm. 50 % 20",
        "✗ outside the beam · Once more 10 % 20",
        "◐ now 27, 4",
        "◐ print( 7",
    ]
    assert texts(log, 4, show_tree=False)[-1] == "4 more rows"


def test_a_chain_deeper_than_python_recurses_is_drawn() -> None:
    log, node = Log(), ROOT
    for n in range(1500):
        node = log.step(node, f"step {n}\n", 0.5)
    log.start(node, "writing the last one", 4)
    assert len(lines := rows(log.state())) == 1502
    assert "writing the last" in lines[-1]


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
    for show_tree in (True, False):
        lines = frame(state, width, height, show_tree=show_tree).splitlines()
        assert len(lines) <= height
        assert all(cell_len(line) <= width for line in lines)
        if state.best is not None and show_tree and height >= 8:
            assert any("★" in line for line in lines)


def test_a_score_is_no_probability() -> None:
    log = Log()
    log.step(ROOT, "likely", 0.7)
    log.calibrated = False
    log.step(ROOT, "unknown", 0.6)
    _, likely, unknown = rows(log.state())
    assert likely.partition("likely")[2].split() == ["70", "%", "20"]
    assert unknown.partition("unknown")[2].split() == [".60", "20"]
    assert "score" in frame(pens(calibrated=False).state(), 80, 24, show_tree=True).splitlines()[1]


def test_a_thought_is_one_row_with_its_length_unless_it_forks() -> None:
    log, at = Log(), ROOT
    branch = log.start(ROOT)
    for part in range(3):
        at = log.step(at, f"hmm {part}\n\n", 0.3, branch=branch, tokens=70, ended=False, thought="part")
    at = log.step(at, "so.</think>", 0.4, branch=branch, tokens=3, ended=False, thought="cut")
    log.finish_path(at, "it is 3", 0.5, "3", branch=branch)
    _, thought, end = (row.split() for row in rows(log.state()))
    assert thought[1:4] == ["thought,", "213", "tokens"]
    assert (end[1:3], end[-1]) == (["=", "3"], "20")
    log = Log()
    first = log.step(ROOT, "hmm\n\n", 0.3, thought="part")
    for n in range(2):
        log.step(first, f"so {n}.</think>", 0.3, thought="whole")
    at = log.step(ROOT, "hmm\n\n", 0.3, ended=False, thought="part")
    log.add(BranchGrew, branch=BranchId(3), parent=at, text="I wonder", tokens=8, thinks=True)
    assert [row.split()[1] for row in rows(log.state())] == ["question", *4 * ["thought,"], "I"]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("[/] and [bold] and [link=x]", "[/] and [bold] and [link=x]"),
        ("clear\x1b[2Jthe\x9b2Jscreen\r\x07", "clear[2Jthe2Jscreen"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("turned \u202earound\u202c", "turned around"),
        ("family \U0001f468\u200d\U0001f469 heart \u2764\ufe0f", "family \U0001f468\U0001f469 heart \u2764"),
        ("one pen 三支笔", "one pen 三支笔"),
    ],
)
def test_model_text_is_only_text(text: str, drawn: str) -> None:
    log = Log(text)
    log.step(ROOT, text, 0.5)
    question, _, _, step, *_ = frame(log.state(), 80, 24, show_tree=True).splitlines()
    assert question == f"Q  {drawn}"
    assert step.split("○ ")[1].partition("  ")[0] == drawn


def test_a_reply_is_drawn_only_if_one_screen_shows_both_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log("hi", kind="text")
    log.start(ROOT, "**Hello**, wor", 4)
    assert "Hello" not in frame(log.state(), 80, 24)
    monkeypatch.setattr(picture, "is_one_screen", lambda: True)
    assert frame(log.state(), 80, 24).startswith("Hello, wor\n")
