"""A finished search leaves its question and its reply to the next one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedExecutor

from adascale.engine.answer import turns_after
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.strategies import Vote
from adascale.engine.types import Execution, Problem, Step, Turn
from bench.scripted import ScriptedPolicy, scripted_step

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
    record = Record.of(event for _, event in driver().run([problem], Settings(Vote(1))))
    said = (Turn("user", "How are you?"), Turn("assistant", STEPS[kind]))
    assert turns_after(record) == (*EARLIER, *said)


@given(st.lists(st.tuples(st.sampled_from(["text", "value"]), st.integers(1, 20)), max_size=6))
def test_turns_of_user_and_assistant_alternate_wherever_a_reply_is_stopped(
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
        assert turns == before or turns[-2] == Turn("user", problem.question)
    assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    assert all(turn.content for turn in turns)
