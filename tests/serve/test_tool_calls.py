"""Requests with tools by the official clients, on a scripted generator."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from scripted import judging
from scripted_server import EchoPolicy, Served, served

from adascale.engine.ports import Prefix
from adascale.engine.types import Step
from bench.scripted import MODEL, scripted_step

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather of a city.", "parameters": SCHEMA},
}


def script(prefix: Prefix, rng: random.Random) -> Step:
    """Calls for the cities that are named; without one says hello."""
    details = prefix.problem.details
    messages: Any = details.get("messages", [])
    last = messages[-1] if messages else {"role": "user", "content": prefix.problem.question}
    if last["role"] == "tool" and "again" in last["content"]:
        return scripted_step(json.dumps({"name": "get_weather", "arguments": {"city": "Paris"}}), "stop")
    if prefix.mode != "call" or last["role"] == "tool":
        return scripted_step(f"It is {last['content']}.", "stop")
    cities = [word.strip("?.") for word in last["content"].split() if word[0].isupper()][1:]
    calls = [json.dumps({"name": "get_weather", "arguments": {"city": each}}) for each in cities]
    return scripted_step("\n".join(calls) or "Hello.", "stop")


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    policy = EchoPolicy(script, logits=lambda asked: [math.log(0.95), math.log(0.05)])
    with served(policy=policy, calibrators={"call": judging("call", 0.6)}) as running:
        yield running


def ask(client: openai.OpenAI, *messages: Any, **more: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=list(messages), tools=[TOOL], **more)


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "a", **function}}


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def arguments(call: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(call.function.arguments)
    return found


def test_a_call_has_its_probability_its_votes_and_no_content(client: openai.OpenAI) -> None:
    found = ask(client, user("What is it like in Paris?"))
    [choice] = found.choices
    [call] = choice.message.tool_calls
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert (call.function.name, arguments(call)) == ("get_weather", {"city": "Paris"})
    assert 0.5 < found.adascale["probability"] < 1
    assert found.adascale["votes"] == {"agree": 2, "finished": 2}
    assert found.adascale["alternatives"][0]["calls"] == [
        {"name": "get_weather", "arguments": {"city": "Paris"}}
    ]


def test_a_stream_has_the_call_once_it_is_decided(client: openai.OpenAI) -> None:
    chunks = list(ask(client, user("What is it like in Paris and Rome?"), stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert [call.index for call in calls] == [0, 1]
    assert len({call.id for call in calls}) == 2
    assert [arguments(call)["city"] for call in calls] == ["Paris", "Rome"]
    assert not any(delta.content for delta in deltas)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_whole_turn_of_an_agent_ends_in_words(client: openai.OpenAI) -> None:
    question = user("What is it like in Paris?")
    called = ask(client, question).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "15 degrees"}
    found = ask(client, question, called.model_dump(exclude_none=True), result)
    assert (found.choices[0].finish_reason, found.choices[0].message.content) == ("stop", "It is 15 degrees.")
    assert not found.choices[0].message.tool_calls


@pytest.mark.parametrize("more", [{}, {"temperature": 0}, {"stream": True}])
def test_a_model_that_only_calls_again_is_answered_by_the_result_that_it_has(
    client: openai.OpenAI, more: dict[str, Any]
) -> None:
    question = user("What is it like in Paris?")
    called = ask(client, question).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "ask again later"}
    found = ask(client, question, called.model_dump(exclude_none=True), result, **more)
    choices = [chunk.choices[0] for chunk in found] if more.get("stream") else found.choices
    parts = [choice.delta if more.get("stream") else choice.message for choice in choices]
    assert "".join(part.content or "" for part in parts) == "The result of get_weather: ask again later"
    assert not any(part.tool_calls for part in parts)
    assert choices[-1].finish_reason == "stop"


EARLIER: Any = [
    user("What is it like in Paris?"),
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "15 degrees"},
]


def without_tools(client: openai.OpenAI, *messages: Any, **more: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=list(messages), **more)


def test_a_conversation_that_called_tools_goes_on_without_them_as_any_other(
    client: openai.OpenAI, server: Served
) -> None:
    searched = without_tools(client, *EARLIER, user("What is 17 * 23?"))
    assert searched.adascale["kind"] == "value"
    assert [turn.role for turn in server.policy.opened[-1].history] == ["user", "assistant", "user"]
    parts = list(without_tools(client, *EARLIER, user("Tell me a story."), stream=True))
    assert sum(bool(part.choices[0].delta.content) for part in parts) > 1
    silent = without_tools(client, *EARLIER[:2], {**EARLIER[2], "content": ""})
    assert silent.adascale["kind"] == "text"
    plain = without_tools(client, *EARLIER)
    assert (plain.adascale["kind"], "15 degrees" in plain.choices[0].message.content) == ("text", True)


@pytest.mark.parametrize("tools", [[], [TOOL]])
@pytest.mark.parametrize(
    ("messages", "last"),
    [
        ([{"role": "system", "content": "Be brief."}], "Be brief."),
        ([user("say hello"), {"role": "system", "content": "Be brief."}], "say hello"),
        ([user("say hello"), {"role": "assistant", "content": "Hello."}], "Continue."),
    ],
)
def test_a_conversation_may_end_with_any_role(
    client: openai.OpenAI, server: Served, messages: list[Any], last: str, tools: list[Any]
) -> None:
    without_tools(client, *messages, **({"tools": tools} if tools else {}))
    assert server.policy.opened[-1].question == last


@pytest.mark.parametrize(
    ("choice", "is_called"),
    [
        ("auto", True),
        ("none", False),
        ("required", True),
        ({"type": "function", "function": {"name": "get_weather"}}, True),
    ],
)
def test_a_choice_is_kept(client: openai.OpenAI, choice: Any, is_called: bool) -> None:
    found = ask(client, user("What is it like in Paris?"), tool_choice=choice, reasoning_effort="low")
    assert bool(found.choices[0].message.tool_calls) == is_called


def respond(client: openai.OpenAI, asked: Any, **more: Any) -> Any:
    flat = {"type": "function", "strict": None, **TOOL["function"]}
    return client.responses.create(model=MODEL, input=asked, tools=[flat], **more)


def test_a_response_has_calls_and_takes_their_results(client: openai.OpenAI) -> None:
    question = {"role": "user", "content": "What is it like in Paris and Rome?"}
    first = respond(client, [question])
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    done = [
        event for event in respond(client, [question], stream=True) if event.type.endswith("arguments.done")
    ]
    assert [(event.name, event.arguments) for event in done] == [
        (call.name, call.arguments) for call in calls
    ]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "15 degrees"} for call in calls
    ]
    second = respond(client, [question, *(call.model_dump() for call in calls), *results])
    assert second.output_text == "It is 15 degrees."


def test_items_of_one_turn_of_a_response_are_one_message(client: openai.OpenAI, server: Served) -> None:
    def called(id_: str) -> dict[str, Any]:
        return {"type": "function_call", "call_id": id_, "name": "get_weather", "arguments": "{}"}

    said: Any = {"role": "assistant", "content": "Let me look."}
    results = [{"type": "function_call_output", "call_id": id_, "output": "15"} for id_ in ("a", "b")]
    respond(client, [user("Compare them."), said, called("a"), called("b"), *results])
    messages: Any = server.policy.opened[-1].details["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "tool"]
    assert messages[1]["content"] == "Let me look."
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["a", "b"]


ANTHROPIC: Any = {"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA}


@pytest.fixture(scope="module")
def messages_client(server: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as opened:
        yield opened


def test_a_message_has_calls_and_takes_their_results(messages_client: anthropic.Anthropic) -> None:
    question: Any = user("What is it like in Paris?")
    more: Any = {"model": MODEL, "max_tokens": 200, "tools": [ANTHROPIC]}
    first = messages_client.messages.create(messages=[question], **more)
    assert first.stop_reason == "tool_use"
    [call] = first.content
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result: Any = {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": "15 degrees"},
            {"type": "text", "text": "<environment>"},  # what an agent adds is no new question
        ],
    }
    said: Any = {"role": "assistant", "content": first.content}
    second = messages_client.messages.create(messages=[question, said, result], **more)
    said = [block.text for block in second.content if block.type == "text"]
    assert said == ["It is 15 degrees\n\n<environment>."]
    assert second.stop_reason == "end_turn"


def test_ollama_has_calls_in_a_line_of_their_own_and_takes_their_results(server: Served) -> None:
    def chat(*messages: Any, stream: bool) -> list[Any]:
        body = {"model": MODEL, "messages": messages, "tools": [TOOL], "stream": stream}
        found = httpx2.post(f"{server.url}/api/chat", json=body)
        assert found.status_code == 200, found.text
        return [json.loads(line) for line in found.text.splitlines()]

    question = user("What is it like in Paris?")
    [whole] = chat(question, stream=False)
    calls = whole["message"]["tool_calls"]
    assert calls == [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]
    lines = chat(question, stream=True)
    assert [line["message"]["tool_calls"] for line in lines if "tool_calls" in line["message"]] == [calls]
    assert (lines[-1]["done"], lines[-1]["done_reason"]) == (True, "stop")
    result = {"role": "tool", "tool_name": "get_weather", "content": "15 degrees"}
    [said] = chat(question, whole["message"], result, stream=False)
    assert said["message"]["content"] == "It is 15 degrees."


@pytest.mark.parametrize("given", [{"tool_name": True}, {}])
def test_results_of_ollama_keep_the_names_of_their_tools(server: Served, given: dict[str, bool]) -> None:
    names = ["get_weather", "get_time"]
    calls = [{"function": {"name": name, "arguments": {}}} for name in names]
    results = [{"role": "tool", "content": "15", **({"tool_name": name} if given else {})} for name in names]
    asked = [user("Compare them."), {"role": "assistant", "content": "", "tool_calls": calls}, *results]
    httpx2.post(f"{server.url}/api/chat", json={"messages": asked, "tools": [TOOL]}).raise_for_status()
    messages: Any = server.policy.opened[-1].details["messages"]
    assert [each["name"] for each in messages if each["role"] == "tool"] == names


def test_an_object_of_a_schema_is_written_with_the_probability_of_its_fields() -> None:
    written, kinds = {"name": "Ann", "age": 31}, {"name": "string", "age": "integer"}
    schema: Any = {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}
    named = {"name": "person", "schema": schema, "strict": True}
    form = {"type": "json_schema", "json_schema": named}
    policy = EchoPolicy(lambda prefix, rng: scripted_step(json.dumps(written), "stop"))
    asked = user("Who is it?")
    with (
        served(policy=policy, calibrators={"json": judging("json", 0.5)}) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client,
    ):
        chat = without_tools(client, asked, response_format=form)
        chunks = list(without_tools(client, asked, response_format=form, stream=True))
        text: Any = {"format": {"type": "json_schema", **named}}
        response = client.responses.create(model=MODEL, input="Who is it?", text=text, temperature=0)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    texts = chat.choices[0].message.content, streamed, response.output_text
    assert [json.loads(each) for each in texts] == [written] * 3
    for summary in (chat.adascale, chunks[-1].adascale):
        assert summary["fields"].keys() == written.keys()
        least = min(each["probability"] for each in summary["fields"].values())
        assert summary["probability"] == pytest.approx(least, abs=1e-4)


def test_keywords_that_nobody_checks_are_named(client: openai.OpenAI) -> None:
    code = {"type": "string", "pattern": "^[A-Z]+$"}
    days = {"type": "array", "items": {"type": "string", "format": "date"}, "uniqueItems": True}
    schema = {"type": "object", "properties": {"code": code, "pattern": days}}

    def ignored(**more: Any) -> Any:
        asked: Any = [user("Who is it?")]
        return client.chat.completions.create(model=MODEL, messages=asked, **more).adascale["ignored"]  # type: ignore[attr-defined]

    named: Any = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}
    assert ignored(response_format=named) == ["schema: format", "schema: pattern"]
    plain = ignored(response_format=named, temperature=0)
    assert plain == ["schema: format", "schema: pattern", "schema: uniqueItems"]
    assert ignored(tools=[tool(parameters=schema)]) == ["tools: format", "tools: pattern"]
    assert ignored(tools=[TOOL]) == []
