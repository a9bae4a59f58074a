"""A worker in this process, for benches and tests that need no model."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from adascale.engine.kinds import KINDS
from adascale.engine.ports import Calibrator, Policy, Prefix, RewardModel, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, GeneratorDescription, ModelDescription
from adascale.engine.search.settings import Conditions, Request
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import KindName, Problem, Step
from adascale.models.worker.messages import ModelsOpened
from bench.scripted import scripted_step

MODEL = "scripted"

_MODELS = ModelDescription(
    GeneratorDescription(MODEL, "scripted.gguf", "00ff" * 16),
    sampling={"temperature": 0.5, "top_p": 0.95},
)
OPENED = ModelsOpened(
    conditions=dict.fromkeys(KINDS, Conditions(_MODELS, (), width=4)),
    modes=("prose",),
    files=(),
)


def echo(prefix: Prefix, rng: random.Random) -> Step:
    """Two steps; the answer is the number in the question, and one higher in one of four trajectories."""
    found = re.search(r"\d+", prefix.problem.question)
    number = int(found[0]) if found else 0
    if not prefix.steps:
        return scripted_step(f"We look at {number}.\n\n")
    return scripted_step(f"It is \\boxed{{{number + (rng.random() < 0.25)}}}.", "stop")


def echo_as_asked(prefix: Prefix, rng: random.Random) -> Step:
    """As ``echo``, or in one step: a call of the first tool, or an object, whose field ``number`` has it."""
    problem = prefix.problem
    if problem.kind not in ("call", "json"):
        return echo(prefix, rng)
    found: dict[str, Any] = {"number": int(re.findall(r"\d+", problem.question)[0])}
    if problem.kind == "call" and prefix.mode == "call":
        found = {"name": next(iter(ToolRequest.of(problem.details).tools)), "arguments": found}
    return scripted_step(json.dumps(found), "stop")


_NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "value": {},
    "tools": {"tools": [{"type": "function", "function": {"name": "say", "parameters": _NUMBER}}]},
    "schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "said", "schema": _NUMBER}}
    },
}
"""Fields of a chat completion by which ``echo_as_asked`` says a number: in words, by a call, as an object."""


class InlineWorker:
    """Searches as the worker process does, in the thread that reads its events.

    Args:
        policy, prm, calibrators: What it searches with.
    """

    def __init__(
        self,
        policy: Policy,
        prm: RewardModel | None = None,
        calibrators: Mapping[KindName, Calibrator] | None = None,
    ) -> None:
        self.open_models = OPENED
        self._driver = Driver(policy, prm or SequenceLogprob(), calibrators or {}, time.monotonic)
        self.cancel = self._driver.cancel

    def serve(self, requests: Iterable[Request]) -> Iterator[tuple[Problem, Event]]:
        """Events of all requests, which are read in a thread of their own."""
        inbox: SimpleQueue[Request | None] = SimpleQueue()

        def read() -> None:
            for request in requests:
                inbox.put(request)
            inbox.put(None)

        def come() -> Iterator[Request | None]:
            while True:
                try:
                    request = inbox.get(block=not self._driver.busy)
                except Empty:
                    yield None
                    continue
                if request is None:
                    return
                yield request

        threading.Thread(target=read, daemon=True).start()
        return self._driver.serve(come())
