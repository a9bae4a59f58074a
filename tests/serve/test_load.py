"""Many clients at once, with questions, tools and schemas: no answer is lost, and none is another's."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from scripted_server import EchoPolicy, served

from bench.scripted import WAYS, echo_as_asked

CLIENTS, REQUESTS = 32, 200


def said(client: httpx2.Client, number: int) -> Any:
    """The number that comes back: in words, as an argument of a call, or as a field of an object."""
    way = list(WAYS)[number % 3]
    message = {"role": "user", "content": f"Say {1000 * number}"}
    body = {"messages": [message], "seed": number, "stream": number % 2 == 0, **WAYS[way]}
    found = client.post("/v1/chat/completions", json=body)
    assert found.status_code == 200, found.text
    if body["stream"]:
        chunks = [json.loads(line[6:]) for line in found.text.splitlines() if line.startswith("data: {")]
        parts = [each["choices"][0]["delta"] for each in chunks]
        answer = chunks[-1]["adascale"]["answer"]
    else:
        parts, answer = [found.json()["choices"][0]["message"]], found.json()["adascale"]["answer"]
    if way == "tools":
        [call] = [call for part in parts for call in part.get("tool_calls", ())]
        return json.loads(call["function"]["arguments"])["number"]
    content = "".join(part.get("content") or "" for part in parts)
    return json.loads(content)["number"] if way == "schema" else int(answer)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_answer_is_lost_or_another_clients() -> None:
    with (
        served(
            policy=EchoPolicy(echo_as_asked, pause=0.002, slots=32), parallel=16, max_queue=CLIENTS
        ) as server,
        httpx2.Client(
            base_url=server.url, timeout=120, limits=httpx2.Limits(max_connections=CLIENTS)
        ) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        found = list(pool.map(lambda number: said(client, number), range(1, REQUESTS + 1)))
        server.wait_until_idle()
    assert [each // 1000 for each in found] == list(range(1, REQUESTS + 1))
    assert {each.id for each in server.policy.opened} == set(server.policy.closed)
