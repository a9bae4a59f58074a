"""Model text and one-line summaries: harmless, and of a known width."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import Log
from scripted import searched
from terminal import shown

from adascale.cli.render.solution import standing_lines
from adascale.cli.render.state import ViewState
from adascale.cli.render.summary import closing_lines, summary, why
from adascale.cli.render.tree import final_tree, live_tree
from adascale.engine.search.events import BranchStarted, ModelDescription, PromptRead, StepProposed
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, Budget, Execution, StopReason, Verdict


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
    question, _, _, step, *_ = shown(live_tree(log.state(), 80, 24), 80).splitlines()
    assert question == f"Q  {drawn}"
    assert step.split("○ ")[1].partition("  ")[0] == drawn


def voted(answers: Sequence[str], *, calibrated: bool) -> Log:
    log = Log(calibrated=calibrated, pace=1.0)
    for answer in answers:
        log.finish_path(
            ROOT, f"so {answer}", (0.91, 0.96, 0.98) if log.calibrated else 0.83, answer, tokens=70
        )
    return log


def test_the_summary_is_a_line_for_people() -> None:
    log = voted("222", calibrated=True)
    log.end("confident")
    assert summary(log.state()).plain == "2 · almost surely (96 %) · 3 of 3 solutions agree · 13 s"
    log = voted("88818", calibrated=False)
    log.end()
    assert summary(log.state()).plain == "8 · 4 of 5 solutions agree · 21 s"
    log = voted("222", calibrated=True)
    log.end("budget")
    line = summary(log.state()).plain
    assert line == "2 · almost surely (96 %) · 3 of 3 solutions agree · the budget is spent · 13 s"


def test_a_reply_has_nothing_below_it_but_why_it_was_cut() -> None:
    log = chat()
    log.end()
    assert closing_lines(log.state()) == []
    assert closing_lines(log.state(), verbose=1)[0].plain == "20 tokens · 0 tokens/s · 0.0 s"
    log = chat()
    log.end("interrupted")
    assert "stopped by you" in closing_lines(log.state())[0].plain


def chat() -> Log:
    log = Log("hi", kind="text")
    log.finish_path(ROOT, "Hello!", 0.5, None)
    return log


@pytest.mark.parametrize("reason", ["budget", "exhausted", "hopeless"])
def test_an_unlikely_answer_is_a_guess_however_the_search_ended(reason: StopReason) -> None:
    log = Log(calibrated=True, pace=1.0, params={"samples": 16})
    log.finish_path(ROOT, "so", (0.01, 0.19, 0.4), "5050", tokens=70)
    log.end(reason)
    assert summary(log.state()).plain.startswith("a guess (19 %): perhaps 5050 · 1 solution")


def test_a_fitted_probability_is_no_about() -> None:
    log = voted("222", calibrated=True)
    log.end()
    state = log.state()
    state.started = replace(state.started, models=ModelDescription(calibration={"level": "fitted"}))
    assert "(96 %)" in summary(state).plain


def test_every_search_says_why_it_stopped_and_answers_are_readable() -> None:
    log = Log(params={"samples": 3}, pace=1.0)
    for answer in (r"\frac{3}{4}", r"\frac{3}{4}", "7"):
        log.finish_path(ROOT, "so", 0.5, answer, tokens=10)
    assert why(log.state()) == ""
    log.end()

    assert why(log.state()) == "ended after all 3 solutions"
    assert summary(log.state()).plain.startswith("3/4 · ")
    assert " =3/4" in shown(final_tree(log.state(), 80), 80)


def test_a_running_search_says_how_long_it_may_still_take_and_what_ctrl_c_does() -> None:
    log = Log(pace=3.0, params={"samples": 16, "lead": 6})
    log.start(ROOT, "so", 4)
    log.finish_path(ROOT, "so", 0.9, "a long answer " * 4, tokens=70)
    assert log.state().seconds_left is None  # one says nothing about the others
    log.finish_path(ROOT, "so", 0.9, "a long answer " * 4, tokens=70)
    state = log.state()
    assert state.seconds_left is not None
    first, is_most = state.seconds_left
    assert not is_most
    assert "Ctrl-C keeps it" in shown(standing_lines(state)[0], 80)
    state.waited = first / 8
    assert state.seconds_left[0] < first
    state.waited = 10 * first
    assert state.seconds_left == (pytest.approx(first / 2), False)
    log.finish_path(ROOT, "so", 0.9, "a long answer " * 4, tokens=70)
    agreed = log.state().seconds_left
    assert agreed is not None
    assert agreed[0] < first


def test_a_limit_of_time_bounds_what_is_left() -> None:
    log = Log(pace=3.0, params={"samples": 16, "lead": 6}, budget=Budget(max_seconds=20))
    log.start(ROOT, "so", 4)
    state = log.state()
    state.waited = 12.5 - state.t
    assert state.seconds_left == (7.5, True)
    assert "12 s, at most 8 s left" in standing_lines(state)[-1].plain


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.integers(0, 1000),
    st.sampled_from([None, 30, 120]),
)
def test_what_holds_after_every_event_of_any_search(strategy: str, seed: int, budget: int | None) -> None:
    state: ViewState | None = None
    tokens = running = 0
    for event in searched(strategy, seed, budget):
        ends = isinstance(event, PromptRead) and event.branch is not None
        running += isinstance(event, BranchStarted) - ends - (isinstance(event, StepProposed) and event.ended)
        state = ViewState.after(state, event)
        assert len(state.running) == (0 if state.end else running)
        assert len(set(state.places)) == len(state.places)
        assert set(state.running) <= set(state.places)
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


def test_a_program_is_given_a_probability_where_no_test_speaks_against_it() -> None:
    right, wrong, untested = (
        program(Verdict("passed")),
        program(Verdict("failed"), reason="hopeless"),
        program(),
    )
    assert summary(right).plain.startswith("passes 1 of 1")
    assert "likely (70 %) that it passes others like them" in summary(right).plain
    assert "%" not in summary(wrong).plain
    assert "another program is unlikely to pass" in summary(wrong).plain
    assert standing_lines(wrong)[0].plain.startswith("the best passes 0")
    assert "that it is correct" in summary(untested).plain
