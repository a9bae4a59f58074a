"""Official clients ask, follow a stream, call tools and are refused, in every protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anthropic
import ollama
import openai
import pytest
from scripted_server import MODEL, Served, open_weather, say

from adascale.engine.types import Turn

SHOWN = "We look at 42.\n\nIt is **42**."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"name": "get_weather", "description": "The weather of a city.", "parameters": SCHEMA}


@dataclass(frozen=True)
class Said:
    """What a client got; ``turn`` has what goes back with results of the calls."""

    content: str
    reasoning: str
    calls: list[Any]
    end: str
    tokens: tuple[int, int]
    answer: object
    turn: Callable[[Sequence[str]], list[Any]]


Client = Callable[..., Said]


def by_chat(url: str, messages: list[Any], *, stream: bool = False, tools: bool = False, **more: Any) -> Said:
    """Chat completions."""
    if "system" in more:
        messages = [say(more.pop("system"), "system"), *messages]
    asked = {"model": MODEL, "messages": messages, "seed": 1, **more}
    if tools:
        asked["tools"] = [{"type": "function", "function": {**TOOL, "strict": True}}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        if stream:
            with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
                chunks: list[Any] = [event.chunk for event in events if event.type == "chunk"]
            found: Any = events.get_final_completion()
            [result] = [chunk.adascale for chunk in chunks if hasattr(chunk, "adascale")]
        else:
            found = client.chat.completions.create(**asked)
            result = found.adascale
    [choice] = found.choices
    calls = choice.message.tool_calls or []

    def turn(results: Sequence[str]) -> list[Any]:
        back = [say(text, "tool", tool_call_id=call.id) for call, text in zip(calls, results, strict=True)]
        return [choice.message.model_dump(exclude_none=True), *back]

    return Said(
        choice.message.content or "",
        getattr(choice.message, "reasoning_content", ""),
        [(call.function.name, json.loads(call.function.arguments)) for call in calls],
        choice.finish_reason,
        (found.usage.prompt_tokens, found.usage.completion_tokens),
        result["answer"],
        turn,
    )


def by_responses(
    url: str, messages: list[Any], *, stream: bool = False, tools: bool = False, **more: Any
) -> Said:
    """Responses."""
    if "system" in more:
        more["instructions"] = more.pop("system")
    asked = {"model": MODEL, "input": messages, "extra_body": {"seed": 1}, **more}
    if tools:
        asked["tools"] = [{"type": "function", "strict": True, **TOOL}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        if stream:
            with client.responses.stream(**asked) as events:
                for event in events:
                    if event.type == "response.failed":
                        raise AssertionError(event.response.error)
                found: Any = events.get_final_response()
        else:
            found = client.responses.create(**asked)
    calls = [item for item in found.output if item.type == "function_call"]

    def turn(results: Sequence[str]) -> list[Any]:
        named = {"type": "function_call_output"}
        pairs = zip(calls, results, strict=True)
        items = [item.model_dump(exclude={"parsed_arguments"}) for item in found.output]
        return [*items, *({**named, "call_id": call.call_id, "output": text} for call, text in pairs)]

    return Said(
        found.output_text,
        "".join(part.text for item in found.output if item.type == "reasoning" for part in item.content),
        [(call.name, json.loads(call.arguments)) for call in calls],
        found.status,
        (found.usage.input_tokens, found.usage.output_tokens),
        found.adascale["answer"],
        turn,
    )


def by_messages(
    url: str, messages: list[Any], *, stream: bool = False, tools: bool = False, **more: Any
) -> Said:
    """Anthropic's messages."""
    asked = {"model": MODEL, "max_tokens": 4096, "messages": messages, "extra_body": {"seed": 1}, **more}
    if tools:
        asked["tools"] = [{"name": TOOL["name"], "input_schema": SCHEMA}]
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                ends: list[Any] = [event for event in events if event.type == "message_delta"]
                found: Any = events.get_final_message()
            result = ends[-1].adascale
        else:
            found = client.messages.create(**asked)
            result = found.adascale
    calls = [block for block in found.content if block.type == "tool_use"]

    def turn(results: Sequence[str]) -> list[Any]:
        pairs = zip(calls, results, strict=True)
        back = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in pairs]
        blocks = [{**block.to_dict(), "cache_control": None} for block in found.content]
        return [say(blocks, "assistant"), *([say(back)] if back else [])]

    return Said(
        "".join(block.text for block in found.content if block.type == "text"),
        "".join(block.thinking for block in found.content if block.type == "thinking"),
        [(call.name, call.input) for call in calls],
        found.stop_reason,
        (found.usage.input_tokens, found.usage.output_tokens),
        result["answer"],
        turn,
    )


