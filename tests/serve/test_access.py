"""Who may ask, and how much, how deep and how slowly."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from scripted_server import Served, served

from adascale.engine.errors import setting
from adascale.engine.kinds import KINDS
from adascale.engine.search.settings import Conditions
from adascale.engine.types import Notice
from adascale.serve import app
from adascale.serve.wire import http, listener
from adascale.serve.wire.guard import Access

QUESTION = {"messages": [{"role": "user", "content": "Say 42"}], "reasoning_effort": "none"}
KEY = "sesame"


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    with served(Access("127.0.0.1", KEY, ("https://pages.example",))) as running:
        yield running


def post(server: Served, body: object = QUESTION, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"{server.url}/v1/chat/completions", json=body, headers=named, timeout=20)


def raw(server: Served, data: bytes, seconds: float = 20.0) -> bytes:
    """The bytes that the server sends before it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connected:
        connected.sendall(data)
        received = b""
        while part := connected.recv(65536):
            received += part
        return received


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
    assert httpx2.get(f"{locked.url}/metrics").status_code == 401
    assert httpx2.get(f"{locked.url}/health").json() == {"status": "ok"}
    assert post(locked, Authorization=f"Bearer {KEY}").status_code == 200
    assert post(locked, X_API_Key=KEY).status_code == 200
    assert post(locked, X_API_Key="wrong").status_code == 401


def test_the_document_says_which_keys_there_are(server: Served, locked: Served) -> None:
    document = httpx2.get(f"{locked.url}/openapi.json", headers={"X-API-Key": KEY}).json()
    named = {name for way in document["security"] for name in way}
    assert named == document["components"]["securitySchemes"].keys()
    assert "security" not in httpx2.get(f"{server.url}/openapi.json").json()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "",
        "[::1].evil.example",
        "[::1",
        "localhost:evil",
        "evil@localhost",
        "localhost/evil",
    ],
)
def test_another_host_is_refused_against_dns_rebinding(server: Served, host: str) -> None:
    refused = post(server, Host=host)
    assert (refused.status_code, code(refused)) == (403, "host-not-allowed")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8321", "[::1]:8321"])
def test_names_of_loopback_are_this_server(server: Served, host: str) -> None:
    assert post(server, Host=host).status_code == 200


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
    assert httpx2.options(f"{locked.url}/v1/chat/completions", headers=asks).status_code == 200
    asks["Origin"] = "https://evil.example"
    assert httpx2.options(f"{locked.url}/v1/chat/completions", headers=asks).status_code == 400


def test_any_origin_may_ask_where_all_were_let_in() -> None:
    with served(Access("127.0.0.1", origins=("*",))) as server:
        allowed = post(server, Origin="https://pages.example")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "*"
    assert allowed.headers["access-control-expose-headers"] == "Retry-After, Mcp-Session-Id"


def test_a_long_body_is_refused_whether_it_says_so_or_not(server: Served) -> None:
    refused = post(server, {"messages": [{"role": "user", "content": "x" * (2 << 20)}]})
    assert (refused.status_code, code(refused)) == (413, "body-too-long")

    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    refused = httpx2.post(f"{server.url}/v1/chat/completions", content=parts())
    assert (refused.status_code, code(refused)) == (413, "body-too-long")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"3",
        b'{"a": NaN}',
        b'{"metadata": {"a": -1e999}}',
        b'{"a": ' * 5000 + b"1" + b"}" * 5000,
        b"[" * 100_000,
        b'{"messages": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=range(10),
)
def test_what_is_no_json_object_is_refused(server: Served, body: bytes) -> None:
    refused = httpx2.post(f"{server.url}/v1/chat/completions", content=body)
    assert (refused.status_code, code(refused)) == (400, "invalid-json")


