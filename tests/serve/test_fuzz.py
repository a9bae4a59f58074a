"""Whatever a request says, it gets an answer or a refusal in the shape of one: no 500, no hang."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import MODEL, Served, served

from adascale.serve.chat import CHAT
from adascale.serve.request import EFFORTS, ServedModel

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "user", "system", "assistant", "tool"])},
    optional={"content": st.text(max_size=40) | JSON},
)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from([MODEL, f"{MODEL}:none", f"{MODEL}:low", "other"]),
    "messages": st.lists(MESSAGE, min_size=1, max_size=3),
    "reasoning_effort": st.sampled_from(sorted(EFFORTS)),
    "max_completion_tokens": st.integers(-1, 300),
    "max_tokens": st.integers(1, 300),
    "seed": st.integers(),
    "n": st.integers(0, 20),
    "stop": st.text(max_size=3) | st.lists(st.text(min_size=1, max_size=2), max_size=5),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({}, optional={"include_usage": st.booleans()}),
    "temperature": st.sampled_from([0.5, 1, 1.5]),
    "top_p": st.sampled_from([0.95, 1]),
}
QUESTION = {"messages": st.just([{"role": "user", "content": "Say 42"}]), "reasoning_effort": st.just("none")}
NAMES = sorted(CHAT.fields(ServedModel(MODEL, {}, "medium")).schema["properties"])
ANY = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON, max_size=5)
NEAR = st.fixed_dictionaries({}, optional=LIKELY)
RIGHT = st.fixed_dictionaries(QUESTION, optional={k: v for k, v in LIKELY.items() if k not in QUESTION})


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=20) as opened:
        yield opened


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=RIGHT | NEAR | ANY)
def test_a_body_is_answered_or_refused(server: Served, client: httpx2.Client, body: dict[str, Any]) -> None:
    found = client.post("/v1/chat/completions", json=body)
    assert found.status_code in (200, 400, 404), found.text
    if found.status_code != 200:
        assert found.json()["error"]["message"]
    elif body.get("stream"):
        assert found.text.endswith("data: [DONE]\n\n")
    else:
        assert found.json()["choices"]
    assert server.hub.running == 0


METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
PATHS = st.sampled_from(["health", "metrics", "v1/models", "v1/models/x", "v1/chat/completions", ""])
SAFE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=20)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(method=METHODS, path=PATHS | SAFE, content=st.binary(max_size=60), origin=st.none() | SAFE)
def test_a_request_of_any_kind_is_answered(
    client: httpx2.Client, method: str, path: str, content: bytes, origin: str | None
) -> None:
    headers = {"Origin": origin} if origin else {}
    found = client.request(method, f"/{path.lstrip('/')}", content=content, headers=headers)
    assert found.status_code < 500, (found.status_code, found.text)
