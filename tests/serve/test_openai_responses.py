"""The official client of OpenAI asks for responses, whole and streamed."""

from __future__ import annotations

from typing import Any

import openai
from openai.types.responses import (
    Response,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ResponseStreamEvent,
)
from scripted_server import Served

from adascale.engine.types import Turn
from bench.scripted import MODEL

SOLUTION = "We look at 42.\n\nIt is \\boxed{42}."


def ask(client: openai.OpenAI, question: Any = "Say 42", **more: Any) -> Response:
    found = client.responses.create(model=MODEL, input=question, extra_body={"seed": 1}, **more)
    assert isinstance(found, Response)
    return found


def stream(client: openai.OpenAI, question: Any = "Say 42", **more: Any) -> list[ResponseStreamEvent]:
    return list(
        client.responses.create(model=MODEL, input=question, stream=True, extra_body={"seed": 1}, **more)
    )


def test_a_response_has_its_reasoning_its_message_and_what_the_search_found(client: openai.OpenAI) -> None:
    found = ask(client)
    reasoning, message = found.output
    assert isinstance(reasoning, ResponseReasoningItem)
    assert isinstance(message, ResponseOutputMessage)
    assert reasoning.content is not None
    assert "[score" in reasoning.content[0].text
    assert found.output_text == f"{SOLUTION}\n\nAnswer: 42"
    assert (found.status, message.status, found.incomplete_details) == ("completed", "completed", None)
    assert (found.model, found.temperature, found.top_p) == (MODEL, 0.5, 0.95)
    assert found.usage is not None
    assert found.usage.input_tokens == len("Say 42")
    assert 0 < found.usage.output_tokens_details.reasoning_tokens < found.usage.output_tokens
    summary = found.adascale  # type: ignore[attr-defined]
    assert (summary["answer"], summary["tokens"]) == ("42", found.usage.output_tokens)


def test_a_stream_builds_the_same_response_as_its_last_event_has(client: openai.OpenAI) -> None:
    events = stream(client)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    names = [event.type.removeprefix("response.") for event in events]
    assert list(dict.fromkeys(names)) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_text.delta",
        "output_text.done",
        "completed",
    ]
    first, last = events[0], events[-1]
    assert first.type == "response.created"
    assert last.type == "response.completed"
    assert (first.response.temperature, first.response.top_p) == (None, None)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == last.response.output_text
    thoughts = [event.delta for event in events if event.type == "response.reasoning_text.delta"]
    items = [event.item for event in events if event.type == "response.output_item.done"]
    assert items == last.response.output
    assert isinstance(items[0], ResponseReasoningItem)
    assert items[0].content is not None
    assert items[0].content[0].text == "".join(thoughts)
    without_times = {"adascale", "id", "created_at", "output"}
    assert last.response.model_dump(exclude=without_times) == ask(client).model_dump(exclude=without_times)


def test_a_response_goes_back_with_the_next_question(server: Served, client: openai.OpenAI) -> None:
    first = ask(client, "Say 41")
    said = [{"role": "user", "content": "Say 41"}, *(item.model_dump() for item in first.output)]
    parts = [{"type": "input_text", "text": "And"}, {"type": "input_text", "text": "42?"}]
    question = [*said, {"role": "user", "content": parts}]
    second = ask(client, question, instructions="Be brief.", parallel_tool_calls=False)
    assert (first.parallel_tool_calls, second.parallel_tool_calls) == (True, False)
    problem = server.policy.opened[-1]
    assert problem.question == "And\n42?"
    assert problem.history == (
        Turn("system", "Be brief."),
        Turn("user", "Say 41"),
        Turn("assistant", first.output_text),
    )


def test_an_error_behind_the_beginning_is_a_failed_response(client: openai.OpenAI) -> None:
    last = stream(client, "an unreadable one")[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert "the PRM's window is 2,048" in last.response.error.message
