"""Bodies that were whole once: each is answered, or refused in the shape of its protocol, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import strategies as st
from machine import opened
from scripted_server import LOCAL, EchoPolicy

from adascale.engine.errors import UsageError
from adascale.engine.tools.equality import key_of
from adascale.engine.tools.fields import fields_of, in_order
from adascale.engine.tools.grammar import grammar_of_object
from adascale.engine.tools.inlining import inlined
from adascale.engine.tools.schema import matches, mended
from adascale.models.llama.grammar import Grammar
from adascale.models.llama.runtime import LlamaModel
from adascale.serve.app import ServerSettings, make_app
from adascale.serve.hub import Hub
from bench.inline import InlineWorker, echo

from .conftest import Fuzz
from .mutations import encode_json, mutated_bytes, mutated_json

Post = Callable[[str, bytes], httpx2.Response]

ADDRESS = {
    "type": "object",
    "properties": {"street": {"type": "string", "maxLength": 30}, "no": {"type": "integer"}},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1, "description": "Its name."},
        "unit": {"enum": ["C", "F", None]},
        "days": {"type": "integer", "minimum": 0, "maximum": 9},
        "rain": {"type": ["boolean", "null"]},
        "share": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "none"}]},
        "at": {"type": "array", "items": {"$ref": "#/$defs/address"}, "minItems": 1, "maxItems": 3},
        "more": {"allOf": [{"$ref": "#/$defs/address"}, {"required": ["no"]}], "additionalProperties": False},
    },
    "required": ["city", "days"],
    "additionalProperties": {"type": "string"},
    "$defs": {"address": ADDRESS},
}  # fmt: skip
VALUE = {
    "city": "Rome", "unit": None, "days": "3", "rain": True, "share": 0.5,
    "at": [{"street": "Via", "no": 3}], "more": {"no": 4}, "other": "x",
}  # fmt: skip
"""A value that nearly matches."""

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

Sample = tuple[str, Any]
"""A path and a body that is answered."""

TOOLS: list[Sample] = [
    (
        CHAT,
        {"messages": [QUESTION], "tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    ),
    (
        CHAT,
        {"messages": TALK, "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": NAME}}},
    ),
    (
        MESSAGES,
        {
            "max_tokens": 9,
            "messages": ANTHROPIC_TALK,
            "tools": [{"name": NAME, "input_schema": SCHEMA}],
            "tool_choice": {"type": "any"},
        },
    ),
    (
        RESPONSES,
        {"input": RESPONSES_TALK, "tools": [{"type": "function", **FUNCTION}], "tool_choice": "auto"},
    ),
    (OLLAMA, {"messages": OLLAMA_TALK, "tools": [TOOL]}),
]
SCHEMAS: list[Sample] = [
    (CHAT, {"messages": [QUESTION], "response_format": FORM}),
    (RESPONSES, {"input": "3", "text": FLAT}),
    (MESSAGES, {"max_tokens": 9, "messages": [QUESTION], "output_config": FLAT}),
    (OLLAMA, {"messages": [QUESTION], "format": SCHEMA}),
    (GENERATE, {"prompt": "Echo 3", "format": SCHEMA}),
]
SAMPLER = {
    "temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1,
    "presence_penalty": 0.5, "logit_bias": {"1": -50}, "seed": 1, "stream": False, "min_probability": 0.5,
}  # fmt: skip
SAMPLERS: list[Sample] = [
    (CHAT, {"messages": [QUESTION], "n": 2, "stop": ["x"], "max_tokens": 9, **SAMPLER}),
    (CHAT, {"messages": [QUESTION], "logprobs": True, "top_logprobs": 3, **SAMPLER}),
    (COMPLETIONS, {"prompt": "Echo 3", "n": 2, "best_of": 2, "logprobs": 3, "stop": "x", **SAMPLER}),
    (MESSAGES, {"max_tokens": 9, "messages": [QUESTION], "stop_sequences": ["x"], **SAMPLER}),
    (RESPONSES, {"input": "3", "max_output_tokens": 99, **SAMPLER}),
]
OPTIONS = {"temperature": 0.5, "seed": 1, "num_predict": 9, "stop": ["x"], "top_k": 40, "repeat_penalty": 1.1}
OLLAMAS: list[Sample] = [
    (
        OLLAMA,
        {"messages": [QUESTION], "stream": False, "think": "low", "keep_alive": "5m", "options": OPTIONS},
    ),
    (GENERATE, {"prompt": "Echo 3", "system": "Be brief.", "suffix": "", "raw": False, "options": OPTIONS}),
    ("/api/show", {"model": "scripted", "verbose": True}),
]
SEARCHES: list[Sample] = [
    (
        "/v1/searches",
        {
            "question": "Echo 3", "history": [QUESTION, {"role": "assistant", "content": "15 degrees"}],
            "model": "scripted", "kind": "value", "effort": "low", "mode": "prose", "max_tokens": 99,
            "max_seconds": 9.0, "seed": 1, "readable": True,
        },
    ),
    ("/v1/searches", {"question": "Which?", "choices": ["red", "blue"]}),
    ("/v1/searches", {"question": "3", "schema": SCHEMA}),
]  # fmt: skip


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    """Sends a body to a server without a socket, on a scripted generator."""
    hub = Hub(lambda: nullcontext(InlineWorker(EchoPolicy(echo))), 4, 64)
    app = make_app(hub, ServerSettings(LOCAL))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(_enter(lifespan))
        while hub.state == "loading":
            runner.run(asyncio.sleep(0.01))

        def send(path: str, data: bytes) -> httpx2.Response:
            return runner.run(client.post(path, content=data))

        yield send
        runner.run(lifespan.__aexit__(None, None, None))


async def _enter(lifespan: Any) -> None:
    await lifespan.__aenter__()


@pytest.fixture(scope="module")
def model(random_gguf: Path) -> Iterator[LlamaModel]:
    with opened(random_gguf) as machine:
        yield machine.model


def requests(samples: list[Sample]) -> st.SearchStrategy[bytes]:
    """Lines of a path and a body, of which the body is changed."""

    def changed(sample: Sample) -> st.SearchStrategy[bytes]:
        path, body = sample
        bodies = mutated_json(body).map(encode_json) | mutated_bytes([encode_json(body)])
        return bodies.map(lambda data: path.encode() + b"\n" + data)

    return st.sampled_from(samples).flatmap(changed)


def check_answer(post: Post, request: bytes) -> None:
    path, body = request.split(b"\n", 1)
    found = post(path.decode(), body)
    assert found.status_code in (200, 400, 404, 413), (found.status_code, found.text)
    if found.status_code == 200:
        assert found.content
        return
    error = found.json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert message
    assert "Traceback" not in message


@pytest.mark.parametrize("name", ["tools", "schemas", "samplers", "ollama", "searches"])
def test_bodies_are_answered_or_refused(fuzz: Fuzz, post: Post, name: str) -> None:
    of_name = {
        "tools": TOOLS,
        "schemas": SCHEMAS,
        "samplers": SAMPLERS,
        "ollama": OLLAMAS,
        "searches": SEARCHES,
    }
    samples = of_name[name]
    for path, body in samples:
        found = post(path, encode_json(body))
        assert found.status_code == 200, found.text
    fuzz(f"requests-{name}", 60, requests(samples), lambda data: check_answer(post, data))


def test_a_schema_is_refused_or_llama_cpp_reads_its_grammar(fuzz: Fuzz, model: LlamaModel) -> None:
    """What reads values by it takes any value."""

    def check(data: bytes) -> None:
        try:
            asked, value = json.loads(data)
            schema = inlined(asked)
            Grammar(model, grammar_of_object(schema)).close()
        except (UsageError, RecursionError):  # nested too deeply to be read as a body
            return
        matches(value, schema)
        right = mended(value, schema)
        if isinstance(right, dict):
            key_of(right, schema)
            list(fields_of(right, schema))
            in_order(right, schema)

    Grammar(model, grammar_of_object(inlined(SCHEMA))).close()
    assert matches(mended(VALUE, inlined(SCHEMA)), inlined(SCHEMA))
    pairs = st.tuples(mutated_json(SCHEMA), mutated_json(VALUE)).map(encode_json)
    fuzz("schemas", 60, pairs, check)
