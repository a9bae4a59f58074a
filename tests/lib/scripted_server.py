"""A whole server on loopback over a scripted generator instead of a worker process."""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

import httpx2
from scripted import ScriptedPolicy, judging, scripted_step

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import DEADLY_QUESTION, ContextOverflowError, WorkerDiedError
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import KINDS
from adascale.engine.ports import (
    BranchStart,
    Growth,
    Policy,
    Prefix,
    PrefixWork,
    RewardModel,
    Score,
    SequenceLogprob,
)
from adascale.engine.request import Conditions, Request
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, GeneratorDescription, ModelDescription
from adascale.engine.tools.calls import ToolRequest
from adascale.engine.types import BranchId, KindName, Mode, Problem, SamplingChange, Schedule, Step
from adascale.models.fallback import Fallback
from adascale.models.worker.server import ModelsOpened
from adascale.serve.app import make_app
from adascale.serve.body import ServedEffort
from adascale.serve.http import Access, Listener, bind
from adascale.serve.hub import Hub

MODEL = "scripted"

_MODELS = ModelDescription(
    GeneratorDescription(MODEL, "scripted.gguf", "00ff" * 16),
    sampling={"temperature": 0.5, "top_p": 0.95},
)
OPENED = ModelsOpened(
    conditions=dict.fromkeys(KINDS, Conditions(_MODELS, (), schedule=Schedule.even(4))),
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
    if entry_of(problem).has_calls and prefix.mode == "call":
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
        calibrators: Mapping[KindName, Posterior] | None = None,
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


LOCAL = Access("127.0.0.1")

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
OLLAMA = "/api/chat"


def say(content: object, role: str = "user", **more: object) -> dict[str, object]:
    """A message."""
    return {"role": role, "content": content, **more}


_SAY_42 = {"messages": [say("Say 42")]}
_ASKED: Mapping[str, Mapping[str, object]] = {
    CHAT: _SAY_42,
    RESPONSES: {"input": "Say 42"},
    MESSAGES: _SAY_42,
    OLLAMA: {**_SAY_42, "stream": False},
}
"""A body of each protocol."""


def chunks_of(stream: str) -> list[Any]:
    """The JSON of server-sent events."""
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]


def steady(prefix: Prefix, rng: random.Random) -> Step:
    """As ``echo``, but every trajectory comes to the number itself, with a usual likelihood."""
    step = echo(prefix, random.Random(2))
    return step if step.finish == "step" else replace(step, logprob=-30.0)


@dataclass(slots=True)
class EchoPolicy(ScriptedPolicy):
    """Echoes numbers; a question with "long" in it does not fit, one with "deadly" ends the worker, one with
    "unlucky" is there when another one does.

    Attributes:
        pause: Seconds of a batch.
        opened: Questions, as they were read.
        closed: Ids of those that are closed.
        samplers: Samplers of the branches, as they began.
    """

    pause: float = 0.0
    opened: list[Problem] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    samplers: list[SamplingChange] = field(default_factory=list)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Read a prompt."""
        self.opened.append(problem)
        if "deadly" in problem.question or "unlucky" in problem.question:
            slug = DEADLY_QUESTION if "deadly" in problem.question else ""
            raise WorkerDiedError("the process that runs the models was ended by signal 9", slug=slug)
        if "long" in problem.question:
            raise ContextOverflowError("the question has 9,999 tokens, the context has room for 2,048")
        return PrefixWork(len(problem.question), 0)

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a branch."""
        self.samplers.append(branch.sampling)
        ScriptedPolicy.start(self, id_, branch)

    def advance(self) -> list[Growth]:
        """One batch."""
        time.sleep(self.pause)
        return ScriptedPolicy.advance(self)

    def close_problem(self, problem: Problem) -> None:
        """Note it."""
        self.closed.append(problem.id)

    @property
    def running(self) -> int:
        """Branches that run."""
        return len(self._running)


class Reader(SequenceLogprob):
    """Cannot read a question with "unreadable" in it."""

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """As ``SequenceLogprob``."""
        if any("unreadable" in each.problem.question for each in prefixes):
            raise ContextOverflowError("the solution has 9,999 tokens, the PRM's window is 2,048")
        return SequenceLogprob.score(self, prefixes)


