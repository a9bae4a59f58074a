"""Lines of an agent that were JSON-RPC once: each gets what the protocol promises, and the next is read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any
from unittest import mock

import pytest
from hypothesis import strategies as st
from mcp_types import JSONRPCRequest, jsonrpc_message_adapter
from scripted_server import EchoPolicy

from adascale.serve.agents.mcp import serve_stdio
from adascale.serve.hub import Hub
from bench.inline import InlineWorker, echo

from .conftest import Fuzz
from .mutations import encode_json, mutated_bytes, mutated_json

Exchange = Callable[[bytes], list[dict[str, Any]]]


def message(id_: int | None, method: str, **params: Any) -> dict[str, Any]:
    named = {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}
    return named if id_ is None else {**named, "id": id_}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return message(7, "tools/call", name=name, arguments=arguments)


INITIALIZE = message(
    1, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "a", "version": "1"}
)
LINES = [
    INITIALIZE,
    message(2, "tools/list"),
    message(3, "ping"),
    message(4, "prompts/get", name="a"),
    message(None, "notifications/cancelled", requestId=3, reason="late"),
    message(None, "notifications/progress", progressToken="a", progress=0.5),
    call("solve", question="Echo 18.", effort="low", budget=90, seed=1),
    call("check", question="Echo 18.", answer="18", effort="low"),
    call("code", question="Square n.", tests=["assert f(2) == 4"], budget=90),
]


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Sends a line, and gives what comes up to the answer of a ping behind it, and that of the line."""
    (stdin, send), (receive, stdout) = os.pipe(), os.pipe()
    hub = Hub(lambda: nullcontext(InlineWorker(EchoPolicy(echo))), 4, 64)
    with (
        open(stdin, encoding="utf-8") as read,
        open(stdout, "w", encoding="utf-8") as write,
        mock.patch.multiple(sys, stdin=read, stdout=write),
        open(send, "wb", buffering=0) as writer,
        open(receive, "rb") as reader,
    ):
        thread = threading.Thread(target=asyncio.run, args=(serve_stdio(hub),), daemon=True)
        thread.start()
        number = 0

        def exchanged(line: bytes, awaited: Any = None) -> list[dict[str, Any]]:
            nonlocal number
            number += 1
            probe = f"probe-{number}"
            writer.write(line + b"\n" + encode_json({**message(0, "ping"), "id": probe}) + b"\n")
            came: list[dict[str, Any]] = []
            open_ids = {probe} if awaited is None else {probe, awaited}
            while open_ids:
                came.append(json.loads(reader.readline()))
                if "method" not in came[-1]:
                    open_ids.discard(came[-1]["id"])
            return came

        exchanged(encode_json(INITIALIZE), 1)
        exchanged(encode_json(message(None, "notifications/initialized")))
        yield exchanged
        writer.close()
        thread.join(10)
    assert not thread.is_alive()


def awaited_id(line: bytes) -> Any:
    """The id of a request; None for a notification, for a response, and for what is no message."""
    try:
        read = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        return None
    return read.id if isinstance(read, JSONRPCRequest) else None


def test_lines_of_an_agent(fuzz: Fuzz, exchange: Any) -> None:
    def check(data: bytes) -> None:
        # One line, in the characters that the transport reads.
        line = data.replace(b"\n", b" ").replace(b"\r", b" ").decode("utf-8", "replace").encode()
        id_ = awaited_id(line)
        came = exchange(line, id_)
        assert all(each["jsonrpc"] == "2.0" for each in came)
        assert "Traceback" not in str(came)

    for line in LINES:
        check(encode_json(line))
    changed = st.sampled_from(LINES).flatmap(mutated_json).map(encode_json)
    fuzz("mcp", 60, changed | mutated_bytes([encode_json(line) for line in LINES]), check)
