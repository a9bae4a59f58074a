"""A generator that follows a script, and a worker on it in this process, where no model is needed."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import KINDS, OptionsPrompt
from adascale.engine.ports import (
    BranchStart,
    Growth,
    OptionLogits,
    Policy,
    Prefix,
    PrefixWork,
    RewardModel,
    SequenceLogprob,
)
from adascale.engine.request import Conditions, Request
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, GeneratorDescription, ModelDescription
from adascale.engine.tools.calls import ToolRequest
from adascale.engine.types import BranchId, Finish, KindName, Mode, Problem, Schedule, Step, Until
from adascale.models.worker.server import ModelsOpened

Script = Callable[[Prefix, random.Random], Step]
"""Draws the next whole step of a prefix; the random generator is seeded by the branch."""


@dataclass(slots=True)
class _ScriptedBranch:
    prefix: Prefix
    until: Until
    rng: random.Random
    step: Step
    position: int = 0


def pieces(text: str) -> tuple[int, ...]:
    """Token ids of a scripted text: one per character."""
    return tuple(ord(character) for character in text)


def scripted_step(text: str, finish: Finish = "step", logprob: float = -1.0) -> Step:
    """A step whose tokens are its characters."""
    return Step(text, pieces(text), logprob, finish)


@dataclass(slots=True)
class ScriptedPolicy:
    """Plays ``script`` one token (character) per branch and batch.

    Attributes:
        script: Draws steps.
        slots: Branches that run at the same time.
        flops_per_token: As a real policy reports it.
        batches: Decode batches so far.
        logits: Log-probabilities of the options that a prompt asks for; without it all are equal.
    """

    script: Script
    slots: int = 8
    flops_per_token: float = 2.0
    batches: int = 0
    logits: Callable[[OptionsPrompt], Sequence[float]] | None = None
    _running: dict[BranchId, _ScriptedBranch] = field(default_factory=dict)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """The prompt has one token per character of the question."""
        return PrefixWork(len(problem.question), 0)

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> OptionLogits:
        """The log-probabilities of ``looks``; the prompt has one token per character."""
        seen = [0.0] * len(asked.words) if self.logits is None else self.logits(asked)
        return OptionLogits(tuple(seen), len(asked.text))

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a branch; the script sees the same random numbers for the same seed."""
        assert len(self._running) < self.slots, "more branches than slots"
        rng = random.Random(0 if branch.greedy else branch.seed)
        step = self.script(branch.prefix, rng)
        self._running[id_] = _ScriptedBranch(branch.prefix, branch.until, rng, step)

    def advance(self) -> list[Growth]:
        """One token for every running branch, in the order in which they were started."""
        self.batches += 1
        return [self._grow(branch, run) for branch, run in list(self._running.items())]

    def _grow(self, branch: BranchId, run: _ScriptedBranch) -> Growth:
        first = run.position == 0
        reused = len(run.prefix.problem.question) + sum(len(s.token_ids) for s in run.prefix.steps)
        prefix = PrefixWork(0, reused) if first else PrefixWork()
        run.position += 1
        if run.position < len(run.step.token_ids):
            text, tokens = run.step.text[: run.position], run.step.token_ids[: run.position]
            part = replace(run.step, text=text, token_ids=tokens, finish=None)
            return Growth(branch, 1, part, prefix, thinks=part.is_thought)
        done = run.step
        if done.finish != "step" or run.until == "step":
            del self._running[branch]
        else:
            run.prefix = replace(run.prefix, steps=(*run.prefix.steps, done))
            run.step, run.position = self.script(run.prefix, run.rng), 0
        return Growth(branch, 1, done, prefix)

    def cancel(self, id_: BranchId) -> None:
        """End a branch."""
        del self._running[id_]

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""


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
