"""Schemas of a request: however large they are, no other client waits until they are read or refused."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx2
import pytest
from scripted_server import Served

from adascale.engine.tools.schema import SchemaReader

HI = [{"role": "user", "content": "hi"}]


def with_tools(*schemas: dict[str, Any]) -> dict[str, Any]:
    functions = [{"name": f"f{n}", "parameters": schema} for n, schema in enumerate(schemas)]
    return {"messages": HI, "tools": [{"type": "function", "function": each} for each in functions]}


LEVELS = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 8} for n in range(8)}
BOMB = {"type": "object", "$ref": "#/$defs/d0", "$defs": {**LEVELS, "d8": {}}}
WIDE = {"type": "object", "properties": {f"p{n}": {} for n in range(690)}}
NAMED = {"type": "json_schema", "name": "x", "schema": BOMB}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", with_tools(BOMB)),
        ("/v1/chat/completions", with_tools(*[WIDE] * 128)),
        (
            "/v1/chat/completions",
            {"messages": HI, "response_format": {"type": "json_schema", "json_schema": NAMED}},
        ),
        ("/api/chat", {"messages": HI, "format": BOMB}),
    ],
)
def test_schemas_beyond_all_bounds_are_refused_at_once(
    server: Served, path: str, body: dict[str, Any]
) -> None:
    began = time.process_time()
    refused = httpx2.post(server.url + path, json=body, timeout=20)
    assert (refused.status_code, "schema" in refused.text) == (400, True)
    assert time.process_time() - began < 3.0


def test_others_are_answered_while_schemas_are_read(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    read = SchemaReader.read

    def read_slowly(inliner: SchemaReader, schema: Any) -> Any:
        reading.set()
        go_on.wait(30)
        return read(inliner, schema)

    monkeypatch.setattr(SchemaReader, "read", read_slowly)
    found: list[httpx2.Response] = []
    body = with_tools({"type": "object", "title": "read by no other test"})
    asking = threading.Thread(
        target=lambda: found.append(httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=60))
    )
    asking.start()
    try:
        assert reading.wait(10)
        assert httpx2.get(f"{server.url}/health", timeout=10).json() == {"status": "ok"}
    finally:
        go_on.set()
        asking.join()
    assert found[0].status_code == 200
