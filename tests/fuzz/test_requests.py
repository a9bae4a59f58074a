"""Bodies that were whole once: each is answered, or refused in the shape of its protocol, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import httpx2
import pytest
from hypothesis import given
from scripted_server import LOCAL, EchoPolicy

from adascale.serve.app import ServerSettings, make_app
from adascale.serve.hub import Hub
from bench.scripted import InlineWorker, echo

from .mutations import FEW, encode_json, mutated_bytes, mutated_json

Post = Callable[[str, bytes], httpx2.Response]

SCHEMA = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["C", "F", None]},
        "days": {"type": "integer", "minimum": 0, "maximum": 9},
        "share": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "none"}]},
        "at": {"type": "array", "items": {"$ref": "#/$defs/name"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["days"],
    "additionalProperties": {"type": "string"},
    "$defs": {"name": {"type": "string", "maxLength": 30}},
}
QUESTION = {"role": "user", "content": "What is it like in 2 days?"}
NAME = "get_weather"
FUNCTION = {"name": NAME, "description": "Of a city.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "c1", "type": "function", "function": {"name": NAME, "arguments": '{"city": "Rome"}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "15 degrees"}
TALK = [QUESTION, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT]
OLLAMA_TALK = [
    QUESTION,
    {"role": "assistant", "tool_calls": [{"function": {"name": NAME, "arguments": {"city": "Rome"}}}]},
    {**RESULT, "tool_name": NAME},
]
ANTHROPIC_TALK = [
    QUESTION,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": NAME, "input": {"a": 1}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "15 degrees"}]},
]
RESPONSES_TALK = [
    QUESTION,
    {"type": "function_call", "call_id": "c1", "name": NAME, "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "15 degrees"},
]
FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
FLAT = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
OLLAMA, GENERATE = "/api/chat", "/api/generate"
COMPLETIONS = "/v1/completions"

SAMPLER = {
    "temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1,
    "presence_penalty": 0.5, "logit_bias": {"1": -50}, "seed": 1, "stream": False,
}  # fmt: skip
FORCED = {"type": "function", "function": {"name": NAME}}
CLAUDE = {"messages": ANTHROPIC_TALK, "tools": [{"name": NAME, "input_schema": SCHEMA}]}
OPTIONS = {"temperature": 0.5, "seed": 1, "num_predict": 9, "stop": ["x"], "top_k": 40, "repeat_penalty": 1.1}
SAMPLES: list[tuple[str, Any]] = [
    (CHAT, {"messages": TALK, "tools": [TOOL], "tool_choice": FORCED, "parallel_tool_calls": False}),
    (CHAT, {"messages": [QUESTION], "response_format": FORM, "n": 2, "stop": ["x"], **SAMPLER}),
    (COMPLETIONS, {"prompt": "Echo 3", "n": 2, "stop": "x", **SAMPLER}),
    (MESSAGES, {"max_tokens": 9, **CLAUDE, "tool_choice": {"type": "any"}}),
    (MESSAGES, {"max_tokens": 9, "messages": [QUESTION], "output_config": FLAT, "stop_sequences": ["x"]}),
    (RESPONSES, {"input": RESPONSES_TALK, "tools": [{"type": "function", **FUNCTION}], **SAMPLER}),
    (RESPONSES, {"input": "3", "text": FLAT, "max_output_tokens": 99}),
    (OLLAMA, {"messages": OLLAMA_TALK, "tools": [TOOL], "think": "low", "options": OPTIONS}),
    (GENERATE, {"prompt": "Echo 3", "system": "Be brief.", "format": SCHEMA, "options": OPTIONS}),
    ("/api/show", {"model": "scripted", "verbose": True}),
]
"""Paths and bodies that are answered."""


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    """Sends a body to a server without a socket, on a scripted generator."""
    hub = Hub(lambda: nullcontext(InlineWorker(EchoPolicy(echo))), 4, 64)
    app = make_app(hub, ServerSettings(LOCAL))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60)
    with asyncio.Runner() as runner:
        runner.run(_start(hub))
        while hub.state == "loading":
            runner.run(asyncio.sleep(0.01))

        def send(path: str, data: bytes) -> httpx2.Response:
            return runner.run(client.post(path, content=data))

        yield send
        runner.run(hub.close())


async def _start(hub: Hub) -> None:
    hub.start()


@pytest.mark.parametrize(("path", "body"), SAMPLES, ids=[str(n) for n in range(len(SAMPLES))])
def test_bodies_are_answered_or_refused(post: Post, path: str, body: Any) -> None:
    whole = post(path, encode_json(body))
    assert whole.status_code == 200, whole.text

    @FEW
    @given(mutated_json(body).map(encode_json) | mutated_bytes([encode_json(body)]))
    def check(data: bytes) -> None:
        found = post(path, data)
        assert found.status_code in (200, 400, 404, 413), (found.status_code, found.text)
        if found.status_code != 200:
            error = found.json()["error"]
            assert error if isinstance(error, str) else error["message"]

    check()
