"""Pictures of the tree, as explicit text at a fixed width."""

from collections.abc import Sequence
from textwrap import dedent

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from sample_log import Log, pens, wide
from searches import searched

from adascale.cli.render.frame import FOLDED_ROWS, FULL_TREE, final_frame, live_frame
from adascale.cli.render.rows import tree_rows
from adascale.cli.render.solution import writing_frame
from adascale.cli.render.state import ViewState
from adascale.cli.terminal.theme import ASCII, UNICODE, Glyphs
from adascale.engine.answers.result import Standing
from adascale.engine.search.events import NOT_NEEDED, AnswersJudged, NodesPruned
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, Budget, Estimate


def shown(lines: Sequence[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def picture(text: str) -> str:
    return dedent(text).strip("\n")


def test_50_columns_drop_answers_and_whole_facts() -> None:
    assert shown(live_frame(pens(pace=0.3).state(), 50, 24, UNICODE)) == picture("""
        Q  3 pens cost $2. How many pens can you buy for…
                                                   correct
        ● question                                    46 %
        ├── ● 1 If 3 pens cost $2, one pen costs…     71 %
        │   ├── ● 1.1 18 / (2/3) = 18 * 3/2           88 %
        │   │   ├── ★ 1.1.1 = 27. So you can buy…     93 %
        │   │   └── ✓ 1.1.2 = 54/2 = 27 pens in…      90 %
        │   └── ◐ 1.2 …oups of 3 pens each, which
        ├── ● 2 18 dollars divided by 2 dollars…      66 %
        │   └── ○ 2.1 9 packs * 3 pens = 27 pens      84 %
        └── ✗ 3 Each pen costs $3, so 18 / 3 = 6…      7 %

        budget ━───────  281 of 2,048 tokens · 32 tokens/s
        tree   7 steps · depth 3 · 1 cut · 1 being written
        best   27 · 93 % sure · 2 of 2 solutions agree
        done   2 solutions · stops when 95 % sure
        Ctrl-C: stop now and print the best answer.
    """)


def test_uncalibrated_scores_in_ascii_at_80_columns() -> None:
    assert shown(live_frame(pens(calibrated=False, pace=0.3).state(), 80, 24, ASCII)) == picture("""
        Q  3 pens cost $2. How many pens can you buy for $18?
                                                                         score    answer
        o question                                                         .46       3/8
        +-- o 1 If 3 pens cost $2, one pen costs 2/3 of a dollar,...       .71       2/4
        |   +-- o 1.1 18 / (2/3) = 18 * 3/2                                .88       2/3
        |   |   +-- * 1.1.1 = 27. So you can buy 27 pens.                  .93       =27
        |   |   `-- + 1.1.2 = 54/2 = 27 pens in total                      .90       =27
        |   `-- > 1.2 ...an buy 18/2 = 9 groups of 3 pens each, which
        +-- o 2 18 dollars divided by 2 dollars per pack gives 9 p...      .66       1/5
        |   `-- . 2.1 9 packs * 3 pens = 27 pens                           .84       0/3
        `-- x 3 Each pen costs $3, so 18 / 3 = 6 pens                      .07       cut

        budget ==--------------  281 of 2,048 tokens | 32 tokens/s | at most 0:55 left
        tree   7 steps | depth 3 | 1 cut | 1 being written | 1 waiting
        best   27 | 2 of 2 solutions agree
        done   2 solutions | stops when they agree
        Ctrl-C: stop now and print the best answer.
    """)


@given(st.integers(0, 1000), st.sampled_from([50, 80, 120]))
@settings(max_examples=30, deadline=None)
def test_the_columns_stand_still_while_a_tree_grows(seed: int, width: int) -> None:
    heads, state = set[str](), None
    for event in searched("adaptive", seed, None):
        state = ViewState.after(state, event)
        heads.add(live_frame(state, width, 60, UNICODE)[1].plain)
    assert len(heads) == 1


def test_a_time_limit_bounds_the_time_left() -> None:
    log = Log(budget=Budget(max_tokens=1000, max_seconds=30.0), pace=1.0)
    log.step(ROOT, "text\n", 0.5, tokens=20)

    assert "at most 0:27 left" in shown(live_frame(log.state(), 80, 24, UNICODE))


def test_a_large_tree_is_left_behind_folded_around_its_best_path() -> None:
    log = wide(samples=30, steps=3)
    log.end()
    lines = shown(final_frame(log.state(), 80, UNICODE))

    assert len(log.state().tree) > FULL_TREE
    assert lines.count("\n") < FOLDED_ROWS + 7
    assert "★ 30.1.1 so 27" in lines
    assert "Folded: " in lines
    assert "rows for 90 steps; adascale tree -o t.html has all." in lines
    assert len(final_frame(log.state(), 80, UNICODE, whole=True)) > 91


def test_a_chain_deeper_than_python_recurses_is_drawn() -> None:
    log, node = Log(), ROOT
    for n in range(1500):
        node = log.step(node, f"step {n}\n", 0.5)
    log.start(node, "writing the last one", 4)

    assert "writing the last one" in shown(live_frame(log.state(), 80, 24, UNICODE))
    assert len(tree_rows(log.state())) == 1502


def test_a_deep_tree_leaves_room_for_text() -> None:
    log, node = Log(), ROOT
    for n in range(12):
        node = log.step(node, f"this is step number {n}\n", 0.5)

    lines = [line.plain for line in live_frame(log.state(), 80, 40, UNICODE)[3:15]]
    assert all("this is step number" in line for line in lines)
    assert lines[2].startswith("    └ ● 1.1.1 this is step number 2")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.integers(0, 1000),
    st.floats(0.1, 1.0),
    st.integers(1, 130),
    st.integers(1, 40),
    st.sampled_from([UNICODE, ASCII]),
)
def test_any_frame_of_any_search_fits_the_terminal(
    strategy: str, seed: int, share: float, width: int, height: int, glyphs: Glyphs
) -> None:
    log = searched(strategy, seed, None)
    state: ViewState | None = None
    for event in log[: max(1, int(share * len(log)))]:
        state = ViewState.after(state, event)
    lines = live_frame(state, width, height, glyphs)

    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)
    lines = writing_frame(state, width, height, glyphs)
    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)


