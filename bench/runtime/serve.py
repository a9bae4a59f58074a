"""A server under load against the same questions as one batch: throughput, first bytes, memory, mix-ups.

Usage: ``python -m bench.runtime.serve [--requests 200] [--clients 32]``
       ``python -m bench.runtime.serve --model MODEL --data DATA.jsonl [--requests 32] [--clients 16]``

Without a model a scripted policy echoes the number in a question. The server is a process of its own. All
draw with the same seeds, so that an answer that differs from the batch's was either mixed up or, of a model,
rounded otherwise. ``throughput`` is the server's tokens a second as a share of the batch's; the first bytes
(median and 95 %, of questions, requests with tools, and for JSON of a schema) are those of requests that are
sent one after the other, so that the batch has room; ``cpu_ms`` is the time that the server's process
computes for a request.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from adascale.engine.ports import Growth
from adascale.engine.request import Request, SearchRequest
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import EFFORTS, Effort
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions
from adascale.models.questions import choose_questions, read_known
from adascale.models.worker.client import Worker
from adascale.serve.app import ServerSettings, make_app
from adascale.serve.http import Access, Listener, bind
from adascale.serve.hub import Hub, SearchWorker
from bench.scripted import ScriptedPolicy

from ..common import close, table
from ..scripted import WAYS, InlineWorker, echo_as_asked

BRANCHES = 32
ALONE = 10
"""Questions that are asked one after the other."""

OpenWorker = Callable[[], AbstractContextManager[SearchWorker]]


@dataclass(slots=True)
class TimedPolicy(ScriptedPolicy):
    """A scripted policy whose batches take ``pause`` seconds each, as a small model's do."""

    pause: float = 0.0

    def advance(self) -> list[Growth]:
        time.sleep(self.pause)
        return ScriptedPolicy.advance(self)


def open_worker(model: str | None, pause: float) -> AbstractContextManager[SearchWorker]:
    """A worker process with this model, or a worker in this process with the scripted policy."""
    if model is not None:
        return Worker(SessionOptions(model, branches=BRANCHES))
    return nullcontext(InlineWorker(TimedPolicy(echo_as_asked, slots=BRANCHES, pause=pause)))


@dataclass(frozen=True, slots=True)
class Run:
    """Wall time, generated tokens, and the answer of each question by its text."""

    seconds: float
    tokens: int
    answers: dict[str, str | None]

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def run_batch(open_: OpenWorker, questions: Sequence[str], effort: Effort, seed: int) -> Run:
    """All questions in one batch."""
    with open_() as worker:
        opened = worker.open_models
        request = SearchRequest(effort=effort, seed=seed)
        settings = request.settings(Problem("1", ""), opened.conditions["value"], opened.modes)
        settings = replace(settings, seeded_as="1")
        problems = [Problem(str(n), question) for n, question in enumerate(questions)]
        started, tokens, answers = time.monotonic(), 0, {}
        for problem, event in worker.serve(Request(problem, settings) for problem in problems):
            if isinstance(event, SearchFinished):
                tokens += event.usage.generated_tokens
                answers[problem.question] = event.result.answer
        return Run(time.monotonic() - started, tokens, answers)


def serve(open_: OpenWorker, parallel: int, queue: int, ready: Connection) -> None:
    """A server on loopback, in its process; tells its port and serves until it is terminated."""
    hub = Hub(open_, parallel, queue)
    bound = bind("127.0.0.1", 0)
    listener = Listener(make_app(hub, ServerSettings(Access("127.0.0.1"))), bound, lambda url: None)
    ready.send(bound.getsockname()[1])
    listener.serve_until_stopped()


@dataclass(frozen=True, slots=True)
class Client:
    """Asks a server in a process of its own."""

    port: int
    process: psutil.Process
    effort: Effort
    seed: int

    def ask(self, question: str, way: str = "value") -> tuple[dict[str, Any], float]:
        """The ``adascale`` object of a streamed answer, empty if none came; seconds to its first byte.

        Args:
            question: The question.
            way: One of ``WAYS``.
        """
        asked = {"messages": [{"role": "user", "content": question}], "reasoning_effort": self.effort}
        body = json.dumps({**asked, **WAYS[way], "seed": self.seed, "stream": True})
        connection = HTTPConnection("127.0.0.1", self.port)
        started, found = time.monotonic(), {}
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        line = response.readline()
        first = time.monotonic() - started
        while line:
            if b'"adascale":' in line:
                found = json.loads(line.removeprefix(b"data: "))["adascale"]
            line = response.readline()
        connection.close()
        return found, first

    def ask_all(self, questions: Sequence[str], clients: int) -> Run:
        """All questions, so many at a time."""
        started = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            found = [summary for summary, _ in pool.map(self.ask, questions)]
        seconds = time.monotonic() - started
        answers = {question: each["answer"] for question, each in zip(questions, found, strict=True) if each}
        return Run(seconds, sum(each["tokens"] for each in found if each), answers)


@contextmanager
def serving(open_: OpenWorker, args: argparse.Namespace) -> Iterator[Client]:
    """A server, when its model is open."""
    spawning = multiprocessing.get_context("spawn")
    told, ready = spawning.Pipe(duplex=False)
    process = spawning.Process(target=serve, args=(open_, args.clients, args.clients, ready))
    process.start()
    assert process.pid is not None
    client = Client(told.recv(), psutil.Process(process.pid), args.effort, args.seed)
    while not client.ask("0")[0]:
        time.sleep(0.1)
    try:
        yield client
    finally:
        process.terminate()
        process.join()


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--pause", type=float, default=0.002, help="seconds of a scripted batch")
    parser.add_argument("--effort", choices=EFFORTS["value"], default="medium")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if (args.model is None) != (args.data is None):
        parser.error("--model and --data go together")
    return args


def main() -> None:
    args = read_arguments()
    open_ = partial(open_worker, args.model, args.pause)
    if args.data is None:
        questions = [f"Say {10 * n}" for n in range(args.requests)]
    else:
        known = read_known([args.data])
        questions = [problem.question for problem in choose_questions(known, args.requests, args.seed)]
    batch = run_batch(open_, questions, args.effort, args.seed)
    with serving(open_, args) as client:
        first = {way: [client.ask(question, way)[1] for question in questions[:ALONE]] for way in WAYS}
        busy = sum(client.process.cpu_times()[:2])
        served = client.ask_all(questions, args.clients)
        busy = sum(client.process.cpu_times()[:2]) - busy
    runs = {"batch": batch, "server": served}
    table(
        ["", "seconds", "tokens", "tokens/s"],
        [[name, f"{run.seconds:.1f}", f"{run.tokens:,}", f"{run.rate:.0f}"] for name, run in runs.items()],
    )
    close(
        {
            "throughput": round(served.rate / batch.rate, 3),
            "lost": len(questions) - len(served.answers),
            "same_answers": sum(batch.answers[asked] == answer for asked, answer in served.answers.items()),
            "first_byte_ms": {
                way: [round(1000 * q) for q in np.quantile(seconds, [0.5, 0.95])]
                for way, seconds in first.items()
            },
            "cpu_ms": round(1000 * busy / len(questions), 1),
            "requests": len(questions),
            "clients": args.clients,
            "model": args.model,
        }
    )


if __name__ == "__main__":
    main()
