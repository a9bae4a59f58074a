"""What is said about a finished search."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_log import Log
from scripted import ScriptedExecutor, ScriptedPolicy, log_of, scripted_step

from adascale.engine import bands
from adascale.engine.answer import Answer, FallbackAnswer, Status, turns_after
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.strategies import Vote
from adascale.engine.types import ROOT, Execution, Notice, Problem, Step, StopReason, Turn


def searched(p: float, reason: StopReason = "confident") -> Record:
    """A search with one answer of this probability."""
    log = Log()
    log.finish_path(ROOT, "So 8.", p, "8")
    log.end(reason)
    return Record.of(log.events)


@pytest.mark.parametrize(
    ("p", "least", "reason", "status"),
    [
        (0.7, 0.0, "confident", "answered"),
        (0.7, 0.9, "confident", "low_confidence"),
        (0.1, 0.0, "exhausted", "low_confidence"),
        (0.7, 0.0, "hopeless", "low_confidence"),
        (0.7, 0.0, "interrupted", "interrupted"),
    ],
)
def test_an_answer_counts_unless_it_is_a_guess_or_less_likely_than_asked_for(
    p: float, least: float, reason: StopReason, status: Status
) -> None:
    assert Answer.of(searched(p, reason), least).status == status


def test_another_servers_answer_takes_the_place_of_our_own_without_a_probability() -> None:
    answer = Answer.of(searched(0.1), 0.9, FallbackAnswer("host:1", "large", "It is 9.", "9"))
    assert (answer.status, answer.answer, answer.solution) == ("answered", "9", "It is 9.")
    assert (answer.confidence, answer.mode) == (None, None)
    own = {"own_answer": "8", "own_probability": 0.1}
    assert answer.fallback_record == {"server": "host:1", "model": "large", **own}
    refused = Answer.of(searched(0.1), 0.9, Notice("no-fallback", "it is silent"))
    assert (refused.answer, refused.notices[-1].code) == ("8", "no-fallback")


EARLIER = (Turn("system", "Be brief."), Turn("user", "hi"), Turn("assistant", "Hello."))
STEPS = {"text": "Good.\n\nAnd you?", "value": "17 * 23 is\n\n\\boxed{391}."}


def reply(prefix: Prefix, rng: random.Random) -> Step:
    if prefix.mode == "program":
        return scripted_step("```python\nprint(17 * 23)\n```", "stop")
    first, second = STEPS[prefix.problem.kind].split("\n\n")
    return scripted_step(second, "stop") if prefix.steps else scripted_step(f"{first}\n\n", "step")


def driver() -> Driver:
    executor = ScriptedExecutor(lambda source: Execution("391\n", "", 0.0))
    return Driver(ScriptedPolicy(reply, 1), SequenceLogprob(), {}, lambda: 0.0, executor=executor)


@pytest.mark.parametrize("kind", ["text", "value"])
def test_the_reply_is_what_the_model_wrote(kind: str) -> None:
    problem = Problem("1", "How are you?", history=EARLIER, kind=kind)  # type: ignore[arg-type]
    record = Record.of(log_of(reply, Vote(1), problem))
    turns = (Turn("user", "How are you?"), Turn("assistant", STEPS[kind]))
    assert turns_after(record) == (*EARLIER, *turns)


@given(st.lists(st.tuples(st.sampled_from(["text", "value"]), st.integers(1, 20)), max_size=6))
def test_a_conversation_keeps_each_question_wherever_its_reply_is_stopped(
    messages: list[tuple[str, int]],
) -> None:
    turns: tuple[Turn, ...] = ()
    for number, (kind, stopped_at) in enumerate(messages):
        problem = Problem(str(number), f"message {number}", history=turns, kind=kind)  # type: ignore[arg-type]
        running, events = driver(), []
        for _, event in running.run([problem], Settings(Vote(2))):
            events.append(event)
            if len(events) == stopped_at:
                running.interrupt()
        before, turns = turns, turns_after(Record.of(events))
        assert turns[: len(before)] == before
        assert turns[len(before)] == Turn("user", problem.question)
        assert [turn.role for turn in turns[len(before) + 1 :]] in ([], ["assistant"])
    assert all(turn.content for turn in turns)


def test_a_number_has_the_counts_of_recorded_answers_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "MEASURED", {"prior": {"value": {"likely": (57, 34)}}})
    answer = Answer.of(searched(0.7))
    assert answer.band == "likely"
    assert {"57", "34"} <= {*(answer.measured or "").split()}
    assert Answer.of(searched(0.1)).measured is None