@dataclass(slots=True, eq=False)
class Served:
    """A running server."""

    url: str
    hub: Hub
    policy: EchoPolicy
    listener: Listener

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def post(
        self,
        path: str = CHAT,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
        **body: object,
    ) -> httpx2.Response:
        """The response to some bytes, or to a body that says 42 unless it says something else."""
        given = None if content is not None else {**_ASKED.get(path, {}), **body}
        return httpx2.post(self.url + path, json=given, content=content, headers=headers, timeout=60)

    def ask(self, path: str = CHAT, **body: object) -> Any:
        """The answer to such a body."""
        found = self.post(path, **body)
        assert found.status_code == 200, found.text
        return found.json()

    def stream(self, path: str = CHAT, **body: object) -> list[Any]:
        """The chunks of an answer."""
        found = self.post(path, stream=True, **body)
        assert found.status_code == 200, found.text
        return chunks_of(found.text)

    def wait_until_idle(self) -> None:
        """Until nothing runs or waits; an AssertionError if that does not come."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if not (self.hub._running or self.hub._waiting or self.policy.running):
                return
            time.sleep(0.01)
        left = self.hub._running, self.hub._waiting, self.policy.running
        raise AssertionError(f"searches that run, that wait, and branches: {left}")


@contextmanager
def served(
    access: Access = LOCAL,
    *,
    policy: EchoPolicy | None = None,
    parallel: int = 4,
    max_queue: int = 64,
    effort: ServedEffort = "medium",
    opening: threading.Event | None = None,
    calibrators: Mapping[KindName, Posterior] | None = None,
    fallback: Fallback | None = None,
) -> Iterator[Served]:
    """A server on a free port of loopback; its models are open when ``opening`` is set."""
    policy = policy or EchoPolicy(echo)

    @contextmanager
    def open_worker() -> Iterator[InlineWorker]:
        if opening is not None:
            opening.wait(30)
        yield InlineWorker(policy, Reader(), calibrators)

    hub = Hub(open_worker, parallel, max_queue)
    listener = Listener(make_app(hub, access, effort, fallback, model="qwen"), hub.fail)
    bound, url = bind("127.0.0.1", 0)
    thread = threading.Thread(target=listener.run, args=([bound],), daemon=True)
    thread.start()
    if opening is None:
        while hub.state == "loading":
            time.sleep(0.005)
    try:
        yield Served(url, hub, policy, listener)
    finally:
        listener.should_exit = True
        thread.join(15)
        assert not thread.is_alive(), "the server does not end"


QUESTION = "Look up the price of an apple, then multiply it by 7. How much do 7 apples cost?"
PERSON = {"name": "Anna", "age": 31}


def shop(prefix: Prefix, rng: random.Random) -> Step:
    """Looks up a price, multiplies it, and says the product; of a person it says who it is."""
    details: Any = prefix.problem.details
    tools = [tool["function"]["name"] for tool in details.get("tools", ())]
    results = [each["content"] for each in details.get("messages", ()) if each["role"] == "tool"]
    if "get_price" not in tools:  # a tool that takes the output, or none
        call = {"name": tools[0], "arguments": PERSON} if tools and prefix.mode == "call" else PERSON
        return scripted_step(json.dumps(call), "stop")
    calls = [
        {"name": "get_price", "arguments": {"item": "apple"}},
        {"name": "multiply", "arguments": {"a": 3, "b": 7}},
    ]
    said = json.dumps(calls[len(results)]) if len(results) < 2 else f"7 apples cost {results[-1]} euros."
    return scripted_step(said, "stop")


def weather(prefix: Prefix, rng: random.Random) -> Step:
    """Calls for the cities that are named; without one says hello, and of a result what it is."""
    messages: Any = prefix.problem.details.get("messages", [])
    last = messages[-1] if messages else say(prefix.problem.question)
    if last["role"] == "tool" and "again" in last["content"]:
        return scripted_step(json.dumps({"name": "get_weather", "arguments": {"city": "Paris"}}), "stop")
    if prefix.mode != "call" or last["role"] == "tool":
        return scripted_step(f"It is {last['content']}.", "stop")
    cities = [word.strip("?.") for word in last["content"].split() if word[0].isupper()][1:]
    calls = [json.dumps({"name": "get_weather", "arguments": {"city": each}}) for each in cities]
    return scripted_step("\n".join(calls) or "Hello.", "stop")


def open_shop() -> AbstractContextManager[Served]:
    """A server whose model works in a shop, and whose option logits say that a call is right."""
    return _calling(shop)


def open_weather() -> AbstractContextManager[Served]:
    """Such a server whose model asks for the weather."""
    return _calling(weather)


def _calling(script: Callable[[Prefix, random.Random], Step]) -> AbstractContextManager[Served]:
    policy = EchoPolicy(script, logits=lambda asked: [math.log(0.95), math.log(0.05)])
    return served(policy=policy, calibrators={"call": judging("call", 0.6)})
