"""A client that goes away, at whatever moment, leaves nothing running."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import httpx2
import pytest
from scripted_server import EchoPolicy, Served, served

from adascale.serve.wire import listener
from bench.inline import WAYS, echo_as_asked


@pytest.fixture
def server() -> Iterator[Served]:
    with served(policy=EchoPolicy(echo_as_asked, pause=0.002), parallel=3) as running:
        yield running


TOOLS, SCHEMA = WAYS["tools"], WAYS["schema"]


def request(path: str = "/v1/chat/completions", **more: object) -> bytes:
    asked = {} if path == "/v1/searches" else {"messages": [{"role": "user", "content": "Say 42"}]}
    body = json.dumps({**asked, **more})
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
        request("/v1/searches", question="Say 42", effort="max"),
        request("/api/chat", think="high"),
        request(reasoning_effort="max", **TOOLS),
        request(reasoning_effort="max", stream=True, **SCHEMA),
    ],
    ids=["whole", "streamed", "log", "ollama", "tools", "schema"],
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


@pytest.mark.slow
def test_idle_connections_keep_nobody_out(server: Served) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    assert int(answer(server, 1000)) // 1000 == 1
    for connected in idle:
        connected.close()


FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from scripted_server import served
with served() as server:
    print(server.url, flush=True)
    input()
"""


@pytest.mark.slow
def test_more_connections_than_files_do_not_end_the_server() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", FEW_FILES], env=env, text=True, **pipes) as process:  # type: ignore[call-overload]
        url = process.stdout.readline().strip()
        port = int(url.rpartition(":")[2])
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        time.sleep(0.5)
        for connected in idle:
            connected.close()
        assert httpx2.get(f"{url}/health", timeout=20).json() == {"status": "ok"}
        time.sleep(1.1)  # asyncio accepts again a second after it ran out of files
        _, said = process.communicate("\n")
        assert (process.returncode, said) == (0, "")


def test_a_new_connection_takes_the_place_of_the_one_that_has_waited_longest(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 2)
    with ExitStack() as opened:
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(2)]
        for each in idle:
            opened.enter_context(each)
            time.sleep(0.05)
        assert int(answer(server, 1000)) // 1000 == 1
        with suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""


def test_the_limit_holds_for_connections_that_come_at_once(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 2)
    server.listener.servers[0].get_loop().call_soon_threadsafe(time.sleep, 0.5)
    with ExitStack() as opened:
        burst = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(8)]
        for each in burst:
            opened.enter_context(each)
        for each in burst[:6]:
            with suppress(ConnectionResetError):
                assert each.recv(1) == b""
        for each in burst[6:]:
            each.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert each.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_connections_of_another_machine_are_bounded(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_OF_A_CLIENT", 2)
    monkeypatch.setattr(listener, "_LOOPBACK", frozenset())
    with ExitStack() as opened:
        for _ in range(2):
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        one_more = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        with suppress(ConnectionResetError):
            assert one_more.recv(1) == b""


def test_a_client_that_does_not_read_is_taken_for_gone(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "WRITE_SECONDS", 0.3)
    server.policy.pause = 0.5
    server.listener.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    # The log repeats the question.
    sent = request("/v1/searches", question="Say 42 " + "x" * 900_000, effort="max")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(sent)
        while not server.policy.running:
            time.sleep(0.005)
        server.wait_until_idle()
    assert server.policy.batches < 10


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