def test_a_solution_that_ran_ahead_is_told_from_one_without_an_answer() -> None:
    log = Log("Why?")
    log.finish_path(ROOT, "Hm.", 0.5, None)
    log.step(ROOT, "It is 3.", 0.5, finish="stop")
    counts = {row.text: row.count for row in tree_rows(log.state(), None)}
    assert (counts["Hm."], counts["It is 3."]) == ("=?", "ahead")
    log.end()
    counts = {row.text: row.count for row in tree_rows(log.state(), None)}
    assert (counts["Hm."], counts["It is 3."]) == ("=?", "unused")


def test_two_lines_say_who_is_ahead_and_behind_and_what_is_enough() -> None:
    log = Log(params={"stop_at": 0.95, "min_gain": 0.003, "samples": 16}, pace=0.3)
    log.read_prompt()
    log.grant(ROOT, 16)
    for answer in ("27", "27", "26", "25", "24", "23"):
        log.finish_path(ROOT, f"so {answer}", (0.5, 0.6, 0.7), answer, tokens=10)
    estimate = Estimate(0.5, 0.62, 0.7, True)
    standing = Standing("27", estimate, 2, 1, 6, 6, 6, gain=0.0124, reach=0.9)
    log.add(AnswersJudged, standing=standing, groups=log.chosen().groups)

    best, done = shown(live_frame(log.state(), 80, 24, UNICODE)).splitlines()[-3:-1]

    assert best == "best   27 · 62 % sure · 2 of 6 solutions agree · then 26 (1), 25 (1), 2 more"
    assert done == "done   6 of 16 solutions · stops when 95 % sure"


def test_without_a_limit_the_bar_shows_what_all_solutions_would_cost() -> None:
    log = Log(params={"stop_at": 0.95, "samples": 16}, pace=1.0)
    log.read_prompt()
    log.grant(ROOT, 16)
    for _ in range(4):
        log.finish_path(ROOT, "so 27", 0.9, "27", tokens=25)
    log.end("confident")

    [line] = [line for line in shown(final_frame(log.state(), 80, UNICODE)).splitlines() if "budget" in line]

    assert line.startswith("budget ━━━━────────────  100 tokens · about 400 for all 16 · ")


def test_what_ran_ahead_for_nothing_was_not_cut() -> None:
    log = pens(running=False)
    [unused] = log.state().tree.children(ROOT)[-1:]
    log.add(NodesPruned, nodes=(unused,), reason=NOT_NEEDED)
    log.end()

    *_, row, _, _, counts = shown(final_frame(log.state(), 80, UNICODE)).splitlines()
    assert row.endswith("   7 %    unused")
    assert counts.endswith(" · 1 unused · 1 left open")


def test_what_was_cut_and_what_ran_for_nothing_are_counted_apart() -> None:
    log = Log()
    log.finish_path(ROOT, "it is 3", 0.9, "3")
    steps = [log.step(ROOT, f"idea {n}\n", 0.2) for n in range(5)]
    log.add(NodesPruned, nodes=tuple(steps[:2]), reason="hopeless")
    log.add(NodesPruned, nodes=tuple(steps[2:]), reason=NOT_NEEDED)
    log.end()
    assert [row.text.strip() for row in tree_rows(log.state(), 3)][-1] == "2 cut, 3 unused"
    assert "6 steps · depth 1 · 2 cut · 3 unused" in shown(final_frame(log.state(), 80, UNICODE))


def test_an_estimate_lies_within_its_interval_on_the_scale() -> None:
    drawn = {
        (0.0, 0.0, 0.0): "●          ",
        (0.0, 0.5, 1.0): "─────●─────",
        (0.96, 0.99, 1.0): "          ●",
        (0.2, 0.2, 0.9): "  ●─────── ",
    }
    for estimate, scale in drawn.items():
        log = Log()
        log.step(ROOT, "x", estimate)
        lines = shown(live_frame(log.state(), 120, 24, UNICODE)).splitlines()
        at = lines[1].index("0   50  100")
        assert lines[3][at : at + 11] == scale


def test_a_score_among_probabilities_has_no_interval() -> None:
    log = Log()
    log.step(ROOT, "likely", 0.7)
    log.calibrated = False
    log.step(ROOT, "unknown", 0.6)
    likely, unknown = (line.plain for line in final_frame(log.state(), 120, UNICODE)[3:5])
    assert "70 %" in likely
    assert "70-70 %" in likely
    assert UNICODE.point in likely.partition("likely")[2]
    assert unknown.partition("unknown")[2].split() == [".60", "20"]
