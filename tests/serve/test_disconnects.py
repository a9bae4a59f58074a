"""A client that goes away, at whatever moment, leaves nothing running."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from scripted_server import EchoPolicy, Served, served

from bench.scripted import WAYS, echo_as_asked


@pytest.fixture
def server() -> Iterator[Served]:
    with served(policy=EchoPolicy(echo_as_asked, pause=0.002), parallel=3) as running:
        yield running


TOOLS, SCHEMA = WAYS["tools"], WAYS["schema"]


def request(path: str = "/v1/chat/completions", **more: object) -> bytes:
    body = json.dumps({"messages": [{"role": "user", "content": "Say 42"}], **more})
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def answer(server: Served, number: int) -> str:
    body = {"messages": [{"role": "user", "content": f"Say {number}"}]}
    found = httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
    return str(found.json()["adascale"]["answer"])


@pytest.mark.parametrize(
    "sent",
    [
        request(reasoning_effort="max"),
        request(reasoning_effort="max", stream=True),
        request("/api/chat", think="high"),
        request(reasoning_effort="max", **TOOLS),
    ],
    ids=["whole", "streamed", "ollama", "tools"],
)
def test_a_search_ends_within_two_batches_of_its_clients_leaving(server: Served, sent: bytes) -> None:
    server.policy.pause = 0.1
    with socket.create_connection(("127.0.0.1", server.port)) as connected:
        connected.sendall(sent)
        while not server.policy.running:
            time.sleep(0.005)
    before = server.policy.batches
    server.wait_until_idle()
    assert server.policy.batches <= before + 2
    assert {problem.id for problem in server.policy.opened} == set(server.policy.closed)


@pytest.mark.slow
def test_whatever_the_moment_nothing_is_left_and_others_get_their_answers(server: Served) -> None:
    rng = random.Random(0)
    ways = ({}, TOOLS, SCHEMA)
    moments = [(rng.random() * 0.2, rng.random() < 0.5, rng.random(), ways[n % 3]) for n in range(100)]

    def leave(moment: tuple[float, bool, float, Mapping[str, Any]]) -> None:
        seconds, streamed, share, way = moment
        data = request(stream=streamed, reasoning_effort="max", **way)
        with socket.create_connection(("127.0.0.1", server.port)) as connected:
            connected.sendall(data[: int(len(data) * share)] if share < 0.2 else data)
            time.sleep(seconds)
            if share > 0.9:  # with data that nobody has read the connection is reset
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(answer, server, 1000 * n) for n in range(1, 5)]
        list(pool.map(leave, moments))
        assert [int(found.result()) // 1000 for found in answers] == [1, 2, 3, 4]
    server.wait_until_idle()
    assert {problem.id for problem in server.policy.opened} == set(server.policy.closed)
    assert int(answer(server, 5000)) // 1000 == 5


def test_a_server_that_is_told_to_stop_lets_its_streams_end() -> None:
    body = {"messages": [{"role": "user", "content": "Say 42"}], "stream": True, "reasoning_effort": "high"}
    with served(policy=EchoPolicy(echo_as_asked, pause=0.002)) as server:
        url = f"{server.url}/v1/chat/completions"
        with httpx2.stream("POST", url, json=body, timeout=30) as response:
            lines = response.iter_lines()
            assert "assistant" in next(lines)
            server.listener.stop()
            rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert json.loads(rest[-2].removeprefix("data: "))["adascale"]["stop_reason"] != "interrupted"
