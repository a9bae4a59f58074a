"""The live view of several solutions side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import Log, programs
from scripted import searched

from adascale.cli.render.solution import place_lines, search_frame, seconds_left, standing_lines
from adascale.cli.render.state import ViewState
from adascale.engine.search.events import BranchGrew, ModelDescription
from adascale.engine.types import ROOT, Budget


def side_by_side(**more: object) -> Log:
    """Three solutions at once, one of which has ended."""
    log = Log(params={"samples": 8}, pace=1.0, **more)  # type: ignore[arg-type]
    branches = [log.start(ROOT), log.start(ROOT, mode="program"), log.start(ROOT)]
    first = log.step(ROOT, "3 pens\n", 0.5, branch=branches[0], ended=False)
    log.add(BranchGrew, branch=branches[0], parent=first, text="**So** it is\nnow 27,", tokens=4)
    log.add(BranchGrew, branch=branches[1], parent=ROOT, text="```python\na = 2\nprint(", tokens=7)
    log.finish_path(ROOT, "It is 27.", 0.9, "27", branch=branches[2])
    return log


def rows(log: Log, room: int = 10) -> list[str]:
    return [line.plain for line in place_lines(log.state(), 80, room)]


def test_a_row_has_the_length_and_the_line_that_a_solution_is_at_or_what_it_found() -> None:
    log = side_by_side()
    assert rows(log) == [
        "◐ prose      24  now 27,",
        "◐ program     7  print(",
        "★ prose      20  = 27",
    ]
    log.step(ROOT, "```python\nprint(", 0.1, branch=log.start(ROOT, mode="program"), mode="program")
    assert rows(log)[2] == "○ program    20  print("


def test_the_next_solution_takes_the_place_that_is_free() -> None:
    log = side_by_side()
    fourth = log.start(ROOT, "Once", 1)
    assert [row[2:] for row in rows(log)][2:] == ["prose       1  Once"]
    log.prune(log.step(ROOT, "Once more", 0.1, branch=fourth))
    assert rows(log)[2] == "✗ prose      20  cut"


def test_programs_that_fail_and_solutions_without_an_answer_say_so() -> None:
    log = programs()
    log.finish_path(ROOT, "Hm.", 0.5, None)
    log.start(ROOT)
    found = [row[9:].split(maxsplit=1)[1:] for row in rows(log)]
    assert found == [["print(pa"], []]
    log = Log(params={"samples": 3})
    ids = [log.start(ROOT, mode="program"), log.start(ROOT)]
    log.program("1/0", 0.1, error="Traceback\nZeroDivisionError: division by zero", branch=ids[0])
    log.finish_path(ROOT, "Hm.", 0.5, None, branch=ids[1])
    assert rows(log) == ["✗ program    20  ZeroDivisionError: division by zero", "✓ prose      20  no answer"]


def test_places_that_have_no_row_are_counted() -> None:
    log = Log(params={"samples": 8})
    ids = [log.start(ROOT, f"text {n}", n) for n in range(6)]
    log.finish_path(ROOT, "It is 27.", 0.9, "27", branch=ids[0])
    log.finish_path(ROOT, "It is 27.", 0.9, "27", branch=ids[4])
    assert [row.split()[-1] for row in rows(log, 6)] == ["27", "1", "2", "3", "27", "5"]
    assert [row.split()[-1] for row in rows(log, 4)] == ["27", "1", "2", "written"]
    assert rows(log, 4)[-1] == "  and 3 more, 2 being written"


def test_two_lines_say_who_leads_and_how_far_it_is() -> None:
    log = Log(params={"samples": 16}, pace=0.5)
    assert [line.plain for line in standing_lines(log.state(), 80)] == ["◐ reading the question"]
    log.start(ROOT, "So", 1)
    said = ["no answer yet", "◐ writing the first of up to 16 solutions · 1 token · 1 s"]
    assert [line.plain for line in standing_lines(log.state(), 80)] == said
    for answer in ("27", "27", "26", "25", "24"):
        log.finish_path(ROOT, f"so {answer}", (0.5, 0.6, 0.7), answer, tokens=10)
    state = log.state()
    state.started = replace(state.started, models=ModelDescription(calibration={"level": "portable"}))
    leader, status = (line.plain for line in standing_lines(state, 80))
    assert leader == "27 leads, about 60 % sure · 2 of 5 solutions agree · then 26 (1), 25 (1), 1 more"
    assert status.startswith("◐ 5 of up to 16 solutions · 51 tokens · 11 s · about ")
    assert standing_lines(state, 40)[0].plain == "27 leads, about 60 % sure"


def test_the_time_left_is_known_when_each_way_of_reasoning_has_ended_once() -> None:
    log = side_by_side()
    assert seconds_left(log.state()) is None
    log.program("print(27)", 0.9, output="27\n", answer="27", tokens=20)
    left = seconds_left(log.state())
    assert left is not None
    # Two have ended, two run, four of about 20 tokens or more are to be started.
    assert left * log.state().rate > 4 * 20


@pytest.mark.parametrize(("limit", "said"), [(25.0, "at most 10 s left"), (900.0, "about ")])
def test_a_time_limit_bounds_the_time_left(limit: float, said: str) -> None:
    log = side_by_side(budget=Budget(max_seconds=limit))
    log.program("print(27)", 0.9, output="27\n", answer="27", tokens=20)
    assert said in standing_lines(log.state(), 120)[1].plain


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["adaptive", "vote", "margin", "beam"]),
    st.integers(0, 1000),
    st.integers(5, 40),
)
def test_the_frame_never_shrinks_while_a_search_runs(strategy: str, seed: int, height: int) -> None:
    state, lines = None, 0
    for event in searched(strategy, seed, None)[:-1]:
        state = ViewState.after(state, event)
        before, lines = lines, len(search_frame(state, 80, height))
        assert before <= lines <= height
        assert len(set(state.places)) == len(state.places)
        assert set(state.running) <= set(state.places)
