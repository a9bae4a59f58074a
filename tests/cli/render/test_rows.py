"""Pictures of the tree, as explicit text at a fixed width, and what gives way where it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from sample_log import Log, pens, wide
from scripted import searched

from adascale.cli.render.solution import search_frame
from adascale.cli.render.state import ViewState
from adascale.cli.render.tree import (
    FOLDED_ROWS,
    FULL_TREE,
    final_frame,
    live_frame,
    thought_line,
    tree_rows,
    whole_frame,
)
from adascale.engine.search.events import BranchGrew
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, BranchId


def shown(lines: Sequence[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def texts(log: Log, room: int | None = None) -> list[str]:
    return [row.text.strip() for row in tree_rows(log.state(), room)]


def test_uncalibrated_scores_at_80_columns() -> None:
    picture = """
        Q  3 pens cost $2. How many pens can you buy for $18?
                                                                         score    answer
        ● question                                                         .46       3/8
        ├── ● 1 If 3 pens cost $2, one pen costs 2/3 of a dollar, so…      .71       2/4
        │   ├── ● 1.1 18 / (2/3) = 18 * 3/2                                .88       2/3
        │   │   ├── ★ 1.1.1 = 27. So you can buy 27 pens.                  .93       =27
        │   │   └── ✓ 1.1.2 = 54/2 = 27 pens in total                      .90       =27
        │   └── ◐ 1.2 We can buy 18/2 = 9 groups of 3 pens each, whi…
        ├── ● 2 18 dollars divided by 2 dollars per pack gives 9 pac…      .66       1/5
        │   └── ○ 2.1 9 packs * 3 pens = 27 pens                           .84       0/3
        └── ✗ 3 Each pen costs $3, so 18 / 3 = 6 pens                      .07       cut

        27 leads, 2 of 2 solutions agree · Ctrl-C keeps it
        ◐ 2 solutions · 281 of 2,048 tokens · 10 s
    """
    drawn = shown(live_frame(pens(calibrated=False, pace=0.3).state(), 80, 24))
    assert drawn == dedent(picture).strip("\n")


def test_of_a_large_tree_the_best_path_is_left_behind() -> None:
    log = wide(samples=30, steps=3)
    log.end()
    lines = shown(final_frame(log.state(), 80))

    assert len(log.state().tree) > FULL_TREE
    assert lines.count("\n") < FOLDED_ROWS + 7
    assert "★ 30.1.1 so 27" in lines
    assert "30 rows for 90 steps; adascale tree has all." in lines
    assert len(whole_frame(log.state(), 80)) > 91


def test_a_chain_deeper_than_python_recurses_is_drawn() -> None:
    log, node = Log(), ROOT
    for n in range(1500):
        node = log.step(node, f"step {n}\n", 0.5)
    log.start(node, "writing the last one", 4)

    assert "writing the last one" in shown(live_frame(log.state(), 80, 24))
    assert len(tree_rows(log.state())) == 1502


def test_the_answer_stays_before_what_is_written_and_that_before_other_steps() -> None:
    log = Log()
    for n in range(4):
        log.start(log.step(ROOT, f"first {n}\n", 0.5), f"writing {n}", 3)
    log.finish_path(log.step(ROOT, "so\n", 0.5), "it is 3", 0.9, "3")

    writing = [f"writing {n}" for n in range(4)]
    assert texts(log, 9) == ["question", "first 0", *writing, "so", "it is 3", "3 more rows"]
    assert texts(log, 8) == ["question", *writing, "so", "it is 3", "4 more rows"]
    assert texts(log, 4) == ["question", "writing 0", "it is 3", "8 more rows, 3 being written"]


def test_a_path_that_is_too_long_keeps_both_ends() -> None:
    log, node = Log(), ROOT
    for n in range(20):
        node = log.step(node, f"step {n}\n", 0.5)
    log.finish_path(node, "it is 3", 0.9, "3")

    assert texts(log, 5) == ["question", "step 0", "step 1", "it is 3", "18 more rows"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.integers(0, 1000),
    st.floats(0.1, 1.0),
    st.integers(1, 130),
    st.integers(1, 40),
)
def test_any_frame_of_any_search_fits_the_terminal_and_keeps_the_best(
    strategy: str, seed: int, share: float, width: int, height: int
) -> None:
    log = searched(strategy, seed, None)
    state = ViewState.of(log[: max(1, int(share * len(log)))])
    for lines in (live_frame(state, width, height), search_frame(state, width, height)):
        assert len(lines) <= height
        assert all(cell_len(line.plain) <= width for line in lines)

    full, rows = tree_rows(state), tree_rows(state, height)
    labels = [row.label for row in full]
    assert len(set(labels)) == len(labels) == len(state.tree) + len(state.running)
    assert all(label.rpartition(".")[0] in labels for label in labels)
    assert len(rows) <= height
    assert rows == full or len(full) > height
    if state.best is not None and state.tree[state.best].depth + 2 <= height:
        assert any(row.mark == "best" for row in rows)


def test_the_finished_tree_has_its_cost_and_its_size() -> None:
    log = Log(params={"samples": 16}, pace=1.0)
    log.finish_path(ROOT, "it is 3", 0.9, "3")
    log.finish_path(ROOT, "Hm.", 0.5, None)
    log.prune(log.step(ROOT, "idea", 0.2))
    log.end()
    assert [row.count for row in tree_rows(log.state())[1:]] == ["=3", "=?", "cut"]
    account = shown(final_frame(log.state(), 80)).splitlines()[-1]
    assert account == "60 tokens · about 320 for all 16 · 5.0 tokens/s · 3 steps · 1 cut"


def test_a_score_among_probabilities_has_no_interval() -> None:
    log = Log()
    log.step(ROOT, "likely", 0.7)
    log.calibrated = False
    log.step(ROOT, "unknown", 0.6)
    likely, unknown = (line.plain for line in final_frame(log.state(), 120)[3:5])
    assert likely.partition("likely")[2].split() == ["70", "%", "70-70", "%", "20"]
    assert unknown.partition("unknown")[2].split() == [".60", "20"]


def test_a_thought_is_one_row_with_its_length() -> None:
    log, at = Log(), ROOT
    branch = log.start(ROOT)
    for part in range(3):
        at = log.step(at, f"hmm {part}\n\n", 0.3, branch=branch, tokens=70, ended=False, thought="part")
    at = log.step(at, "so.</think>", 0.4, branch=branch, tokens=3, ended=False, thought="cut")
    log.finish_path(at, "it is 3", 0.5, "3", branch=branch)
    _, thought, end = tree_rows(log.state())
    assert (thought.label, thought.tokens, end.label, end.tokens) == ("1.1.1.1", 213, "1.1.1.1.1", 20)
    assert thought_line(thought) == "thought, 213 tokens"


def test_a_thought_that_forks_or_is_being_written_shows_where() -> None:
    log = Log()
    first = log.step(ROOT, "hmm\n\n", 0.3, thought="part")
    for n in range(2):
        log.step(first, f"so {n}.</think>", 0.3, thought="whole")
    at = log.step(ROOT, "hmm\n\n", 0.3, ended=False, thought="part")
    log.add(BranchGrew, branch=BranchId(3), parent=at, text="I wonder", tokens=8, thinks=True)
    assert [row.label for row in tree_rows(log.state())] == ["", "1", "1.1", "1.2", "2", "2.1"]
