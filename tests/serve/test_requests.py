"""Bodies of requests: what they ask for, and how they are refused."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from scripted_server import Served

from adascale.engine.search.events import GeneratorDescription
from adascale.engine.types import AS_USUAL, SamplingChange
from adascale.serve.request import public_name

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
COMPLETIONS = "/v1/completions"
USUAL = {
    COMPLETIONS: {"prompt": "Say 42"},
    CHAT: {"messages": [{"role": "user", "content": "Say 42"}]},
    MESSAGES: {"messages": [{"role": "user", "content": "Say 42"}]},
    RESPONSES: {"input": "Say 42"},
}
IMAGE = [{"type": "image_url", "image_url": {"url": "x"}}]


def post(server: Served, path: str, **body: Any) -> httpx2.Response:
    return httpx2.post(server.url + path, json={**USUAL[path], **body}, timeout=20)


def say(text: object, role: str = "user") -> list[dict[str, object]]:
    return [{"role": role, "content": text}]


def summary(server: Served, **body: Any) -> dict[str, Any]:
    """The ``adascale`` object of a chat completion."""
    found: dict[str, Any] = post(server, CHAT, **body).json()["adascale"]
    return found


@pytest.mark.parametrize(
    ("path", "body", "param", "text"),
    [
        (CHAT, {"model": "scriptid"}, "model", "there is scripted"),
        (CHAT, {"messages": say("x", "critic")}, "messages[0].role", "'assistant'"),
        (CHAT, {"messages": say(" ")}, "messages[0].content", "is empty"),
        (
            CHAT,
            {"messages": say(IMAGE)},
            "messages[0].content[0].type",
            "only text",
        ),
        (CHAT, {"top_p": 1.5}, "top_p", "1"),
        (CHAT, {"logit_bias": {"yes": 5}}, "logit_bias", "ids of tokens"),
        (CHAT, {"tools": [{"type": "function"}]}, "tools[0].function", ""),
        (CHAT, {"tool_choice": "required"}, "tool_choice", "there is no such tool"),
        (CHAT, {"reasoning_effort": "huge"}, "reasoning_effort", "'medium'"),
        (CHAT, {"top_logprobs": 2}, "top_logprobs", "logprobs: true"),
        (COMPLETIONS, {"prompt": ["a", "b"]}, "prompt", ""),
        (CHAT, {"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
        (RESPONSES, {"input": " "}, "input[0].content", "is empty"),
        (RESPONSES, {"input": [{"type": "function_call"}]}, "input", "the result of a call"),
        (RESPONSES, {"previous_response_id": "resp_1"}, "previous_response_id", ""),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(
    server: Served, path: str, body: dict[str, Any], param: str, text: str
) -> None:
    refused = post(server, path, **body)
    assert refused.status_code == (404 if param == "model" else 400)
    error = refused.json()["error"]
    assert (error["param"], text in error["message"]) == (param, True), error


def test_fields_without_effect_are_ignored_and_named(server: Served) -> None:
    more = {"options": {"num_ctx": 4096}, "keep_alive": "5m"}
    nothing = {"frequency_penalty": 0, "logit_bias": {}, "logprobs": False, "beam_width": None, "user": "me"}
    sampler = {"temperature": 0.5, "top_p": 0.95, "min_p": 0}
    found = summary(server, seed=1, **sampler, **more, **nothing)
    assert sorted(found["ignored"]) == ["keep_alive", "options", "user"]
    assert found["sampling"] == {"temperature": 0.5, "top_p": 0.95}
    assert found["groups"] == summary(server, seed=1)["groups"]


@pytest.mark.parametrize(
    ("body", "is_searched", "is_chat"),
    [
        ({}, True, False),
        ({"reasoning_effort": "minimal"}, False, False),
        ({"messages": say("Say something kind.")}, False, True),
        ({"model": "scripted:chat"}, False, True),
        ({"messages": say("Say something kind."), "reasoning_effort": "low"}, True, False),
        ({"temperature": 0}, False, False),
        ({"temperature": 0, "reasoning_effort": "low"}, True, False),
    ],
)
def test_model_effort_temperature_and_message_decide_whether_to_search(
    server: Served, body: dict[str, Any], is_searched: bool, is_chat: bool
) -> None:
    found = summary(server, seed=1, **body)
    assert (found["votes"]["finished"] > 1, server.policy.opened[-1].is_chat) == (is_searched, is_chat)
    if "temperature" in body:
        assert found["sampling"]["temperature"] == (0.5 if is_searched else 0)
        assert found["ignored"] == (["temperature"] if is_searched else [])


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, AS_USUAL),
        ({"temperature": 0.5, "top_p": 0.95, "presence_penalty": 0, "logit_bias": {}}, AS_USUAL),
        ({"temperature": 1.2, "top_k": -1}, SamplingChange(temperature=1.2)),
        ({"temperature": 0, "top_p": 0.5, "max_tokens": 9}, SamplingChange(max_tokens=9)),
        ({"messages": say("hi"), "max_tokens": 9}, SamplingChange(max_tokens=9)),
        ({"repetition_penalty": 1.1}, SamplingChange(repeat_penalty=1.1)),
        (
            {"reasoning_effort": "none", "temperature": 0.7, "logit_bias": {"5": -2}},
            SamplingChange(temperature=0.7, logit_bias=((5, -2.0),)),
        ),
    ],
)
def test_the_sampler_of_a_request_is_the_one_that_draws(
    server: Served, body: dict[str, Any], asked: SamplingChange
) -> None:
    found = summary(server, seed=1, **body)
    assert server.policy.samplers[-1] == asked
    assert found["ignored"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"reasoning_effort": "max", "max_completion_tokens": 100}),
        (RESPONSES, {"reasoning": {"effort": "max"}, "max_output_tokens": 100}),
        (MESSAGES, {"output_config": {"effort": "max"}, "max_tokens": 100}),
    ],
)
def test_an_effort_and_a_limit_of_tokens_hold_in_every_protocol(
    server: Served, path: str, body: dict[str, Any]
) -> None:
    found = post(server, path, **body).json()["adascale"]
    assert found["stop_reason"] == "budget"
    assert 100 <= found["tokens"] < 200


@pytest.mark.parametrize(
    ("name", "file", "public"),
    [
        ("qwen3:1.7b", "sha256-ab", "qwen3:1.7b"),
        ("/home/me/x/qwen.GGUF", "qwen.GGUF", "qwen.GGUF"),
        ("/home/me/.ollama/models/blobs/sha256-ab", "sha256-ab", "sha256-ab"),
    ],
)
def test_the_name_of_a_model_says_no_folder(name: str, file: str, public: str) -> None:
    assert public_name(GeneratorDescription(name, file)) == public
