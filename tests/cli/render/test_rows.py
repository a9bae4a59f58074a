"""Pictures of the tree, as explicit text at a fixed width, and what gives way where it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from sample_log import Log, pens, wide
from searches import searched

from adascale.cli.render.frame import FOLDED_ROWS, FULL_TREE, final_frame, live_frame, whole_frame
from adascale.cli.render.rows import thought_line, tree_rows
from adascale.cli.render.solution import writing_frame
from adascale.cli.render.state import ViewState
from adascale.engine.answers.result import Standing
from adascale.engine.search.events import NOT_NEEDED, AnswersJudged, BranchGrew, NodesPruned
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, BranchId, Budget, Estimate


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
        │   └── ◐ 1.2 …can buy 18/2 = 9 groups of 3 pens each, which
        ├── ● 2 18 dollars divided by 2 dollars per pack gives 9 pac…      .66       1/5
        │   └── ○ 2.1 9 packs * 3 pens = 27 pens                           .84       0/3
        └── ✗ 3 Each pen costs $3, so 18 / 3 = 6 pens                      .07       cut

        budget ━━──────────────  281 of 2,048 tokens · 32 tokens/s · at most 0:55 left
        tree   7 steps · depth 3 · 1 cut · 1 being written · 1 waiting
        best   27 · 2 of 2 solutions agree
        done   2 solutions · stops when they agree
        Ctrl-C: stop now and print the best answer.
    """
    drawn = shown(live_frame(pens(calibrated=False, pace=0.3).state(), 80, 24))
    assert drawn == dedent(picture).strip("\n")


def test_a_time_limit_bounds_the_time_left() -> None:
    log = Log(budget=Budget(max_tokens=1000, max_seconds=30.0), pace=1.0)
    log.step(ROOT, "text\n", 0.5, tokens=20)

    assert "at most 0:27 left" in shown(live_frame(log.state(), 80, 24))


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


def test_the_best_path_stays_before_what_is_written_and_that_before_other_steps() -> None:
    log = Log()
    for n in range(4):
        log.start(log.step(ROOT, f"first {n}\n", 0.5), f"writing {n}", 3)
    log.finish_path(ROOT, "it is 3", 0.9, "3")

    assert texts(log, 8) == [
        "question",
        "first 0",
        *(f"writing {n}" for n in range(4)),
        "it is 3",
        "3 more rows",
    ]
    assert texts(log, 4) == ["question", "writing 0", "it is 3", "7 more rows, 3 being written"]


def test_a_path_that_is_too_long_loses_its_middle() -> None:
    log, node = Log(), ROOT
    for n in range(20):
        node = log.step(node, f"step {n}\n", 0.5)
    log.finish_path(node, "it is 3", 0.9, "3")

    assert texts(log, 5) == ["question", "step 0", "18 more rows", "step 19", "it is 3"]


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
    for lines in (live_frame(state, width, height), writing_frame(state, width, height)):
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


def test_a_solution_that_ran_ahead_is_told_from_one_without_an_answer() -> None:
    log = Log("Why?")
    log.finish_path(ROOT, "Hm.", 0.5, None)
    log.step(ROOT, "It is 3.", 0.5, finish="stop")
    assert [row.count for row in tree_rows(log.state())[1:]] == ["=?", "ahead"]
    log.end()
    assert [row.count for row in tree_rows(log.state())[1:]] == ["=?", "unused"]


def test_two_lines_say_who_is_ahead_and_behind_and_what_is_enough() -> None:
    log = Log(params={"stop_at": 0.95, "min_gain": 0.003, "samples": 16}, pace=0.3)
    for answer in ("27", "27", "26", "25", "24", "23"):
        log.finish_path(ROOT, f"so {answer}", (0.5, 0.6, 0.7), answer, tokens=10)
    estimate = Estimate(0.5, 0.62, 0.7, True)
    standing = Standing("27", estimate, 2, 1, 6, 6, gain=0.0124, reach=0.9)
    log.add(AnswersJudged, standing=standing, groups=log.chosen().groups)

    best, done = shown(live_frame(log.state(), 80, 24)).splitlines()[-3:-1]

    assert best == "best   27 · 62 % sure · 2 of 6 solutions agree · then 26 (1), 25 (1), 2 more"
    assert done == "done   6 of 16 solutions · stops when 95 % sure"


def test_what_was_cut_and_what_ran_for_nothing_are_counted_apart() -> None:
    log = Log()
    log.finish_path(ROOT, "it is 3", 0.9, "3")
    steps = [log.step(ROOT, f"idea {n}\n", 0.2) for n in range(5)]
    log.add(NodesPruned, nodes=tuple(steps[:2]), reason="hopeless")
    log.add(NodesPruned, nodes=tuple(steps[2:]), reason=NOT_NEEDED)
    log.end()
    assert [row.count for row in tree_rows(log.state())[2:]] == ["cut", "cut", "unused", "unused", "unused"]
    assert "6 steps · depth 1 · 2 cut · 3 unused" in shown(final_frame(log.state(), 80))


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