def get_weather(city: str) -> str:
    """The weather of a city."""
    return city


def by_ollama(
    url: str, messages: list[Any], *, stream: bool = False, tools: bool = False, **more: Any
) -> Said:
    """Ollama's chat."""
    if "system" in more:
        messages = [say(more.pop("system"), "system"), *messages]
    asked: dict[str, Any] = {"model": MODEL, "messages": messages, "options": {"seed": 1}, **more}
    if tools:
        asked["tools"] = [get_weather]
    with ollama.Client(url) as client:
        parts: Any = list(client.chat(**asked, stream=True)) if stream else [client.chat(**asked)]
    calls = [call for part in parts for call in part.message.tool_calls or []]
    content = "".join(part.message.content for part in parts)

    def turn(results: Sequence[str]) -> list[Any]:
        back = [say(text, "tool", tool_name=TOOL["name"]) for text in results]
        return [say(content, "assistant", **({"tool_calls": calls} if calls else {})), *back]

    return Said(
        content,
        "".join(part.message.thinking or "" for part in parts),
        [(call.function.name, dict(call.function.arguments)) for call in calls],
        parts[-1].done_reason,
        (parts[-1].prompt_eval_count, parts[-1].eval_count),
        "42",
        turn,
    )


ENDS = {by_chat: "stop", by_responses: "completed", by_messages: "end_turn", by_ollama: "stop"}
CALLED = {by_chat: "tool_calls", by_responses: "completed", by_messages: "tool_use", by_ollama: "stop"}
every_client = pytest.mark.parametrize("client", ENDS)


@every_client
def test_a_search_is_answered_whole_and_in_a_stream_alike(server: Served, client: Client) -> None:
    whole = client(server.url, [say("Say 42")])
    assert whole.content == f"{SHOWN}\n\nAnswer: 42"
    assert "Solution 1: We look at 42.\n" in whole.reasoning
    assert "in words, answers 42\n42 leads: " in whole.reasoning
    assert (whole.end, whole.answer, whole.tokens[0]) == (ENDS[client], "42", len("Say 42"))
    streamed = client(server.url, [say("Say 42")], stream=True)
    for name in ("content", "reasoning", "end", "tokens", "answer"):
        assert getattr(streamed, name) == getattr(whole, name)


@every_client
def test_an_answer_goes_back_with_the_next_question(server: Served, client: Client) -> None:
    said = client(server.url, [say("Say 42")])
    client(server.url, [say("Say 42"), *said.turn(()), say("And 43?")], system="Be brief.")
    problem = server.policy.opened[-1]
    assert problem.question == "And 43?"
    assert problem.history == (
        Turn("system", "Be brief."),
        Turn("user", "Say 42"),
        Turn("assistant", f"{SHOWN}\n\nAnswer: 42"),
    )


@every_client
def test_a_whole_turn_of_an_agent_ends_in_words(client: Client) -> None:
    question = say("What is it like in Paris and Rome?")
    with open_weather() as server:
        called = client(server.url, [question], tools=True)
        assert called.calls == [("get_weather", {"city": city}) for city in ("Paris", "Rome")]
        assert (called.content, called.reasoning, called.end) == ("", "", CALLED[client])
        assert client(server.url, [question], tools=True, stream=True).calls == called.calls
        back = called.turn(["15 degrees", "20 degrees"])
        said = client(server.url, [question, *back], tools=True)
    assert (said.content, said.calls, said.end) == ("It is 20 degrees.", [], ENDS[client])


@every_client
def test_errors_are_those_of_the_client_also_behind_the_beginning_of_a_stream(
    server: Served, client: Client
) -> None:
    with pytest.raises(
        (openai.NotFoundError, anthropic.NotFoundError, ollama.ResponseError), match="there is scripted"
    ):
        client(server.url, [say("Say 42")], model="gpt-9")
    with pytest.raises(Exception, match="the PRM's window is 2,048"):
        client(server.url, [say("an unreadable one")], stream=True)


def test_views_of_the_model_are_read(server: Served) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        assert [model.id for model in client.models.list()] == [MODEL]
    with ollama.Client(server.url) as local:
        [entry], [running] = local.list().models, local.ps().models
        shown = local.show(entry.model or "")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "adascale"
    assert running.model == entry.model
