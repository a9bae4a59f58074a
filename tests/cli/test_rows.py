"""Pictures of the tree, as explicit text at a fixed width."""

from collections.abc import Sequence
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from adascale.cli.render.frame import (
    FOLDED_ROWS,
    FULL_TREE,
    final_frame,
    live_frame,
    status_line,
    summary,
)
from adascale.cli.render.rows import tree_rows
from adascale.cli.render.state import ViewState, reduce
from adascale.cli.render.theme import ASCII, UNICODE, Glyphs
from adascale.engine.budget import Budget
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, NodeId

from .sample_log import Log, pens, wide
from .test_state import searched


def shown(lines: Sequence[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def picture(text: str) -> str:
    return dedent(text).strip("\n")


def test_80_columns() -> None:
    assert shown(live_frame(pens(pace=0.3).state(), 80, 24, UNICODE)) == picture("""
        Q  3 pens cost $2. How many pens can you buy for $18?
                                                                                  p    n
        ● question                                                              .46  3/8
        ├── ● 1 If 3 pens cost $2, one pen costs 2/3 of a dollar, so we divide  .71  2/4
        │   ├── ● 1.1 18 / (2/3) = 18 * 3/2                                     .88  2/3
        │   │   ├── ★ 1.1.1 = 27. So you can buy 27 pens.                       .93  =27
        │   │   └── ✓ 1.1.2 = 54/2 = 27 pens in total                           .90  =27
        │   └── ◐ 1.2 We can buy 18/2 = 9 groups of 3 pens each, which
        ├── ● 2 18 dollars divided by 2 dollars per pack gives 9 packs          .66  1/5
        │   └── ○ 2.1 9 packs * 3 pens = 27 pens                                .84  0/3
        └── ✗ 3 Each pen costs $3, so 18 / 3 = 6 pens                           .07  cut

        budget ━━──────────────  281 of 2,048 tokens · 32 tok/s · at most 0:55 left
        tree   8 nodes · depth 3 · 1 pruned · 1 running · 1 waiting
        best   27 · p .93 (.86-.97) · 2 of 2 paths agree · stops at .95
        Ctrl-C: stop now and print the best answer.
    """)


def test_120_columns() -> None:
    assert shown(live_frame(pens(pace=0.3).state(), 120, 24, UNICODE)) == picture("""
        Q  3 pens cost $2. How many pens can you buy for $18?
                                                                                                            p   10-90%    n  tok
        ● question                                                                                        .46  .22-.71  3/8
        ├── ● 1 If 3 pens cost $2, one pen costs 2/3 of a dollar, so we divide                            .71  .55-.84  2/4   61
        │   ├── ● 1.1 18 / (2/3) = 18 * 3/2                                                               .88  .79-.94  2/3   38
        │   │   ├── ★ 1.1.1 = 27. So you can buy 27 pens.                                                 .93  .86-.97  =27   19
        │   │   └── ✓ 1.1.2 = 54/2 = 27 pens in total                                                     .90  .82-.95  =27   24
        │   └── ◐ 1.2 We can buy 18/2 = 9 groups of 3 pens each, which                                                        44
        ├── ● 2 18 dollars divided by 2 dollars per pack gives 9 packs                                    .66  .48-.80  1/5   40
        │   └── ○ 2.1 9 packs * 3 pens = 27 pens                                                          .84  .70-.90  0/3   22
        └── ✗ 3 Each pen costs $3, so 18 / 3 = 6 pens                                                     .07  .02-.18  cut   33

        budget ━━━━──────────────────────────  281 of 2,048 tokens · 32 tok/s · 0:10 gone, at most 0:55 left
        tree   8 nodes · depth 3 · 1 pruned · 1 running · 1 waiting
        best   27 · p .93 (.86-.97) · 2 of 2 paths agree · stops at .95
        Ctrl-C: stop now and print the best answer.
    """)  # noqa: E501


def test_50_columns_drop_n_and_whole_facts() -> None:
    assert shown(live_frame(pens(pace=0.3).state(), 50, 24, UNICODE)) == picture("""
        Q  3 pens cost $2. How many pens can you buy for…
                                                         p
        ● question                                     .46
        ├── ● 1 If 3 pens cost $2, one pen costs 2/3…  .71
        │   ├── ● 1.1 18 / (2/3) = 18 * 3/2            .88
        │   │   ├── ★ 1.1.1 = 27. So you can buy 27…   .93
        │   │   └── ✓ 1.1.2 = 54/2 = 27 pens in total  .90
        │   └── ◐ 1.2 We can buy 18/2 = 9 groups of…
        ├── ● 2 18 dollars divided by 2 dollars per…   .66
        │   └── ○ 2.1 9 packs * 3 pens = 27 pens       .84
        └── ✗ 3 Each pen costs $3, so 18 / 3 = 6 pens  .07

        budget ━───────  281 of 2,048 tokens · 32 tok/s
        tree   8 nodes · depth 3 · 1 pruned · 1 running
        best   27 · p .93 (.86-.97) · 2 of 2 paths agree
        Ctrl-C: stop now and print the best answer.
    """)


def test_uncalibrated_scores_in_ascii_at_80_columns() -> None:
    assert shown(live_frame(pens(calibrated=False, pace=0.3).state(), 80, 24, ASCII)) == picture("""
        Q  3 pens cost $2. How many pens can you buy for $18?
                                                                              score    n
        o question                                                              .46  3/8
        +-- o 1 If 3 pens cost $2, one pen costs 2/3 of a dollar, so we d...    .71  2/4
        |   +-- o 1.1 18 / (2/3) = 18 * 3/2                                     .88  2/3
        |   |   +-- * 1.1.1 = 27. So you can buy 27 pens.                       .93  =27
        |   |   `-- + 1.1.2 = 54/2 = 27 pens in total                           .90  =27
        |   `-- > 1.2 We can buy 18/2 = 9 groups of 3 pens each, which
        +-- o 2 18 dollars divided by 2 dollars per pack gives 9 packs          .66  1/5
        |   `-- . 2.1 9 packs * 3 pens = 27 pens                                .84  0/3
        `-- x 3 Each pen costs $3, so 18 / 3 = 6 pens                           .07  cut

        budget ==--------------  281 of 2,048 tokens | 32 tok/s | at most 0:55 left
        tree   8 nodes | depth 3 | 1 pruned | 1 running | 1 waiting
        best   27 | score .93 | 2 of 2 paths agree | stops at .95
        Ctrl-C: stop now and print the best answer.
    """)


def test_an_uncalibrated_number_has_no_interval_and_is_no_p() -> None:
    text = shown(live_frame(pens(calibrated=False).state(), 120, 24, UNICODE))

    assert "score" in text
    assert "10-90%" not in text
    assert " p " not in text


def test_a_finished_tree_ends_with_what_it_cost() -> None:
    log = pens(running=False, pace=0.3)
    log.end()

    assert shown(final_frame(log.state(), 80, UNICODE)).splitlines()[-3:] == [
        "",
        "budget ━───────────────  237 of 2,048 tokens · 28 tok/s · 9.6 s",
        "tree   8 nodes · depth 3 · 1 pruned · 1 left open",
    ]


def test_without_a_limit_the_budget_is_what_was_used() -> None:
    log = Log(budget=Budget(), pace=1.0)
    log.step(ROOT, "text\n", 0.5, tokens=44)

    assert "budget 44 tokens · 22 tok/s" in shown(live_frame(log.state(), 80, 24, UNICODE)).splitlines()


def test_a_time_limit_bounds_the_time_left() -> None:
    log = Log(budget=Budget(max_tokens=1000, max_seconds=30.0), pace=1.0)
    log.step(ROOT, "text\n", 0.5, tokens=20)

    assert "at most 0:27 left" in shown(live_frame(log.state(), 80, 24, UNICODE))


def test_pruned_subtrees_fold_first() -> None:
    log = Log()
    dead = [log.step(ROOT, f"dead {n}\n", 0.1) for n in range(3)]
    log.step(dead[0], "below\n", 0.1)
    log.step(ROOT, "alive\n", 0.9)
    log.prune(*dead)

    assert [row.text.strip() for row in tree_rows(log.state(), 5)] == ["question", "alive", "3 pruned"]
    assert len(tree_rows(log.state(), 6)) == 6


def test_finished_paths_fold_by_answer_then_all_other_answers() -> None:
    state = wide(samples=9, steps=2).state()

    assert [row.text for row in tree_rows(state, 13)][-2:] == ["so 27", "5 more paths to 27"]
    assert [row.text for row in tree_rows(state, 8)] == [
        "question",
        "sample 8 step 0",
        "so 27",
        "5 more paths to 27",
        "3 paths to 3 other answers",
    ]


def test_paths_without_an_answer_fold_as_such() -> None:
    log = Log()
    for n in range(4):
        log.finish_path(ROOT, f"no idea {n}", 0.5, None)
    log.finish_path(ROOT, "it is 3", 0.4, "3")

    assert [row.text for row in tree_rows(log.state(), 3)] == [
        "question",
        "it is 3",
        "4 paths without an answer",
    ]


def test_waiting_siblings_fold_and_are_left_open_at_the_end() -> None:
    log = Log()
    log.finish_path(ROOT, "it is 3", 0.4, "3")
    for n in range(5):
        log.step(ROOT, f"idea {n}\n", 0.5)

    assert [row.text for row in tree_rows(log.state(), 4)][-1] == "5 waiting"
    log.end()
    assert [row.text for row in tree_rows(log.state(), 4)][-1] == "5 left open"


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

    assert [row.text.strip() for row in rows][3:5] == ["... 3 nodes, best .20", "idea 1"]
    assert rows[3].label == "2"


def test_where_that_is_too_much_one_row_stands_for_all_of_them() -> None:
    rows = tree_rows(branches(3).state(), 4)

    assert [row.text.strip() for row in rows] == ["question", "good", "it is 3", "3 more, 9 nodes, best .40"]


def test_running_branches_take_the_place_of_the_steps_before_them() -> None:
    log = Log()
    for n in range(4):
        log.start(log.step(log.step(ROOT, f"first {n}\n", 0.5), "second\n", 0.5), f"writing {n}", 3)

    assert [(row.label, row.text) for row in tree_rows(log.state(), 5)] == [
        ("", "question"),
        *((f"{n + 1}.1.1", f"writing {n}") for n in range(4)),
    ]


def test_running_branches_share_no_row_where_skipping_steps_was_enough() -> None:
    log = Log()
    for n in range(2):
        log.start(log.step(ROOT, f"first {n}\n", 0.5), f"writing {n}", 3)
    for n in range(2, 4):
        log.start(ROOT, f"writing {n}", 3)

    assert [row.text for row in tree_rows(log.state(), 5)] == [
        "question",
        *(f"writing {n}" for n in range(4)),
    ]


def test_many_running_branches_share_a_row() -> None:
    log = Log()
    for _ in range(16):
        log.start(ROOT, "writing", 3)

    assert [row.text for row in tree_rows(log.state(), 8)] == ["question", "16 running"]


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


def test_a_large_tree_is_left_behind_folded_around_its_best_path() -> None:
    log = wide(samples=30, steps=3)
    log.end()
    lines = shown(final_frame(log.state(), 80, UNICODE))

    assert len(log.state().tree) > FULL_TREE
    assert lines.count("\n") < FOLDED_ROWS + 7
    assert "★ 30.1.1 so 27" in lines
    assert "Folded around the best path: " in lines
    assert "rows for 91 nodes." in lines


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


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("[/] and [bold] and [link=x]", "[/] and [bold] and [link=x]"),
        ("clear\x1b[2Jthe\x9b2Jscreen\r\x07", "clear[2Jthe2Jscreen"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("turned \u202earound\u202c", "turned around"),
        ("family \U0001f468\u200d\U0001f469 heart \u2764\ufe0f", "family \U0001f468\U0001f469 heart \u2764"),
        ("half a pair \udcff", "half a pair \ufffd"),
        ("one pen 三支笔", "one pen 三支笔"),
    ],
)
def test_model_text_is_only_text(text: str, drawn: str) -> None:
    log = Log(text)
    log.step(ROOT, text, 0.5)
    question, _, _, step, *_ = live_frame(log.state(), 80, 24, UNICODE)

    assert question.plain == f"Q  {drawn}"
    assert step.plain.split(" 1 ")[1].removesuffix(".50").rstrip() == drawn


def test_ascii_has_no_other_character() -> None:
    log = Log("三支笔 é \U0001f58a")
    log.finish_path(ROOT, "也许 27 ✓", 0.5, "二十七")
    lines = [*live_frame(log.state(), 80, 24, ASCII), status_line(log.state(), 80, ASCII)]
    lines.append(summary(log.state(), ASCII))

    assert shown(lines).isascii()
    assert "Q  ??? ? ?" in shown(lines)


def test_wide_characters_are_cut_by_cells() -> None:
    log = Log()
    log.step(ROOT, "三" * 60, 0.5)
    line = live_frame(log.state(), 80, 24, UNICODE)[3]

    assert line.plain == f"└── ○ 1 {'三' * 30}…   .50"
    assert cell_len(line.plain) == 75


def test_the_status_line() -> None:
    state = pens(pace=0.3).state()

    assert (
        status_line(state, 80, UNICODE).plain == "◐ 281 of 2,048 tokens · 8 nodes · best 27 p .93 · 32 tok/s"
    )
    assert status_line(state, 30, UNICODE).plain == "◐ 281 of 2,048 tokens · 8 nod…"


def voted(answers: str, *, calibrated: bool) -> Log:
    log = Log(calibrated=calibrated, pace=1.0)
    for answer in answers:
        log.finish_path(
            ROOT, f"so {answer}", (0.91, 0.96, 0.98) if log.calibrated else 0.83, answer, tokens=70
        )
    return log


def test_the_summary_says_what_was_found_and_what_it_cost() -> None:
    log = voted("88818", calibrated=False)
    log.end()
    assert summary(log.state(), UNICODE).plain == "8  score .83, 4 of 5 paths agree, 350 tokens, 21 s"

    log = voted("222", calibrated=True)
    log.end("budget")
    line = summary(log.state(), UNICODE).plain
    assert line == "2  p .96 (.91-.98), 3 of 3 paths agree, 210 tokens, 13 s (budget)"


def test_the_summary_without_an_answer_says_why() -> None:
    log = Log(pace=1.0)
    log.step(ROOT, "hm\n", 0.5, tokens=352)
    log.end("budget")

    assert summary(log.state(), UNICODE).plain == "no answer  352 tokens, 4.0 s (budget)"


def test_one_path_has_nobody_to_agree_with() -> None:
    log = voted("8", calibrated=False)
    log.end()

    assert summary(log.state(), UNICODE).plain == "8  score .83, 1 path, 70 tokens, 5.0 s"


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
    state = ViewState()
    for event in log[: max(1, int(share * len(log)))]:
        state = reduce(state, event)
    lines = live_frame(state, width, height, glyphs)

    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)
    assert status_line(state, width, glyphs).cell_len <= width


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 1000), st.floats(0.1, 1.0), st.integers(1, 40))
def test_folds_hide_nothing_that_fits_and_keep_the_best(
    strategy: str, seed: int, share: float, room: int
) -> None:
    log = searched(strategy, seed, None)
    state = ViewState()
    for event in log[: max(1, int(share * len(log)))]:
        state = reduce(state, event)
    full = tree_rows(state)
    rows = tree_rows(state, room)

    assert len(full) == len(state.tree) + len(state.running)
    assert len(rows) <= room
    if len(full) <= room:
        assert rows == full
    best = NodeId(-1) if state.best is None else state.best
    if best in state.tree.children(ROOT) and room >= 5:
        assert any(row.mark == "best" for row in rows)
