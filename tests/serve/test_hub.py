"""Who is next, what a request gets when the worker ends, and what is left of clients that go away."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import httpx2
import pytest
from scripted_server import (
    CHAT,
    OLLAMA,
    OPENED,
    WAYS,
    EchoPolicy,
    Served,
    chunks_of,
    echo,
    echo_as_asked,
    say,
    served,
)

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.errors import ModelCorruptError
from adascale.engine.request import Request, SearchRequest
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted
from adascale.engine.strategies import Greedy
from adascale.engine.types import Budget, Problem, Usage
from adascale.serve import http
from adascale.serve.http import Refusal
from adascale.serve.hub import Hub, lower

SEARCH = SearchRequest(strategy=Greedy())
END = SearchFinished(result=SearchResult("18", None, (), None), usage=Usage())


class Stepped:
    """A worker that ends a search when the test says so."""

    def __init__(self) -> None:
        self.open_models = OPENED
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.ends: SimpleQueue[BaseException | None] = SimpleQueue()

    def serve(self, requests: Iterable[Request]) -> Iterator[tuple[Problem, Event]]:
        """One after the other."""
        for request in requests:
            self.begun.append(request.problem.id)
            yield request.problem, request.settings.first_event(request.problem)
            if (error := self.ends.get(timeout=10)) is not None:
                raise error
            yield request.problem, END

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """Note it."""
        self.cancelled.append(problem_id)
        self.ends.put(None)


@asynccontextmanager
async def opened(
    worker: Stepped, parallel: int = 1, max_queue: int = 9, limits: Budget = Budget()
) -> AsyncGenerator[Hub, None]:
    @contextmanager
    def open_worker() -> Iterator[Stepped]:
        yield worker

    hub = Hub(open_worker, parallel, max_queue, limits)
    hub.start()
    await until(lambda: hub.state != "loading")
    yield hub
    await hub.close()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


async def log_of(hub: Hub, name: str) -> list[Event]:
    """All events of a search."""
    events = hub.ask(Problem(name, "?"), SEARCH)
    return [event async for event in events]


async def searches(hub: Hub, *names: str) -> list[asyncio.Task[list[Event]]]:
    """Searches of which one waits."""
    tasks = [asyncio.create_task(log_of(hub, name)) for name in names]
    await until(lambda: bool(hub._running) and hub._waiting == 1)
    return tasks


def test_a_search_that_nobody_waits_for_is_cancelled_or_never_begins() -> None:
    worker = Stepped()

    async def run() -> None:
        async with opened(worker, parallel=2) as hub:
            tasks = await searches(hub, "begun", "taken", "waiting")
            await until(lambda: bool(worker.begun))
            await asyncio.sleep(0.05)
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: not hub._running)

    asyncio.run(run())
    assert worker.begun == ["begun", "taken"]
    assert {*worker.cancelled} == {*worker.begun}


def test_when_the_worker_ends_all_that_ran_or_waited_fails_and_more_is_refused() -> None:
    async def run() -> None:
        worker = Stepped()
        async with opened(worker) as hub:
            tasks = await searches(hub, "a", "b")
            worker.ends.put(ModelCorruptError("the file is torn"))
            ended, refused = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(ended, list)
            assert isinstance(ended[-1], SearchFailed)
            assert ended[-1].notice.message == "the file is torn"
            assert isinstance(refused, Refusal)
            assert refused.message == "the file is torn"
            assert isinstance(hub.error, ModelCorruptError)
            with pytest.raises(Refusal) as caught:
                await log_of(hub, "c")
            assert caught.value.message == "the file is torn"

    asyncio.run(run())


def test_a_full_queue_says_when_to_come_again() -> None:
    async def run() -> None:
        worker = Stepped()
        async with opened(worker, max_queue=1) as hub:
            tasks = await searches(hub, "a", "b")
            with pytest.raises(Refusal) as caught:
                await log_of(hub, "c")
            assert (caught.value.status, int(caught.value.headers["Retry-After"]) > 0) == (429, True)
            for _ in tasks:
                worker.ends.put(None)
            await asyncio.gather(*tasks)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        (Budget(5000, 600.0), Budget(50, 60.0)),
        (Budget(20, 30.0), Budget(20, 30.0)),
        (Budget(), Budget(50, 60.0)),
    ],
)
def test_a_client_may_lower_the_limits_of_the_server_and_never_lift_them(
    asked: Budget, limits: Budget
) -> None:
    async def run() -> Event | None:
        async with (
            opened(Stepped(), limits=Budget(50, 60.0)) as hub,
            aclosing(hub.ask(Problem("a", "?"), replace(SEARCH, budget=asked))) as events,
        ):
            return await anext(events)

    first = asyncio.run(run())
    assert isinstance(first, SearchStarted)
    assert first.budget == limits
    assert lower(Budget(), asked) == asked


@pytest.fixture
def server() -> Iterator[Served]:
    with served(policy=EchoPolicy(echo_as_asked, pause=0.002), parallel=3) as running:
        yield running


TOOLS, SCHEMA = WAYS["tools"], WAYS["schema"]


def request(path: str = CHAT, **more: object) -> bytes:
    body = json.dumps({"messages": [say("Say 42")], **more})
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def all_are_closed(server: Served) -> bool:
    server.wait_until_idle()
    return {problem.id for problem in server.policy.opened} == set(server.policy.closed)


@pytest.mark.parametrize(
    "sent",
    [
        request(reasoning_effort="max"),
        request(reasoning_effort="max", stream=True),
        request(OLLAMA, think="high"),
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
    assert all_are_closed(server)
    assert server.policy.batches <= before + 2


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
        answers = [pool.submit(said, server, 3 * n) for n in range(1, 5)]
        list(pool.map(leave, moments))
        assert [found.result() // 3000 for found in answers] == [1, 2, 3, 4]
    assert all_are_closed(server)
    assert said(server, 15) // 3000 == 5


def said(server: Served, number: int) -> int:
    """The number that comes back: in words, as an argument of a call, or as a field of an object."""
    way = list(WAYS)[number % 3]
    asked = {"messages": [say(f"Say {1000 * number}")], "seed": number, **WAYS[way]}
    whole = server.stream(**asked) if number % 2 == 0 else [server.ask(**asked)]
    parts = [
        choice.get("delta") or choice.get("message") or {} for each in whole for choice in each["choices"]
    ]
    if way == "tools":
        [call] = [call for part in parts for call in part.get("tool_calls", ())]
        return int(json.loads(call["function"]["arguments"])["number"])
    content = "".join(part.get("content") or "" for part in parts)
    return int(json.loads(content)["number"] if way == "schema" else whole[-1]["adascale"]["answer"])


def lines_after_stop(server: Served) -> list[str]:
    """Lines of a stream behind its first one, at which the server is told to stop."""
    body = {"messages": [say("Say 42")], "stream": True, "reasoning_effort": "high"}
    with httpx2.stream("POST", server.url + CHAT, json=body, timeout=30) as response:
        lines = response.iter_lines()
        assert "assistant" in next(lines)
        server.listener.should_exit = True
        return [line for line in lines if line]


def test_a_server_that_is_told_to_stop_lets_its_streams_end(server: Served) -> None:
    rest = lines_after_stop(server)
    assert rest[-1] == "data: [DONE]"
    assert chunks_of(rest[-2])[0]["adascale"]["stop_reason"] != "interrupted"


def test_a_stream_that_is_still_too_slow_gets_an_error_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http, "DRAIN_SECONDS", 0.2)
    with served(policy=EchoPolicy(echo, pause=0.5)) as server:
        rest = lines_after_stop(server)
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "stopping"
    assert caplog.records == []
