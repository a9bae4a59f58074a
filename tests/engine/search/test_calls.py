"""Searches of requests with tools: a look first, then calls until they agree, or a plain reply."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from scripted import ScriptedPolicy, judging, scripted_step

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.kinds.structured import ToolCall
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import SearchRequest
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.strategies import Strategy, preset
from adascale.engine.tools.calls import NO_CALL, calls_of
from adascale.engine.types import Problem, Step

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
            "required": ["city"],
        },
    },
}
ASKED = {"role": "user", "content": "What is the weather in Paris?"}
RETURNED = {"role": "tool", "content": "15 degrees", "tool_call_id": "1"}


def problem(messages: Sequence[dict[str, Any]] = (ASKED,), **more: Any) -> Problem:
    details = ToolCall().read_details("", {"messages": list(messages), "tools": [TOOL]})
    return Problem("1", str(messages[-1]["content"]), kind="call", details={**details, **more})


def weather(city: str, **more: Any) -> str:
    return json.dumps({"name": "get_weather", "arguments": {"city": city, **more}})


CALLS = preset("call", "medium")


def search(
    asked: Problem, p: float, *texts: str, strategy: Strategy = CALLS, width: int = 1
) -> tuple[SearchResult, Record]:
    """A search whose look favours a call with this probability, and whose replies are these texts in turn.

    A text that ends with a comma was cut at its length.
    """
    written = iter(texts)

    def script(prefix: Prefix, rng: random.Random) -> Step:
        text = next(written, texts[-1]) if prefix.mode == "call" else "Hello." * 30
        return scripted_step(text, "length" if text.endswith(",") else "stop")

    policy = ScriptedPolicy(script, logits=lambda asked: [math.log(p), math.log(1 - p)])
    driver = Driver(policy, SequenceLogprob(), {"call": judging("call", 0.5)}, lambda: 0.0)
    settings = SearchRequest(strategy=strategy, width=width).settings(asked)
    record = Record.of(event for _, event in driver.run([asked], settings))
    assert record.result is not None
    return record.result, record


def test_two_calls_that_no_tool_could_tell_apart_end_the_search() -> None:
    found, record = search(problem(), 0.9, weather("Paris"), weather("paris", days=1), weather("Rome"))
    [call] = calls_of(found.answer or "")
    assert call.name == "get_weather"
    assert (found.stop_reason, len(record.candidates), len(found.groups)) == ("confident", 2, 1)


def test_a_look_that_sees_no_fitting_tool_gets_a_plain_reply_without_a_call_being_drawn() -> None:
    found, record = search(problem(), 0.02, weather("Paris"))
    assert found.answer == NO_CALL
    assert record.tree.text(found.best or 0).startswith("Hello.")
    assert {node.mode for node in record.tree if node.step} == {"prose"}


@pytest.mark.parametrize("width", [1, 3, 6])
def test_a_doubtful_look_lets_the_calls_be_drawn_and_may_still_reply(width: int) -> None:
    found, record = search(problem(), 0.65, weather("Paris"), weather("Rome"), weather("Oslo"), width=width)
    assert found.answer == NO_CALL
    assert {node.mode for node in record.tree if node.step} == {"call", "prose"}
    assert found.confidence is not None
    assert 0.5 < found.confidence.median < 1


@pytest.mark.parametrize("asked", [problem(choice="required"), problem([ASKED, RETURNED])])
def test_nothing_is_read_where_a_call_is_required_or_a_tool_has_just_answered(asked: Problem) -> None:
    found, record = search(asked, 0.02, weather("Paris"))
    assert calls_of(found.answer or "")
    assert not record.tree.mean_option_logits


def test_texts_without_end_are_replies_and_no_more_than_two_are_drawn() -> None:
    found, record = search(problem([ASKED, RETURNED]), 0.9, "The first leaves, the third leaves,")
    assert (found.answer, len(record.candidates)) == (NO_CALL, 2)
    cut = weather("Paris")[:-3] + ","
    found, record = search(problem([ASKED, RETURNED]), 0.9, cut, weather("Rome"))
    assert calls_of(found.answer or ""), "a call that was cut is none"


def called(city: str, result: str) -> list[dict[str, Any]]:
    """A call and its result, as a conversation has them."""
    function = {"name": "get_weather", "arguments": {"city": city}}
    made = {"id": "1", "type": "function", "function": function}
    return [{"role": "assistant", "content": "", "tool_calls": [made]}, {**RETURNED, "content": result}]


def test_a_call_whose_result_is_known_is_no_answer_but_a_new_one_beside_it_is() -> None:
    asked = problem([ASKED, *called("Paris", "15 degrees")])
    found, _ = search(asked, 0.9, weather("Paris"), weather("Paris"), "It has 15 degrees.")
    assert found.answer == NO_CALL
    found, _ = search(asked, 0.9, f"{weather('Paris')}\n{weather('Rome')}")
    assert [call.arguments for call in calls_of(found.answer or "")] == [{"city": "Rome"}]
    assert search(asked, 0.9, weather("Paris"))[0].answer is None


@pytest.mark.parametrize(
    "replies",
    [["Paris", "Rome", "Paris", "Rome"], ["Paris", "Paris", "Rome", "Rome"], [None, "Paris", "Rome", "Rome"]],
)
def test_a_call_whose_result_is_known_does_not_speak_against_a_new_one(replies: list[str | None]) -> None:
    asked = problem([ASKED, *called("Paris", "15 degrees")])
    found, _ = search(asked, 0.9, *(weather(each) if each else "It is fine." for each in replies))
    assert [call.arguments for call in calls_of(found.answer or "")] == [{"city": "Rome"}]
    assert found.confidence is not None
    assert found.confidence.median > 0.4


def test_a_call_may_be_made_again_for_a_new_message() -> None:
    asked = problem([ASKED, *called("Paris", "15 degrees"), ASKED])
    assert calls_of(search(asked, 0.9, weather("Paris"))[0].answer or "")


@pytest.mark.parametrize("text", ['{"name": "get_weather", "arguments": {}}', "I would rather not."])
def test_what_breaks_its_schema_or_a_required_call_is_no_answer(text: str) -> None:
    found, _ = search(problem(choice="required"), 0.9, text)
    assert found.answer is None


def test_without_parallel_calls_the_first_one_counts() -> None:
    both = f"{weather('Paris')}\n{weather('Rome')}"
    assert len(calls_of(search(problem(), 0.9, both)[0].answer or "")) == 2
    assert len(calls_of(search(problem(is_parallel=False), 0.9, both)[0].answer or "")) == 1
