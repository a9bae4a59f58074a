"""Leaks of a server: thousands of requests of every kind, some of whose clients go away.

Usage: ``python -m bench.runtime.soak_serve [--model tiny] [--requests 5000] [--clients 4] [--seed 1]``

The server is a process with a worker of its own; ``tiny`` is the model of the tests. One after another come
all kinds of ``serving.KINDS``, sessions of MCP, requests that are refused, and requests whose client leaves
within .2 s. Resident memory, open files, threads and processes of the server and all below it are read after
a fifth of the requests, when heaps have their size, and at the end. ``memory_growth`` is a share of what it
was; ``broken`` counts answers that are not whole.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..common import arguments, close
from .serving import KINDS, Asked, Serving, serving
from .soak import LARGEST_GROWTH, Held, model_file

LEAVE, REFUSED, AGENT = "leave", "refused", "agent"
REFUSALS = (
    Asked("/v1/chat/completions", {"messages": 5}, bool),
    Asked("/v1/chat/completions", {"messages": [{"role": "user", "content": "1 + 1"}], "tools": [{}]}, bool),
    Asked("/api/chat", {"messages": [{"role": "user", "content": "1 + 1"}], "format": {"type": 5}}, bool),
    Asked("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "a " * 5000}]}, bool),
)
QUESTIONS = 20
"""Different ones: prompts of conversations are kept as long as there is room for them, which is no leak."""

THREADS_ON_DEMAND = min(32, (os.cpu_count() or 1) + 4)
"""Most threads of ``asyncio.to_thread``, which reads requests: started as they are needed, and kept."""

_SETTLE_SECONDS = 3.0
"""Rest before a reading: connections close, and searches of clients that left end."""


def ask(server: Serving, number: int, rng: random.Random) -> str:
    """One request; returns its kind, with "broken " before it if its answer is not whole."""
    kind = rng.choice([*KINDS, LEAVE, REFUSED, AGENT])
    question = f"What is {number % QUESTIONS} * 2?"
    if kind == AGENT:
        return kind if server.use_mcp(question) else f"broken {kind}"
    if kind == REFUSED:
        return kind if server.send(rng.choice(REFUSALS)).status == 400 else f"broken {kind}"
    if kind == LEAVE:
        server.leave(KINDS[rng.choice([*KINDS])](question), rng.uniform(0, 0.2))
        return kind
    asked = KINDS[kind](question)
    answer = server.send(asked)
    return kind if answer.status == 200 and asked.is_whole(answer.data) else f"broken {kind}"


def soak(server: Serving, requests: int, clients: int, seed: int) -> dict[str, Any]:
    """So many requests, a few at a time, and what the server holds before and after most of them."""
    started, kinds = time.monotonic(), Counter[str]()

    def ask_some(numbers: range) -> Held:
        with ThreadPoolExecutor(clients) as pool:
            kinds.update(pool.map(lambda n: ask(server, n, random.Random(f"{seed} {n}")), numbers))
        time.sleep(_SETTLE_SECONDS)
        return Held.by(*server.processes())

    before = ask_some(range(requests // 5))
    after = ask_some(range(requests // 5, requests))
    return {
        "requests": requests,
        "seconds": round(time.monotonic() - started, 1),
        **before.growth_to(after),
        "broken": sum(count for kind, count in kinds.items() if kind.startswith("broken")),
        **dict(sorted(kinds.items())),
    }


def main() -> None:
    args = arguments(__doc__, model="tiny", requests=5000, clients=4, seed=1)
    with TemporaryDirectory() as folder, model_file(args.model) as model:
        env = {**os.environ, "XDG_DATA_HOME": folder}  # counts of its use are not the user's
        with serving(model, Path(folder) / "said", env=env) as server:
            found = soak(server, args.requests, args.clients, args.seed)
            said = server.said.read_text()
    close(found)
    assert "Traceback" not in said, said
    assert not found["broken"], "an answer was not whole"
    assert found["memory_growth"] <= LARGEST_GROWTH, "it took more memory"
    assert found["more_files"] <= 0, "it left files open"
    assert found["more_threads"] <= THREADS_ON_DEMAND, "it left threads behind"
    assert found["more_processes"] <= 0, "it left processes behind"


if __name__ == "__main__":
    main()
