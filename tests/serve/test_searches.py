"""What holds of every search of a server, whatever a client asks for."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from scripted_server import EchoPolicy

from adascale.engine.search.events import SearchStarted
from adascale.engine.strategies import Greedy
from adascale.engine.types import Budget, Problem
from adascale.serve.search.hub import Hub
from adascale.serve.search.searches import Ask, Searches
from bench.inline import InlineWorker, echo


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        (Budget(5000, 600.0), Budget(50, 60.0)),
        (Budget(20, 600.0), Budget(20, 60.0)),
        (Budget(5000, 30.0), Budget(50, 30.0)),
        (Budget(), Budget(50, 60.0)),
    ],
)
def test_a_client_may_lower_the_limits_of_the_server_and_never_lift_them(
    asked: Budget, limits: Budget
) -> None:
    assert asyncio.run(limits_of(Budget(50, 60.0), asked)) == limits
    assert asyncio.run(limits_of(Budget(), asked)) == asked


async def limits_of(server: Budget, asked: Budget) -> Budget:
    """Limits of a search, by its first event."""
    hub = Hub(lambda: nullcontext(InlineWorker(EchoPolicy(echo))), parallel=1, max_queue=0)
    hub.start()
    await hub.wait_until_open()
    ask = Ask(Problem("a", "Echo 18."), Greedy(), limits=asked)
    with Searches(hub, server).run(ask) as events:
        first = await anext(events)
    await hub.close()
    assert isinstance(first, SearchStarted)
    return first.budget
