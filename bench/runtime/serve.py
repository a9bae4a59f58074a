"""A server under load against the same questions as one batch: throughput, first bytes, mixed up answers.

Usage: ``python -m bench.runtime.serve MODEL DATA.jsonl [--questions 32] [--clients 16] [--effort medium]``

Both draw with the same seeds, so that an answer that differs was either mixed up or rounded otherwise.
``throughput`` is the server's tokens a second as a share of the batch's.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from adascale.engine.search.events import SearchFinished
from adascale.engine.search.settings import Request, Settings
from adascale.engine.strategies.adaptive import EFFORTS, Effort
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions
from adascale.models.questions import choose_questions, read_known
from adascale.models.worker.client import Worker
from adascale.serve.app import ServerSettings
from adascale.serve.guard import Access
from adascale.serve.hub import Hub
from adascale.serve.listener import Listener, bind

from ..common import close, table

BRANCHES = 32


@dataclass(frozen=True, slots=True)
class Run:
    """Wall time, generated tokens, and the answer of each question by its id."""

    seconds: float
    tokens: int
    answers: dict[str, str | None]

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def run_batch(model: str, problems: Sequence[Problem], effort: Effort, seed: int) -> Run:
    """All questions in one batch."""
    with Worker(SessionOptions(model, branches=BRANCHES)) as worker:
        opened = worker.open_models
        settings = Settings(EFFORTS[effort], seed=seed, seeded_as="1").under(opened.conditions["question"])
        settings = settings.in_mode("auto", opened.modes)
        started, tokens, answers = time.monotonic(), 0, {}
        for problem, event in worker.serve(Request(problem, settings) for problem in problems):
            if isinstance(event, SearchFinished):
                tokens += event.usage.generated_tokens
                answers[problem.id] = event.result.answer
        return Run(time.monotonic() - started, tokens, answers)


@contextmanager
def serving(model: str, parallel: int, queue: int) -> Iterator[str]:
    """A server on loopback; gives its URL when the model is open."""
    hub = Hub(lambda: Worker(SessionOptions(model, branches=BRANCHES)), parallel, queue)
    listener = Listener(hub, ServerSettings(Access("127.0.0.1")), bind("127.0.0.1", 0), lambda url: None)
    thread = threading.Thread(target=listener.serve_until_stopped, daemon=True)
    thread.start()
    while hub.state == "loading":
        time.sleep(0.05)
    yield listener.url
    listener.stop()
    thread.join()


def ask(url: str, problem: Problem, effort: Effort, seed: int) -> tuple[str, dict[str, Any], float]:
    """Id, the ``adascale`` object, and seconds to the first byte of a streamed answer."""
    body = {"messages": [{"role": "user", "content": problem.question}], "reasoning_effort": effort}
    started, first, found = time.monotonic(), 0.0, {}
    with httpx2.stream(
        "POST", f"{url}/v1/chat/completions", json={**body, "seed": seed, "stream": True}, timeout=None
    ) as response:
        for line in response.iter_lines():
            first = first or time.monotonic() - started
            if line.startswith("data: {"):
                found = json.loads(line.removeprefix("data: ")).get("adascale") or found
    return problem.id, found, first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--effort", choices=EFFORTS, default="medium")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    problems = choose_questions(read_known([args.data]), args.questions, args.seed)
    batch = run_batch(args.model, problems, args.effort, args.seed)
    with serving(args.model, args.clients, args.questions) as url, ThreadPoolExecutor(args.clients) as pool:
        started = time.monotonic()
        found = list(pool.map(lambda problem: ask(url, problem, args.effort, args.seed), problems))
        seconds = time.monotonic() - started
    answered = {id_: summary for id_, summary, _ in found if summary}
    answers = {id_: summary["answer"] for id_, summary in answered.items()}
    served = Run(seconds, sum(summary["tokens"] for summary in answered.values()), answers)
    runs = {"batch": batch, "server": served}
    table(
        ["", "seconds", "tokens", "tokens/s"],
        [[name, f"{run.seconds:.1f}", f"{run.tokens:,}", f"{run.rate:.0f}"] for name, run in runs.items()],
    )
    close(
        {
            "throughput": round(served.rate / batch.rate, 3),
            "lost": len(problems) - len(answers),
            "same_answers": sum(batch.answers[id_] == answer for id_, answer in answers.items()),
            "first_byte_ms": [
                round(1000 * q) for q in np.quantile([first for *_, first in found], [0.5, 0.95])
            ],
            "questions": len(problems),
            "clients": args.clients,
            "model": args.model,
        }
    )


if __name__ == "__main__":
    main()
