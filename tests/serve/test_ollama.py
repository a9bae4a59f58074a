"""Ollama's interface: its chat and completion, whole and in lines, and its views of the model."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from scripted_server import Served

from adascale.engine.types import SamplingChange, Turn
from bench.scripted import MODEL

ASKED = {"messages": [{"role": "user", "content": "Say 42"}]}
SOLUTION = "We look at 42.\n\nIt is \\boxed{42}."


def post(server: Served, path: str, **body: Any) -> httpx2.Response:
    return httpx2.post(f"{server.url}/api/{path}", json=body, timeout=20)


def lines(found: httpx2.Response) -> list[dict[str, Any]]:
    assert found.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in found.text.splitlines()]


def test_a_chat_is_streamed_in_lines_of_which_the_last_has_the_counts(server: Served) -> None:
    *parts, last = lines(post(server, "chat", model=f"{MODEL}:latest", **ASKED, options={"seed": 1}))
    thinking = "".join(part["message"].get("thinking", "") for part in parts)
    assert "= 42: " in thinking
    assert "".join(part["message"]["content"] for part in parts) == f"{SOLUTION}\n\nAnswer: 42"
    assert not any(part["done"] for part in parts)
    assert (last["done"], last["done_reason"], last["model"]) == (True, "stop", f"{MODEL}:latest")
    assert last["prompt_eval_count"] == len("Say 42")
    assert last["eval_count"] == last["adascale"]["tokens"] > 0
    assert last["total_duration"] >= last["eval_duration"] >= 0


def test_a_completion_has_its_options_at_either_place(server: Served) -> None:
    numbers = {"temperature": 0, "num_predict": 9, "repeat_penalty": 1.1, "num_ctx": 4096, "stop": "boxed"}
    for body in ({"options": numbers}, numbers):
        found = post(server, "generate", prompt="Say 42", system="Be brief.", stream=False, **body).json()
        assert found["response"] == "We look at 42.\n\nIt is \\"
        assert found["adascale"]["ignored"] == ["num_ctx"]
        assert server.policy.samplers[-1] == SamplingChange(repeat_penalty=1.1, max_tokens=9)
        assert server.policy.opened[-1].history == (Turn("system", "Be brief."),)


@pytest.mark.parametrize("path", ["chat", "generate"])
def test_thinking_is_left_out_where_it_is_not_wanted_and_has_an_effort(server: Served, path: str) -> None:
    asked = {**ASKED, "prompt": "Say 42", "stream": False, "format": "", "keep_alive": -1}

    def think(value: object) -> tuple[bool, int]:
        found = post(server, path, **asked, think=value, options={"seed": 2}).json()
        said = found if path == "generate" else found["message"]
        return "thinking" in said, found["adascale"]["tokens"]

    assert [think(value)[0] for value in (None, True, False)] == [True, True, False]
    # The first four solutions of this seed do not all agree.
    assert think("low")[1] < think("high")[1]


@pytest.mark.parametrize(("path", "said"), [("chat", {"role": "assistant", "content": ""}), ("generate", "")])
def test_a_request_without_a_question_says_that_the_model_is_loaded(
    server: Served, path: str, said: object
) -> None:
    found = post(server, path, model=MODEL, keep_alive="5m").json()
    assert (found["done"], found["done_reason"]) == (True, "load")
    assert found["message" if path == "chat" else "response"] == said


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("chat", {**ASKED, "model": "llama3"}, 404, "there is scripted"),
        ("show", {"model": "llama3"}, 404, "there is scripted"),
        ("chat", {"messages": [{"role": "user", "content": "x", "images": ["aaaa"]}]}, 400, "images"),
        ("chat", {**ASKED, "options": {"think": 3}}, 400, "think: "),
        ("chat", {**ASKED, "options": 7}, 400, "options: "),
        ("generate", {"prompt": "a long one"}, 400, "9,999 tokens, the context has room for 2,048"),
        ("embed", {"input": "x"}, 404, "/api/embed"),
    ],
)
def test_an_error_is_a_text(server: Served, path: str, body: dict[str, Any], status: int, text: str) -> None:
    refused = post(server, path, **body)
    assert (refused.status_code, text in refused.json()["error"]) == (status, True), refused.text
