"""Bodies that were whole once: each is answered, or refused in the shape of its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from scripted_server import CHAT, MESSAGES, OLLAMA, RESPONSES, Served, say, served

from adascale.serve.app import PROTOCOLS

from .mutations import FEW, encode_json, mutated_bytes, mutated_json

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
QUESTION = say("What is it like in 2 days?")
NAME = "get_weather"
FUNCTION = {"name": NAME, "description": "Of a city.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "c1", "type": "function", "function": {"name": NAME, "arguments": '{"city": "Rome"}'}}
TALK = [
    QUESTION,
    say(None, "assistant", tool_calls=[CALL]),
    say("15 degrees", "tool", tool_call_id="c1", tool_name=NAME),
]
ANTHROPIC_TALK = [
    QUESTION,
    say([{"type": "tool_use", "id": "c1", "name": NAME, "input": {"a": 1}}], "assistant"),
    say([{"type": "tool_result", "tool_use_id": "c1", "content": "15 degrees"}]),
]
RESPONSES_TALK = [
    QUESTION,
    {"type": "function_call", "call_id": "c1", "name": NAME, "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "15 degrees"},
]
FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
FLAT = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
SAMPLER = {
    "temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1,
    "presence_penalty": 0.5, "seed": 1, "stream": False,
}  # fmt: skip
FORCED = {"type": "function", "function": {"name": NAME}}
CLAUDE = {"messages": ANTHROPIC_TALK, "tools": [{"name": NAME, "input_schema": SCHEMA}]}
OPTIONS = {"temperature": 0.5, "seed": 1, "num_predict": 9, "stop": ["x"], "top_k": 40, "repeat_penalty": 1.1}
SAMPLES: list[tuple[str, Any]] = [
    (CHAT, {"messages": TALK, "tools": [TOOL], "tool_choice": FORCED, "parallel_tool_calls": False}),
    (CHAT, {"messages": [QUESTION], "response_format": FORM, "n": 1, "stop": ["x"], **SAMPLER}),
    (MESSAGES, {"max_tokens": 9, **CLAUDE, "tool_choice": {"type": "any"}}),
    (MESSAGES, {"max_tokens": 9, "messages": [QUESTION], "output_config": FLAT, "stop_sequences": ["x"]}),
    (RESPONSES, {"input": RESPONSES_TALK, "tools": [{"type": "function", **FUNCTION}], **SAMPLER}),
    (RESPONSES, {"input": "3", "text": FLAT, "max_output_tokens": 99}),
    (OLLAMA, {"messages": TALK, "tools": [TOOL], "think": "low", "options": OPTIONS}),
    ("/api/show", {"model": "scripted", "verbose": True}),
]
"""Paths and bodies that are answered."""


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def test_every_protocol_has_a_sample() -> None:
    assert {path for path, _ in SAMPLES} >= {writer.path for _, writer in PROTOCOLS}


@pytest.mark.parametrize(("path", "body"), SAMPLES, ids=[str(n) for n in range(len(SAMPLES))])
def test_bodies_are_answered_or_refused(server: Served, path: str, body: Any) -> None:
    whole = server.post(path, content=encode_json(body))
    assert whole.status_code == 200, whole.text

    @FEW
    @given(mutated_json(body).map(encode_json) | mutated_bytes([encode_json(body)]))
    def check(data: bytes) -> None:
        found = server.post(path, content=data)
        assert found.status_code in (200, 400, 404, 413), (found.status_code, found.text)
        if found.status_code != 200:
            error = found.json()["error"]
            assert error if isinstance(error, str) else error["message"]

    check()
