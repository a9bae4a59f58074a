"""The document of the interface; and a request of any kind, on its paths and others, gets an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import httpx2
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import LOCAL, EchoPolicy, Served

from adascale.serve.app import BODIES, ServerSettings, make_app
from adascale.serve.hub import Hub
from adascale.serve.openapi import openapi
from bench.inline import InlineWorker, echo

APP = make_app(Hub(lambda: nullcontext(InlineWorker(EchoPolicy(echo))), 1, 1), ServerSettings(LOCAL))
DOCUMENT = openapi(APP.routes, BODIES, needs_key=False)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
PATHS = st.sampled_from(["/", "/mcp", *DOCUMENT["paths"]])
SAFE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=20)


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=20) as opened:
        yield opened


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=200)
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
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path in BODIES:
        [media] = DOCUMENT["paths"][path]["post"]["requestBody"]["content"].values()
        assert media["schema"]["$ref"].rpartition("/")[2] in schemas
        refused = client.post(path, json={"beam_width": 3})
        if not path.startswith("/api/"):
            jsonschema.validate(refused.json(), schemas["Error"])
    assert all(operation["summary"] for path in DOCUMENT["paths"].values() for operation in path.values())
    assert {"/health", "/metrics", "/v1/models", "/v1/models/{name}", *BODIES} < DOCUMENT["paths"].keys()
