"""A search in words: while it runs, and at its end."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import Log
from scripted import searched
from terminal import shown

from adascale.cli.render.picture import standing_lines
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import closing_lines, summary, why
from adascale.engine.search.events import BranchStarted, ModelDescription, PromptRead, StepProposed
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, Budget, Execution, StopReason, Verdict


def solved(
    answers: Sequence[str], reason: StopReason, *, p: float = 0.96, calibrated: bool = True
) -> ViewState:
    log = Log(calibrated=calibrated, pace=1.0, params={"samples": 16})
    for answer in answers:
        log.finish_path(ROOT, f"so {answer}", (p / 2, p, 1 - (1 - p) / 2), answer, tokens=70)
    log.end(reason)
    return log.state()


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (solved("222", "confident"), "2 · almost surely (96 %) · 3 of 3 solutions agree · 13 s"),
        (solved("88818", "exhausted", calibrated=False), "8 · 4 of 5 solutions agree · 21 s"),
        (
            solved("222", "budget"),
            "2 · almost surely (96 %) · 3 of 3 solutions agree · the budget is spent · 13 s",
        ),
        (solved("5", "hopeless", p=0.19), "a guess (19 %): perhaps 5 · 1 solution · 5 s"),
        (solved([r"\frac{3}{4}"], "exhausted", p=0.9), "3/4 · very likely (90 %) · 1 solution · 5 s"),
    ],
)
def test_the_summary_is_a_line_for_people(state: ViewState, line: str) -> None:
    assert summary(state).plain == line


def test_a_reply_has_only_the_reason_below_it_if_it_was_cut() -> None:
    log = Log("hi", kind="text")
    log.finish_path(ROOT, "Hello!", 0.5, None)
    stopped = Log("hi", kind="text")
    stopped.events = log.events[:]
    log.end()
    assert closing_lines(log.state()) == []
    assert closing_lines(log.state(), verbose=1)[0].plain == "20 tokens · 0 tokens/s · 0.0 s"
    stopped.end("interrupted")
    assert "stopped by you" in closing_lines(stopped.state())[0].plain


@pytest.mark.parametrize(
    ("answers", "reason", "words"),
    [
        ("777", "confident", "stopped after 3 of 16 solutions: that is sure enough"),
        ("7" * 16, "exhausted", "ended after all 16 solutions"),
    ],
)
def test_a_search_gives_the_reason_for_its_end(answers: str, reason: StopReason, words: str) -> None:
    state = solved(answers, reason)
    assert why(state) == words
    state.end = None
    assert why(state) == ""


def running(state: ViewState) -> list[str]:
    return [shown(line, 100) for line in standing_lines(state)]


def test_two_lines_have_the_answer_so_far_and_how_far_the_search_is() -> None:
    log = Log(params={"samples": 16, "lead": 6}, pace=0.5)
    assert running(log.state()) == ["◐ reading the question · Ctrl-C stops"]
    log.start(ROOT, "So", 1)
    status = "◐ writing the first of up to 16 solutions · 1 s · 2 tokens/s · Ctrl-C stops"
    assert running(log.state()) == ["no answer yet", status]
    for answer in ("27", "27", "26", "25", "24"):
        log.finish_path(ROOT, f"so {answer}", (0.5, 0.6, 0.7), answer, tokens=10)
        if len(log.state().candidates) == 1:
            assert (
                running(log.state())[0] == "27 · likely · Ctrl-C keeps it · first of up to 16, still checking"
            )
    state = log.state()
    state.started = replace(state.started, models=ModelDescription(calibration={"level": "prior"}))
    leader, status = standing_lines(state)[0], running(state)[-1]
    reason = ", weighed by their likelihood"
    assert leader.plain == f"27 · likely (about 60 %) · Ctrl-C keeps it · 2 of 5 solutions agree{reason}"
    assert status == "◐ 5 of up to 16 solutions · 11 s, about 25 s left · 7 of 10 such answers stay"
    state.takes = True
    assert "Enter takes it" in running(state)[0]


def test_the_time_left_falls_with_time_and_with_votes() -> None:
    log = Log(pace=3.0, params={"samples": 16, "lead": 6})
    lefts = []
    for _ in range(3):
        log.finish_path(ROOT, "so", 0.9, "27", tokens=70)
        lefts.append(log.state().seconds_left)
        if len(lefts) == 2:
            state = log.state()
    assert lefts[0] is None  # one solution says nothing about the others
    assert lefts[1] is not None
    assert lefts[2] is not None
    assert lefts[2] < lefts[1]
    first, is_most = lefts[1]
    assert not is_most
    state.waited = first / 8
    assert state.seconds_left is not None
    assert state.seconds_left[0] < first
    state.waited = 10 * first
    assert state.seconds_left == (pytest.approx(first / 2), False)


def test_a_limit_of_time_bounds_the_time_left() -> None:
    log = Log(pace=3.0, params={"samples": 16, "lead": 6}, budget=Budget(max_seconds=20))
    log.start(ROOT, "so", 4)
    state = log.state()
    state.waited = 12.5 - state.t
    assert state.seconds_left == (7.5, True)
    assert "12 s, at most 8 s left" in running(state)[-1]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.integers(0, 1000),
    st.sampled_from([None, 30, 120]),
)
def test_what_holds_after_every_event_of_any_search(strategy: str, seed: int, budget: int | None) -> None:
    state: ViewState | None = None
    tokens = branches = 0
    for event in searched(strategy, seed, budget):
        ends = isinstance(event, PromptRead) and event.branch is not None
        branches += (
            isinstance(event, BranchStarted) - ends - (isinstance(event, StepProposed) and event.ended)
        )
        state = ViewState.after(state, event)
        assert len(state.running) == (0 if state.end else branches)
        assert state.tokens >= tokens
        assert all(state.tree[branch.parent].status != "terminal" for branch in state.running.values())
        assert state.best is None or state.tree[state.best].status == "terminal"
        tokens = state.tokens
    assert state is not None
    assert state.running == {}


def program(*verdicts: Verdict, reason: StopReason = "confident") -> ViewState:
    """The end of a calibrated search that wrote one program, which has these verdicts of its tests."""
    tests = [{"source": "assert f(2) == 4", "setup": ""} for _ in verdicts]
    details = {"given": {"tests": tests, "entry_point": "f"}} if tests else {}
    log = Log("Square n.", kind="code", details=details)
    passed = sum(verdict.outcome == "passed" for verdict in verdicts)
    code = "def f(n): ..."
    text, execution = f"```python\n{code}\n```", Execution("", "", 0.0, program=code, verdicts=verdicts)
    answer = f"{passed}/{len(verdicts)}" if verdicts else text
    log.finish_path(ROOT, text, (0.6, 0.7, 0.8), answer, mode="code", execution=execution)
    log.end(reason)
    return log.state()


def test_a_program_has_a_probability_unless_a_test_fails() -> None:
    right, wrong = program(Verdict("passed")), program(Verdict("failed"), reason="hopeless")
    assert summary(right).plain.startswith("passes 1 of 1")
    assert "likely (70 %) that it passes others like them" in summary(right).plain
    assert "%" not in summary(wrong).plain
    assert "another program is unlikely to pass" in summary(wrong).plain
    assert standing_lines(wrong)[0].plain.startswith("the best passes 0")
    assert "that it is correct" in summary(program()).plain