def test_half_a_surrogate_pair_becomes_a_question_mark(server: Served) -> None:
    body = b'{"messages": [{"role": "user", "content": "Say 7 \\ud800, \\ud83d\\ude00"}]}'
    assert httpx2.post(f"{server.url}/v1/chat/completions", content=body).status_code == 200
    assert server.policy.opened[-1].question == "Say 7 ?, \N{GRINNING FACE}"


def test_a_long_name_of_a_model_is_not_repeated(server: Served) -> None:
    refused = post(server, {**QUESTION, "model": "x" * 500_000})
    assert (refused.status_code, code(refused)) == (404, "model-not-found")
    assert len(refused.content) < 1000


def test_warnings_of_files_of_this_machine_are_not_for_clients() -> None:
    private = Notice("calibration-unreadable", "/home/me/mine.safetensors was changed")
    public = Notice("no-gpu-build", f"{setting('gpu_layers', 99)} has no effect")
    with served() as server:
        worker = server.hub.worker
        models = worker.open_models.conditions["value"].models
        conditions = dict.fromkeys(KINDS, Conditions(models, (private, public)))
        worker.open_models = replace(worker.open_models, conditions=conditions)
        assert post(server).json()["adascale"]["warnings"] == ["the server's gpu_layers = 99 has no effect"]


def test_unknown_paths_and_methods_have_the_shape_of_an_error(server: Served) -> None:
    found = httpx2.get(f"{server.url}/v1/nothing")
    assert (found.status_code, code(found)) == (404, "not-found")
    found = httpx2.get(f"{server.url}/v1/chat/completions")
    assert (found.status_code, code(found)) == (405, "method-not-allowed")


def test_long_heads_and_bad_ones_are_refused(server: Served) -> None:
    assert b" 400 " in raw(server, b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000)
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + b"y" * 100_000
    assert b" 431 " in raw(server, head + b"\r\n\r\n")  # in one piece, which the HTTP parser takes
    assert b" 400 " in raw(server, b"\x16\x03\x01\x02\x00\x01\r\n\r\n")


@pytest.mark.parametrize("head", [b"", b"POST /v1/chat", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(
    server: Served, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.2)
    assert raw(server, head) == b""


@pytest.mark.slow
def test_half_a_second_head_on_a_kept_connection_ends_it_too(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.2)
    received = raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
    assert received.count(b"HTTP/1.1 200") == 1


def test_a_body_that_nobody_reads_does_not_keep_a_connection(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is there before the body: a byte of it must not stop every clock."""
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.2)
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connected:
        connected.sendall(head)
        assert b" 200 " in connected.recv(65_536)
        connected.sendall(b"x")
        while connected.recv(65_536):  # TimeoutError where it stays open
            pass


def test_a_body_that_does_not_come_is_refused(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.2)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"
    assert b"body-too-slow" in raw(server, head)


def test_metrics_count_responses_and_searches(server: Served) -> None:
    post(server)
    httpx2.get(f"{server.url}/v1/nothing")
    text = httpx2.get(f"{server.url}/metrics").text
    assert 'adascale_requests_total{status="200"}' in text
    assert 'adascale_requests_total{status="404"}' in text
    assert 'adascale_searches_total{stop_reason="exhausted"}' in text
    assert "adascale_searches_running 0.0" in text


def test_metrics_count_what_the_guard_and_cors_answer(locked: Served) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    post(locked)
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    httpx2.options(f"{locked.url}/v1/chat/completions", headers=preflight)
    text = httpx2.get(f"{locked.url}/metrics", headers=key).text
    for status in (400, 401):
        assert f'adascale_requests_total{{status="{status}"}}' in text


def test_an_unexpected_error_is_a_500_that_says_no_more_and_is_counted(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(body: bytes) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(app, "read_object", fail)
    failed = post(server)
    assert (failed.status_code, code(failed)) == (500, "unexpected")
    assert "secret" not in failed.text
    assert 'adascale_requests_total{status="500"} 1.0' in httpx2.get(f"{server.url}/metrics").text
