"""Who may ask, and how much and how deep."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from scripted_server import CHAT, MESSAGES, OLLAMA, Served, say, served

from adascale.serve import app
from adascale.serve.http import Access

KEY = "sesame"


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    with served(Access("127.0.0.1", KEY, ("https://pages.example",))) as running:
        yield running


def post(server: Served, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post(headers=named, reasoning_effort="none")


def code(response: httpx2.Response) -> str:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["code"])


def test_a_key_is_wanted_for_everything_but_health(locked: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}):
        refused = post(locked, **headers)
        assert (refused.status_code, code(refused)) == (401, "invalid-api-key")
        assert refused.json()["error"]["type"] == "authentication_error"
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert KEY not in refused.text
    assert httpx2.get(f"{locked.url}/v1/models").status_code == 401
    found = locked.post(MESSAGES).json()
    assert (found["type"], found["error"]["type"]) == ("error", "authentication_error")
    assert isinstance(locked.post(OLLAMA).json()["error"], str)
    assert httpx2.get(f"{locked.url}/health").json() == {"status": "ok"}
    assert post(locked, Authorization=f"Bearer {KEY}").status_code == 200
    assert post(locked, X_API_Key=KEY).status_code == 200
    assert post(locked, X_API_Key="wrong").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:8321", 400),
        ("127.0.0.1.evil.example", 400),
        ("[::1].evil.example", 400),
        ("LOCALHOST:1", 200),
        ("[::1]:8321", 200),
    ],
)
def test_another_host_is_refused_against_dns_rebinding(server: Served, host: str, status: int) -> None:
    answer = post(server, Host=host)
    assert answer.status_code == status
    assert status == 200 or code(answer) == "host-not-allowed"


def test_scripts_of_other_pages_may_not_ask(server: Served, locked: Served) -> None:
    refused = post(server, Origin="https://evil.example")
    assert (refused.status_code, code(refused)) == (403, "origin-not-allowed")
    assert "access-control-allow-origin" not in refused.headers
    assert post(server, Origin="null").status_code == 403
    assert post(server, Origin=server.url).status_code == 200
    behind_a_proxy = post(locked, Origin="https://ai.example", Authorization=f"Bearer {KEY}")
    assert behind_a_proxy.status_code == 200
    assert "access-control-allow-origin" not in behind_a_proxy.headers
    allowed = post(locked, Origin="https://pages.example", Authorization=f"Bearer {KEY}")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://pages.example"
    asks = {
        "Origin": "https://pages.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
    }
    assert httpx2.options(locked.url + CHAT, headers=asks).status_code == 200
    asks["Origin"] = "https://evil.example"
    assert httpx2.options(locked.url + CHAT, headers=asks).status_code == 400


def test_a_long_body_is_refused_whether_it_says_so_or_not(server: Served) -> None:
    refused = server.post(messages=[say("x" * (2 << 20))])
    assert (refused.status_code, code(refused)) == (413, "body-too-long")

    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    refused = server.post(content=parts())
    assert (refused.status_code, code(refused)) == (413, "body-too-long")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"messages": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=range(6),
)
def test_what_is_no_json_object_is_refused(server: Served, body: bytes) -> None:
    refused = server.post(content=body)
    assert (refused.status_code, code(refused)) == (400, "invalid-json")


def test_unknown_paths_and_methods_have_the_shape_of_an_error(server: Served) -> None:
    for path, wanted in (("/v1/nothing", (404, "not-found")), (CHAT, (405, "method-not-allowed"))):
        found = httpx2.get(server.url + path)
        assert (found.status_code, code(found)) == wanted


def test_an_unexpected_error_is_a_500_that_says_no_more(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(app, "read_object", fail)
    failed = post(server)
    assert (failed.status_code, code(failed)) == (500, "unexpected")
    assert "secret" not in failed.text
