"""Solutions while they are written, side by side, and on the streams at the end."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from sample_log import Log, programs
from terminal import shown

from adascale.cli.render import solution
from adascale.cli.render.solution import (
    say_end,
    search_frame,
    solution_rows,
    standing_lines,
    write_answer,
)
from adascale.cli.render.state import ViewState
from adascale.engine.answers.choosing import SearchResult
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.search.events import (
    AnswersJudged,
    BranchGrew,
    Event,
    ModelDescription,
    SearchFinished,
    SearchStarted,
)
from adascale.engine.types import ROOT, Budget, Estimate, Problem, Schedule, Usage


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
    return [" ".join(line.split()) for line in shown(solution_rows(log.state(), room), 80).splitlines()]


def test_a_row_has_the_line_that_a_solution_is_at_or_what_it_found() -> None:
    log = side_by_side()
    assert rows(log) == ["◐ prose now 27,", "◐ program print(", "★ prose = 27"]
    log.step(ROOT, "```python\nprint(", 0.1, branch=log.start(ROOT, mode="program"), mode="program")
    assert rows(log)[2] == "○ program print("
    # The next solution takes the place that is free.
    fifth = log.start(ROOT, "Once", 1)
    assert rows(log)[2:] == ["◐ prose Once"]
    log.prune(log.step(ROOT, "Once more", 0.1, branch=fifth))
    assert rows(log)[2] == "✗ prose cut"


@pytest.mark.parametrize("width", [24, 80])
def test_the_words_of_a_row_give_way_and_its_mode_does_not(width: int) -> None:
    log = Log(params={"samples": 8})
    log.start(ROOT, "The two-digit numbers are 10, 11, 12, 13, 14, " * 4, 57)
    (row,) = shown(solution_rows(log.state(), 10), width).splitlines()
    assert row.split()[1] == "prose"
    assert row.rstrip().endswith("…")
    assert len(row) <= width


def test_programs_that_fail_and_solutions_without_an_answer_say_so() -> None:
    log = programs()
    log.finish_path(ROOT, "Hm.", 0.5, None)
    log.start(ROOT)
    assert rows(log) == ["◐ program print(pa", "◐ prose"]
    log = Log(params={"samples": 3})
    ids = [log.start(ROOT, mode="program"), log.start(ROOT)]
    log.program("1/0", 0.1, error="Traceback\nZeroDivisionError: division by zero", branch=ids[0])
    log.finish_path(ROOT, "Hm.", 0.5, None, branch=ids[1])
    assert rows(log) == ["✗ program ZeroDivisionError: division by zero", "✓ prose no answer"]


def test_places_that_have_no_row_are_counted() -> None:
    log = Log(params={"samples": 8})
    ids = [log.start(ROOT, f"text {n}", n) for n in range(6)]
    log.finish_path(ROOT, "It is 27.", 0.9, "27", branch=ids[0])
    log.finish_path(ROOT, "It is 27.", 0.9, "27", branch=ids[4])
    assert [row.split()[-1] for row in rows(log, 6)] == ["27", "1", "2", "3", "27", "5"]
    assert rows(log, 4)[-1] == "and 3 more"
    assert len(rows(log, 4)) == 4


def test_two_lines_have_the_answer_as_it_stands_and_how_far_the_search_is() -> None:
    def said(state: ViewState) -> list[str]:
        return [shown(line, 100) for line in standing_lines(state)]

    log = Log(params={"samples": 16, "lead": 6}, pace=0.5)
    assert said(log.state()) == ["◐ reading the question · Ctrl-C stops"]
    log.start(ROOT, "So", 1)
    status = "◐ writing the first of up to 16 solutions · 1 s · 2 tokens/s · Ctrl-C stops"
    assert said(log.state()) == ["no answer yet", status]
    for answer in ("27", "27", "26", "25", "24"):
        log.finish_path(ROOT, f"so {answer}", (0.5, 0.6, 0.7), answer, tokens=10)
        if len(log.state().candidates) == 1:
            assert said(log.state())[0] == "27 · likely · Ctrl-C keeps it · first of up to 16, still checking"
    state = log.state()
    state.started = replace(state.started, models=ModelDescription(calibration={"level": "prior"}))
    leader, status = standing_lines(state)[0], said(state)[-1]
    reason = ", weighed by their likelihood"
    assert leader.plain == f"27 · likely (about 60 %) · Ctrl-C keeps it · 2 of 5 solutions agree{reason}"
    assert status == "◐ 5 of up to 16 solutions · 11 s, about 25 s left · 7 of 10 such answers stay"
    state.takes = True
    assert "Enter takes it" in said(state)[0]


def looked(problem: Problem, p: float) -> list[Event]:
    """A search that has read its options, and stopped there."""
    started = SearchStarted(
        problem=problem,
        strategy="adaptive",
        params={"samples": 16},
        models=ModelDescription(),
        budget=Budget(),
        seed=1,
        schedule=Schedule.even(4),
        calibrated=True,
    )
    names = "ABC" if problem.kind == "choice" else ("yes", "no")
    sure = Estimate(p, p, p, calibrated=True)
    options = dict.fromkeys(names, (1 - p) / (len(names) - 1)) | {names[1]: p}
    result = SearchResult(names[1], sure, (), None, stop_reason="confident", options=options)
    judged = AnswersJudged(seq=1, t=1.0, result=replace(result, stop_reason=None))
    return [started, judged, SearchFinished(seq=2, t=2.0, result=result, usage=Usage())]


CHOICE = problem_of("1", "Where do fish live?\nA. in a tree\nB. in the sea\nC. in the air")
PRIME = problem_of("1", "Is 91 prime?")


@pytest.fixture
def on_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solution, "is_one_screen", lambda: True)


@pytest.mark.usefixtures("on_screen")
@pytest.mark.parametrize(
    ("problem", "answer", "bars"),
    [
        (CHOICE, "B. in the sea", ["A. in a tree, 6 %", "B. in the sea, 88 %", "C. in the air, 6 %"]),
        (PRIME, "No", []),
    ],
)
def test_more_than_two_options_that_were_read_have_a_bar_each(
    problem: Problem, answer: str, bars: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    state = ViewState.of(looked(problem, 0.88))
    write_answer(state)
    say_end(state)
    said = capsys.readouterr()
    drawn = [re.split("  +", text.strip()) for text in said.out.splitlines() if text.strip()]
    assert [f"{cells[0]}, {cells[-1]}" for cells in drawn] == bars
    assert said.err == f"{answer} · very likely (88 %) · read from the options · 2 s\n"


def test_the_bars_stand_above_the_line_while_it_searches() -> None:
    state = ViewState.of(looked(CHOICE, 0.88)[:2])
    *above, _ = shown(search_frame(state, 24), 80).splitlines()
    assert sum("━" in line for line in above) == 3


def program(code: str) -> ViewState:
    log = Log("What is 17 * 23?")
    log.program(code, 0.9, output="391\n", answer="391")
    log.end()
    return log.state()


@pytest.mark.usefixtures("on_screen")
def test_on_a_screen_the_answer_stands_once_unless_it_is_wanted_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = program("print(17 * 23)")
    write_answer(state)
    say_end(state)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "391 · very likely (90 %) · 1 solution · 0.0 s\n"
    write_answer(state, says_end=False)
    assert capsys.readouterr().out == "391\n"
    write_answer(state, says_end=False, verbose=1)
    assert capsys.readouterr().out == "print(17 * 23)\n→ 391\nAnswer: 391\n"


@pytest.mark.usefixtures("on_screen")
def test_a_long_program_is_folded() -> None:
    state = program("# sum\n" + "\n".join(f"a{n} = {n}" for n in range(15)) + "\nprint(391)")
    folded = shown(search_frame(state, 24), 80).splitlines()
    assert [line.rstrip() for line in folded[8:10]] == ["a8 = 8", "… 7 more lines of the program"]


@pytest.mark.parametrize("on_a_screen", [True, False])
def test_an_object_is_whole_where_a_stream_has_no_unicode(
    on_a_screen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log("Who?", kind="json")
    log.finish_path(ROOT, "{}", 0.9, '{"name": "Zo\u00eb \u4e09"}')
    log.end()
    monkeypatch.setattr(solution, "is_one_screen", lambda: on_a_screen)
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", stdout)
    write_answer(log.state())
    written = stdout.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(written) == {"name": "Zo\u00eb \u4e09"}


def test_a_reply_is_drawn_where_one_screen_shows_both_and_what_was_written_stays_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log("hi", kind="text")
    branch = log.start(ROOT, "**Hello**, wor", 4)
    assert "Hello" not in shown(search_frame(log.state(), 24), 80)
    monkeypatch.setattr(solution, "is_one_screen", lambda: True)
    assert shown(search_frame(log.state(), 24), 80).startswith("Hello, wor\n")
    log.prune(log.step(ROOT, "**Hello**, world", 0.5, branch=branch))
    log.end("interrupted")
    write_answer(log.state())
    assert capsys.readouterr().out.strip() == "Hello, world"
