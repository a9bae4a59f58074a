"""The tools at /mcp, by a client session of the official SDK, on a scripted generator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from scripted_server import EchoPolicy, Served, echo, served, steady

from adascale.serve import app

MODES = ("legacy", "auto")
"""Clients that shake hands and have a session, and those of the protocol's version of 2026."""

MANY_TESTS = "\n".join([f"def x(): return '{'x' * 4096}'", *(f"assert f({n}) == x()" for n in range(300))])
"""Short, but each test is read with all that stands around it."""


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(policy=EchoPolicy(steady)) as running:
        yield running


def test_without_its_package_a_server_has_no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with served() as running:
        assert running.post("/mcp", content=b"{}").status_code == 404
        assert running.ask()["choices"]


def with_client(server: Served, mode: str, talk: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Client(f"{server.url}/mcp", mode=mode) as client:
            await talk(client)

    asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_a_question_is_solved_with_progress_and_structured_content(server: Served, mode: str) -> None:
    async def talk(client: Client) -> None:
        [solve, *others] = (await client.list_tools()).tools
        assert [tool.name for tool in (solve, *others)] == ["solve", "code"]
        assert "\n    " not in (solve.description or "")
        assert solve.output_schema is not None
        assert solve.output_schema["properties"]["probability"]["description"]
        steps: list[float] = []
        messages: list[str] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            steps.append(progress)
            messages.append(message or "")

        arguments = {"question": "Echo 18.", "effort": "low", "seed": 7}
        found = await client.call_tool("solve", arguments, progress_callback=on_progress)
        result = found.structured_content
        assert result is not None
        assert (result["answer"], result["probability"], result["seed"]) == ("18", None, 7)
        assert result["votes"]["agree"] <= result["votes"]["finished"]
        assert steps == sorted(set(steps))
        assert any("We look at 18." in message for message in messages)

    with_client(server, mode, talk)


@pytest.mark.parametrize(
    ("tool", "arguments", "error"),
    [
        ("solve", {"question": "  "}, "the question is empty"),
        ("solve", {"question": "A long one"}, "9,999 tokens"),
        ("solve", {"question": "Which?", "choices": ["a"]}, "choices = red,green,blue"),
        ("code", {"question": "Square n.", "tests": ["f = 2"]}, "write tests = assert f(2) == 4"),
        ("code", {"question": "Square n.", "tests": [MANY_TESTS]}, "each with the code around it"),
        ("code", {"question": "Square n.", "tests": ["assert f(1)\n" * 9000]}, "and may have 65,536"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_the_agent_reads(
    server: Served, tool: str, arguments: dict[str, Any], error: str
) -> None:
    async def talk(client: Client) -> None:
        found = await client.call_tool(tool, arguments)
        assert found.is_error
        assert error in found.content[0].text  # type: ignore[union-attr]
        assert "Traceback" not in found.content[0].text  # type: ignore[union-attr]

    with_client(server, "auto", talk)


@pytest.mark.parametrize("mode", MODES)
def test_a_cancelled_call_ends_its_search(mode: str) -> None:
    policy = EchoPolicy(echo, pause=0.02)

    async def talk(client: Client) -> None:
        call = asyncio.create_task(client.call_tool("solve", {"question": "Echo 18.", "effort": "max"}))
        while not server.hub._running:
            await asyncio.sleep(0.01)
        call.cancel()
        before = policy.batches
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(server.wait_until_idle)
        assert policy.batches < before + 200

    with served(policy=policy) as server:
        with_client(server, mode, talk)
        assert len(policy.closed) == 1


def test_a_client_that_shook_hands_and_goes_away_ends_its_search() -> None:
    policy = EchoPolicy(echo, pause=0.05)
    told = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    asked = {"name": "solve", "arguments": {"question": "Echo 18.", "effort": "max"}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    with served(policy=policy) as server, httpx2.Client(base_url=server.url, headers=headers) as client:
        begun = client.post("/mcp", json=message("initialize", told, id=1))
        client.headers["Mcp-Session-Id"] = begun.headers["Mcp-Session-Id"]
        client.post("/mcp", json=message("notifications/initialized", {}))
        with client.stream("POST", "/mcp", json=message("tools/call", asked, id=2)):
            while not policy.running:
                time.sleep(0.005)
        before = policy.batches
        server.wait_until_idle()
        assert policy.batches < before + 20


def message(method: str, params: dict[str, Any], **id_: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params, **id_}


def test_a_connected_client_does_not_hold_up_the_end_of_the_server() -> None:
    async def talk(client: Client) -> None:
        await client.list_tools()
        server.listener.should_exit = True
        async with asyncio.timeout(5):
            while server.hub.state != "ended":
                await asyncio.sleep(0.01)

    with served(policy=EchoPolicy(steady)) as server:
        with_client(server, "legacy", talk)
