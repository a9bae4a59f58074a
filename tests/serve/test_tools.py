"""Requests with tools or a schema, on a scripted generator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from scripted import judging, scripted_step
from scripted_server import (
    MESSAGES,
    OLLAMA,
    RESPONSES,
    EchoPolicy,
    Served,
    open_weather,
    say,
    served,
)

NAME = "get_weather"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION: Any = {"name": NAME, "description": "The weather of a city.", "parameters": SCHEMA}
TOOL: Any = {"type": "function", "function": FUNCTION}
PARIS = say("What is it like in Paris?")


def call(id_: str = "1", name: str = NAME, arguments: object = '{"city": "Paris"}') -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: object) -> dict[str, object]:
    return say("", "assistant", tool_calls=calls)


EARLIER = [PARIS, calling(call()), say("15 degrees", "tool", tool_call_id="1")]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with open_weather() as running:
        yield running


def ask(server: Served, *messages: object, **more: object) -> Any:
    """The answer to a request with the tool; ``tools`` may be others."""
    return server.ask(messages=messages, **{"tools": [TOOL], **more})


def test_a_call_has_its_probability_its_votes_and_no_content(server: Served) -> None:
    found = ask(server, PARIS)
    [choice] = found["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert 0.5 < found["adascale"]["probability"] < 1
    assert found["adascale"]["votes"] == {"agree": 2, "finished": 2}
    [call] = choice["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (NAME, {"city": "Paris"})


@pytest.mark.parametrize("more", [{}, {"temperature": 0}, {"stream": True}])
def test_a_model_that_only_calls_again_is_answered_by_the_result_that_it_has(
    server: Served, more: dict[str, Any]
) -> None:
    asked = {"messages": [*EARLIER[:2], {**EARLIER[2], "content": "ask again later"}], "tools": [TOOL]}
    answers = server.stream(**asked) if more.get("stream") else [server.ask(**asked, **more)]
    choices = [answer["choices"][0] for answer in answers]
    parts = [choice.get("delta") or choice.get("message") or {} for choice in choices]
    assert "".join(part.get("content") or "" for part in parts) == f"The result of {NAME}: ask again later"
    assert not any("tool_calls" in part for part in parts)
    assert choices[-1]["finish_reason"] == "stop"


def test_a_conversation_that_called_tools_goes_on_without_them_as_any_other(server: Served) -> None:
    assert ask(server, *EARLIER, say("What is twice 23?"), tools=[])["adascale"]["kind"] == "value"
    assert [turn.role for turn in server.policy.opened[-1].history] == ["user", "assistant", "user"]
    chunks = server.stream(messages=[*EARLIER, say("Tell me a story.")])
    assert sum(bool(chunk["choices"][0]["delta"].get("content")) for chunk in chunks) > 1
    silent = ask(server, *EARLIER[:2], {**EARLIER[2], "content": ""}, tools=[])
    assert silent["adascale"]["kind"] == "text"
    plain = ask(server, *EARLIER, tools=[])
    assert plain["adascale"]["kind"] == "text"
    assert "15 degrees" in plain["choices"][0]["message"]["content"]


@pytest.mark.parametrize("tools", [[], [TOOL]])
@pytest.mark.parametrize(
    ("messages", "last"),
    [
        ([say("Be brief.", "system")], "Be brief."),
        ([say("say hello"), say("Be brief.", "system")], "say hello"),
        ([say("say hello"), say("Hello.", "assistant")], "Continue."),
    ],
)
def test_a_conversation_may_end_with_any_role(
    server: Served, messages: list[Any], last: str, tools: list[Any]
) -> None:
    ask(server, *messages, tools=tools)
    assert server.policy.opened[-1].question == last


@pytest.mark.parametrize(
    ("choice", "is_called"),
    [
        ("auto", True),
        ("none", False),
        ("required", True),
        ({"type": "function", "function": {"name": NAME}}, True),
    ],
)
def test_a_choice_is_kept(server: Served, choice: Any, is_called: bool) -> None:
    found = ask(server, PARIS, tool_choice=choice, reasoning_effort="low")
    assert ("tool_calls" in found["choices"][0]["message"]) == is_called


def told(server: Served) -> list[Any]:
    """The messages that the model has read."""
    messages: Any = server.policy.opened[-1].details["messages"]
    return list(messages)


def test_items_of_one_turn_of_a_response_are_one_message(server: Served) -> None:
    calls = [{"type": "function_call", "call_id": id_, "name": NAME, "arguments": "{}"} for id_ in ("a", "b")]
    results = [{"type": "function_call_output", "call_id": id_, "output": "15"} for id_ in ("a", "b")]
    said = [PARIS, say("Let me look.", "assistant"), *calls, *results]
    asked = {"input": said, "tools": [{"type": "function", **FUNCTION}], "parallel_tool_calls": False}
    assert server.ask(RESPONSES, **asked)["parallel_tool_calls"] is False
    messages = told(server)
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "tool"]
    assert messages[1]["content"] == "Let me look."
    assert [each["id"] for each in messages[1]["tool_calls"]] == ["a", "b"]


def test_what_an_agent_adds_to_a_result_is_no_new_question(server: Served) -> None:
    used = [{"type": "tool_use", "id": "1", "name": NAME, "input": {"city": "Paris"}}]
    result = [{"type": "tool_result", "tool_use_id": "1", "content": "15 degrees"}]
    said = [PARIS, say(used, "assistant"), say([*result, {"type": "text", "text": "<environment>"}])]
    tools = [{"name": NAME, "input_schema": SCHEMA}]
    found = server.ask(MESSAGES, messages=said, tools=tools)
    assert found["content"][-1]["text"] == "It is 15 degrees\n\n<environment>."


@pytest.mark.parametrize("is_named", [True, False])
def test_results_of_ollama_keep_the_names_of_their_tools(server: Served, is_named: bool) -> None:
    names = [NAME, "get_time"]
    calls = [{"function": {"name": name, "arguments": {}}} for name in names]
    results = [say("15", "tool", **({"tool_name": name} if is_named else {})) for name in names]
    server.ask(OLLAMA, messages=[PARIS, calling(*calls), *results], tools=[TOOL])
    assert [each["name"] for each in told(server) if each["role"] == "tool"] == names


def test_an_object_of_a_schema_is_written_with_the_probability_of_its_fields() -> None:
    written, kinds = {"name": "Ann", "age": 31}, {"name": "string", "age": "integer"}
    schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}
    named: Any = {"name": "person", "schema": schema, "strict": True}
    form = {"type": "json_schema", "json_schema": named}
    policy = EchoPolicy(lambda prefix, rng: scripted_step(json.dumps(written), "stop"))
    with served(policy=policy, calibrators={"json": judging("json", 0.5)}) as running:
        chat = running.ask(response_format=form)
        chunks = running.stream(response_format=form)
        text = {"format": {"type": "json_schema", **named}}
        response = running.ask(RESPONSES, text=text, temperature=0)
        message = running.ask(MESSAGES, output_config=text)
        ollama = running.ask(OLLAMA, format=schema)
    texts = [
        chat["choices"][0]["message"]["content"],
        "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks),
        response["output"][-1]["content"][0]["text"],
        message["content"][-1]["text"],
        ollama["message"]["content"],
    ]
    assert [json.loads(each) for each in texts] == [written] * 5
    for summary in (chat["adascale"], chunks[-1]["adascale"]):
        assert summary["fields"].keys() == written.keys()
        least = min(each["probability"] for each in summary["fields"].values())
        assert summary["probability"] == pytest.approx(least, abs=1e-4)
