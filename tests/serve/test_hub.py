"""Who is next, and what a request gets when the worker ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from queue import SimpleQueue

import pytest

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.errors import ModelCorruptError
from adascale.engine.request import Request, SearchRequest
from adascale.engine.search.events import Event, SearchFailed, SearchFinished, SearchStarted
from adascale.engine.search.record import Record
from adascale.engine.strategies import Greedy
from adascale.engine.types import Budget, Problem, Usage
from adascale.serve import hub as hub_module
from adascale.serve.http import Refusal
from adascale.serve.hub import Hub, lower
from bench.scripted import OPENED

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

    def cancel(self, problem_id: str) -> None:
        """Note it."""
        self.cancelled.append(problem_id)
        self.ends.put(None)


async def opened(worker: Stepped, parallel: int = 1, max_queue: int = 9, limits: Budget = Budget()) -> Hub:
    @contextmanager
    def open_worker() -> Iterator[Stepped]:
        yield worker

    hub = Hub(open_worker, parallel, max_queue, limits)
    hub.start()
    while hub.state == "loading":
        await asyncio.sleep(0.001)
    return hub


async def log_of(hub: Hub, name: str) -> list[Event]:
    """All events of a search."""
    events = hub.ask(Problem(name, "?"), SEARCH)
    return [event async for event in events if event is not None]


async def search(hub: Hub, name: str) -> Event:
    """The last event of a search."""
    return (await log_of(hub, name))[-1]


async def until_running(hub: Hub, waiting: int) -> None:
    while not (hub._running and len(hub._waiting) == waiting):
        await asyncio.sleep(0.001)


def test_a_search_that_nobody_waits_for_is_cancelled_or_never_begins() -> None:
    async def ask() -> Stepped:
        worker = Stepped()
        hub = await opened(worker, parallel=2)
        searches = [asyncio.ensure_future(search(hub, name)) for name in ("begun", "taken", "waiting")]
        await until_running(hub, waiting=1)
        while not worker.begun:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        for task in reversed(searches):
            task.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
        while hub._running:
            await asyncio.sleep(0.001)
        await hub.close()
        return worker

    worker = asyncio.run(ask())
    assert worker.begun == worker.cancelled == ["begun"]


def test_when_the_worker_ends_all_that_ran_or_waited_fails_and_more_is_refused() -> None:
    async def ask() -> None:
        worker = Stepped()
        hub = await opened(worker)
        searches = [asyncio.ensure_future(log_of(hub, name)) for name in "ab"]
        await until_running(hub, waiting=1)
        worker.ends.put(ModelCorruptError("the file is torn"))
        for log in await asyncio.gather(*searches):
            end = Record.of(log).end
            assert isinstance(end, SearchFailed)
            assert end.notice.message == "the file is torn"
        assert isinstance(hub.error, ModelCorruptError)
        with pytest.raises(Refusal) as caught:
            await search(hub, "c")
        assert (caught.value.status, caught.value.code) == (503, "stopping")
        await hub.close()

    asyncio.run(ask())


def test_a_full_queue_says_when_to_come_again() -> None:
    async def ask() -> Refusal:
        worker = Stepped()
        hub = await opened(worker, max_queue=1)
        searches = [asyncio.ensure_future(search(hub, name)) for name in "ab"]
        await until_running(hub, waiting=1)
        with pytest.raises(Refusal) as caught:
            await search(hub, "c")
        for _ in searches:
            worker.ends.put(None)
        await asyncio.gather(*searches)
        await hub.close()
        return caught.value

    refused = asyncio.run(ask())
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) > 0


def test_a_silent_search_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PATIENCE", 0.02)

    async def ask() -> list[type[Event] | None]:
        worker = Stepped()
        hub = await opened(worker)
        seen: list[type[Event] | None] = []
        async for event in hub.ask(Problem("a", "?"), SEARCH):
            seen.append(None if event is None else type(event))
            if event is None and len(seen) == 2:
                worker.ends.put(None)
        await hub.close()
        return seen

    found = asyncio.run(ask())
    assert found[:2] == [SearchStarted, None]
    assert found[-1] is SearchFinished


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
    async def ask() -> Event | None:
        worker = Stepped()
        hub = await opened(worker, limits=Budget(50, 60.0))
        async with aclosing(hub.ask(Problem("a", "?"), replace(SEARCH, budget=asked))) as events:
            first = await anext(events)
        await hub.close()
        return first

    first = asyncio.run(ask())
    assert isinstance(first, SearchStarted)
    assert first.budget == limits
    assert lower(Budget(), asked) == asked
