"""What gives way when a tree does not fit, and in which order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import Log, wide
from searches import searched

from adascale.cli.render.rows import thought_line, tree_rows
from adascale.cli.render.state import ViewState
from adascale.engine.search.events import BranchGrew
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, BranchId


def test_pruned_subtrees_fold_first() -> None:
    log = Log()
    dead = [log.step(ROOT, f"dead {n}\n", 0.1) for n in range(3)]
    log.step(dead[0], "below\n", 0.1)
    log.step(ROOT, "alive\n", 0.9)
    log.prune(*dead)

    assert [row.text.strip() for row in tree_rows(log.state(), 3)] == ["question", "alive", "3 cut"]
    assert [row.text.strip() for row in tree_rows(log.state(), 4)][-1] == "2 cut"
    assert len(tree_rows(log.state(), 6)) == 6


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        # Where there is room, the most promising of the others are shown.
        (7, ["so 0", "so 3", "so 6", "sample 8 step 0", "so 27", "5 more solutions with 27"]),
        (5, ["sample 8 step 0", "so 27", "5 more solutions with 27", "3 solutions with 3 other answers"]),
        (4, ["sample 8 step 0", "so 27", "8 more solutions with 4 answers"]),
    ],
)
def test_solutions_fold_by_answer_then_all_off_the_best_path(room: int, shown: list[str]) -> None:
    rows = tree_rows(wide(samples=9, steps=2).state(), room)
    assert [row.text for row in rows] == ["question", *shown]


def test_solutions_without_an_answer_fold_as_such() -> None:
    log = Log()
    for n in range(4):
        log.finish_path(ROOT, f"no idea {n}", 0.5, None)
    log.finish_path(ROOT, "it is 3", 0.4, "3")

    assert [row.text for row in tree_rows(log.state(), 3)] == [
        "question",
        "it is 3",
        "4 solutions without an answer",
    ]


def test_waiting_siblings_fold_and_are_left_open_at_the_end() -> None:
    log = Log()
    log.finish_path(ROOT, "it is 3", 0.4, "3")
    for n in range(5):
        log.step(ROOT, f"idea {n}\n", 0.5 + n / 100)

    assert [row.text for row in tree_rows(log.state(), 3)][-1] == "5 waiting"
    # As many as fit are shown, the most promising first.
    assert [row.text.strip() for row in tree_rows(log.state(), 5)] == [
        "question",
        "it is 3",
        "idea 3",
        "idea 4",
        "3 waiting",
    ]
    log.end()
    assert [row.text for row in tree_rows(log.state(), 3)][-1] == "5 left open"


def branches(count: int) -> Log:
    """A best path of two steps beside ``count`` subtrees of three nodes, the later the better."""
    log = Log()
    log.finish_path(log.step(ROOT, "good\n", 0.9), "it is 3", 0.9, "3")
    for n in range(count):
        node = log.step(ROOT, f"idea {n}\n", 0.1)
        log.step(node, "open\n", 0.2 + n / 10)
        log.finish_path(node, f"it is 4{n}", 0.1, f"4{n}")
    return log


def test_subtrees_off_the_best_path_close_the_least_promising_first() -> None:
    rows = tree_rows(branches(3).state(), 10)

    assert [row.text.strip() for row in rows][3:5] == ["... 3 steps, best 20 %", "idea 1"]
    assert rows[3].label == "2"


def test_where_that_is_too_much_one_row_stands_for_all_of_them() -> None:
    rows = tree_rows(branches(3).state(), 4)

    assert [row.text.strip() for row in rows] == ["question", "good", "it is 3", "3 more, 9 steps, best 40 %"]


def test_running_branches_take_the_place_of_the_steps_before_them() -> None:
    log = Log()
    for n in range(4):
        log.start(log.step(log.step(ROOT, f"first {n}\n", 0.5), "second\n", 0.5), f"writing {n}", 3)

    assert [(row.label, row.text) for row in tree_rows(log.state(), 5)] == [
        ("", "question"),
        *((f"{n + 1}.1.1", f"writing {n}") for n in range(4)),
    ]


def test_running_branches_that_do_not_fit_are_counted() -> None:
    log = Log()
    for _ in range(16):
        log.start(ROOT, "writing", 3)

    rows = [row.text for row in tree_rows(log.state(), 8)]
    assert rows == ["question", *["writing"] * 6, "10 more being written"]


def test_a_path_that_no_fold_shortens_loses_its_middle() -> None:
    log, node = Log(), ROOT
    for n in range(20):
        node = log.step(node, f"step {n}\n", 0.5)
    log.finish_path(node, "it is 3", 0.9, "3")

    assert [row.text.strip() for row in tree_rows(log.state(), 5)] == [
        "question",
        "step 0",
        "18 more rows",
        "step 19",
        "it is 3",
    ]


def test_of_too_many_running_rows_the_best_path_stays() -> None:
    log = Log()
    for n in range(9):
        log.start(log.step(ROOT, f"first {n}\n", 0.5), f"writing {n}", 3)
    log.finish_path(ROOT, "it is 3", 0.9, "3")

    assert [row.text for row in tree_rows(log.state(), 5)] == [
        "question",
        "writing 0",
        "writing 1",
        "it is 3",
        "7 more being written",
    ]


def thinking(paths: int, parts: int, *, ended: bool = True) -> Log:
    """Trajectories with a thought of so many parts, 70 tokens each, and a solution where they have ended."""
    log = Log()
    for path in range(paths):
        at = ROOT
        branch = log.start(ROOT)
        for part in range(parts):
            at = log.step(at, f"hmm {part}\n\n", 0.3, branch=branch, tokens=70, ended=False, thought="part")
        at = log.step(at, "so.</think>", 0.4, branch=branch, tokens=3, ended=False, thought="cut")
        if ended:
            log.finish_path(at, f"it is {path}", 0.5 + path / 10, str(path), branch=branch)
    return log


def test_a_thought_is_one_row_with_its_length() -> None:
    state = thinking(paths=2, parts=3).state()
    rows = tree_rows(state)
    assert [(row.label, row.text, row.tokens, row.thought) for row in rows] == [
        ("", "question", None, False),
        ("1.1.1.1", "so.</think>", 213, True),
        ("1.1.1.1.1", "it is 0", 20, False),
        ("2.1.1.1", "so.</think>", 213, True),
        ("2.1.1.1.1", "it is 1", 20, False),
    ]
    assert thought_line(rows[1]) == "thought, 213 tokens"


def test_a_thought_that_is_being_written_is_shown() -> None:
    log = thinking(paths=1, parts=0, ended=False)
    at = log.step(ROOT, "hmm\n\n", 0.3, tokens=64, ended=False, thought="part")
    log.add(BranchGrew, branch=BranchId(1), parent=at, text="I wonder", tokens=8, thinks=True)
    rows = tree_rows(log.state())
    assert [row.text for row in rows if row.mark == "running"] == ["", "I wonder"]
    assert [row.tokens for row in rows if row.thought] == [3, 64]


def test_a_thought_that_forks_shows_where() -> None:
    log = Log()
    first = log.step(ROOT, "hmm\n\n", 0.3, thought="part")
    for n in range(2):
        log.step(first, f"so {n}.</think>", 0.3, thought="whole")
    assert [row.label for row in tree_rows(log.state()) if row.thought] == ["1", "1.1", "1.2"]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("room", [1, 2, 3, 4, 6, 9])
def test_trees_with_thoughts_fold_to_the_room_there_is(room: int, ended: bool) -> None:
    state = thinking(paths=5, parts=4, ended=ended).state()
    rows = tree_rows(state, room)
    assert 0 < len(rows) <= room
    assert room < 3 or rows[0].text == "question"
    assert not ended or room < 4 or any(row.mark == "best" for row in rows)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 1000), st.floats(0.1, 1.0), st.integers(1, 40))
def test_folds_hide_nothing_that_fits_and_keep_the_best(
    strategy: str, seed: int, share: float, room: int
) -> None:
    log = searched(strategy, seed, None)
    state: ViewState | None = None
    for event in log[: max(1, int(share * len(log)))]:
        state = ViewState.after(state, event)
    full = tree_rows(state)
    rows = tree_rows(state, room)

    assert len(full) == len(state.tree) + len(state.running)
    assert len(rows) <= room
    assert sum(row.branches for row in rows) == len(state.running)
    if len(full) <= room:
        assert rows == full
    if state.best is not None and state.tree[state.best].depth + 2 <= room:
        assert any(row.mark == "best" for row in rows)
