"""Whatever a request says, it gets an answer or a refusal in the shape of one: no 500, no hang."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import httpx2
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import LOCAL, EchoPolicy, Served, served

from adascale.serve.app import BODIES, ServerSettings, make_app
from adascale.serve.hub import Hub
from adascale.serve.openapi import openapi
from bench.inline import InlineWorker, echo

from .from_schema import JSON, from_schema

AT_ONCE = 8
"""Requests that an example sends at the same time."""

APP = make_app(Hub(lambda: nullcontext(InlineWorker(EchoPolicy(echo))), 1, 1), ServerSettings(LOCAL))
DOCUMENT = openapi(APP.routes, BODIES, needs_key=False)
DEFINED = DOCUMENT["components"]["schemas"]
SCHEMAS = {
    path: DEFINED[
        methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
    ]
    for path, methods in DOCUMENT["paths"].items()
    if "post" in methods
}
NAMES = st.sampled_from(sorted({name for schema in SCHEMAS.values() for name in schema["properties"]}))
ANY = st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=5)
USUAL = {
    "messages": [{"role": "user", "content": "Say 42"}],
    "input": "Say 42",
    "question": "Say 42",
    "prompt": "Say 42",
}
"""A question for each protocol."""

EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(parallel=AT_ONCE) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=20) as opened:
        yield opened


def bodies(path: str) -> st.SearchStrategy[Any]:
    """Bodies of a path: allowed, allowed with a question for sure, nearly allowed, and others."""
    allowed = from_schema(SCHEMAS[path], DEFINED)
    question = {name: value for name, value in USUAL.items() if name in SCHEMAS[path]["properties"]}
    nearly = st.builds(lambda body, other: {**body, **other}, allowed, ANY)
    return allowed | allowed.map(lambda body: {**body, **question}) | nearly | JSON


REQUESTS = st.one_of(*(st.tuples(st.just(path), bodies(path)) for path in SCHEMAS))


@pytest.mark.slow
@pytest.mark.timeout(300)  # 20 s of CPU time, and the other cores may be busy
@settings(EXAMPLES, max_examples=250)
@given(requests=st.lists(REQUESTS, min_size=AT_ONCE, max_size=AT_ONCE))
def test_bodies_are_answered_or_refused(
    server: Served, client: httpx2.Client, requests: list[tuple[str, Any]]
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda request: client.post(request[0], json=request[1]), requests))
    for found in answers:
        assert found.status_code in (200, 400, 404), found.text
        if found.status_code != 200:
            error = found.json()["error"]
            assert error if isinstance(error, str) else error["message"]
        elif found.headers["content-type"].startswith("text/event-stream"):
            assert found.text.endswith("\n\n")
        elif "ndjson" in found.headers["content-type"]:
            assert json.loads(found.text.splitlines()[-1])["done"]
        elif found.json().get("done_reason") != "load":
            assert found.json()["adascale"]
    assert server.hub.running == 0


METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
PATHS = st.sampled_from(["/", "/mcp", *DOCUMENT["paths"]])
SAFE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=20)


@pytest.mark.slow
@settings(EXAMPLES, max_examples=200)
@given(method=METHODS, path=PATHS | SAFE, content=st.binary(max_size=60), origin=st.none() | SAFE)
def test_a_request_of_any_kind_is_answered(
    client: httpx2.Client, method: str, path: str, content: bytes, origin: str | None
) -> None:
    headers = {"Origin": origin} if origin else {}
    found = client.request(method, f"/{path.lstrip('/')}", content=content, headers=headers)
    assert found.status_code < 500, (found.status_code, found.text)


def test_the_server_gives_the_document(client: httpx2.Client) -> None:
    assert client.get("/openapi.json").json() == DOCUMENT


def test_the_document_describes_each_path_and_its_errors(client: httpx2.Client) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"]["Error"])
    for schema in DEFINED.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path in SCHEMAS:
        refused = client.post(path, json={"beam_width": 3})
        if not path.startswith("/api/"):
            jsonschema.validate(refused.json(), DOCUMENT["components"]["schemas"]["Error"])
    assert all(operation["summary"] for path in DOCUMENT["paths"].values() for operation in path.values())
    assert {"/health", "/metrics", "/v1/models", "/v1/models/{name}", *SCHEMAS} < DOCUMENT["paths"].keys()
