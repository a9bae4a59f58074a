"""The official client of Anthropic against the server, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message, TextBlock, ThinkingBlock
from scripted_server import Served, served

from adascale.engine.types import Turn
from adascale.serve.http import Access
from bench.scripted import MODEL

SOLUTION = "We look at 42.\n\nIt is \\boxed{42}."
QUESTION: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 4096,
    "messages": [{"role": "user", "content": "Say 42"}],
    "extra_body": {"seed": 1},
}


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as opened:
        yield opened


def ask(client: anthropic.Anthropic, **more: Any) -> Message:
    found = client.messages.create(**{**QUESTION, **more})
    assert isinstance(found, Message)
    return found


def test_a_message_has_its_thinking_its_text_and_what_the_search_found(client: anthropic.Anthropic) -> None:
    found = ask(client)
    thinking, text = found.content
    assert isinstance(thinking, ThinkingBlock)
    assert isinstance(text, TextBlock)
    assert "[score" in thinking.thinking
    assert text.text == f"{SOLUTION}\n\nAnswer: 42"
    assert (found.model, found.role, found.stop_reason) == (MODEL, "assistant", "end_turn")
    assert found.usage.input_tokens == len("Say 42")
    assert found.usage.output_tokens_details is not None
    assert 0 < found.usage.output_tokens_details.thinking_tokens < found.usage.output_tokens
    assert found.adascale["answer"] == "42"  # type: ignore[attr-defined]
    cut = ask(client, stop_sequences=["zzz", " is"])
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", " is")


def test_a_stream_builds_the_same_message(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**QUESTION) as events:
        names = [event.type for event in events]
        built = events.get_final_message()
    assert list(dict.fromkeys(name for name in names if "_" in name)) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert names.count("content_block_start") == names.count("content_block_stop") == 2
    whole = ask(client)
    assert [type(block) for block in whole.content] == [ThinkingBlock, TextBlock]
    assert [block.to_dict() for block in built.content] == [block.to_dict() for block in whole.content]
    assert (built.stop_reason, built.usage) == (whole.stop_reason, whole.usage)


def test_a_message_goes_back_with_the_next_question(server: Served, client: anthropic.Anthropic) -> None:
    first = ask(client)
    answer = [{**block.model_dump(), "cache_control": None} for block in first.content]
    messages = [
        *QUESTION["messages"],
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "And 43?"},
    ]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    ask(client, messages=messages, system=system)
    problem = server.policy.opened[-1]
    assert problem.question == "And 43?"
    assert problem.history == (
        Turn("system", "Be brief."),
        Turn("user", "Say 42"),
        Turn("assistant", f"{SOLUTION}\n\nAnswer: 42"),
    )


def test_its_key_is_the_servers_and_errors_have_its_shape() -> None:
    with served(Access("127.0.0.1", "sesame")) as server:
        with anthropic.Anthropic(base_url=server.url, api_key="sesame") as client:
            assert ask(client).content
            with pytest.raises(anthropic.NotFoundError) as missing:
                ask(client, model="claude-9")
        with (
            anthropic.Anthropic(base_url=server.url, api_key="wrong") as client,
            pytest.raises(anthropic.AuthenticationError) as locked,
        ):
            ask(client)
    for caught, type_ in ((missing, "not_found_error"), (locked, "authentication_error")):
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["error"]["type"] == type_
