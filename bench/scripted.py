"""A generator, a PRM and an executor that follow a script, for tests and benches without a model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adascale.engine.execution import Execution, Trial
from adascale.engine.kinds.base import Look
from adascale.engine.ports import BranchStart, Growth, Prefix, PrefixWork, Score, Seen
from adascale.engine.types import BranchId, Finish, Mode, Problem, Step, Until

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
        looks: Log-probabilities that a look at options shows; without it all are equal.
    """

    script: Script
    slots: int = 8
    flops_per_token: float = 2.0
    batches: int = 0
    looks: Callable[[Look], Sequence[float]] | None = None
    _running: dict[BranchId, _ScriptedBranch] = field(default_factory=dict)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """The prompt has one token per character of the question."""
        return PrefixWork(len(problem.question), 0)

    def look(self, look: Look, problem: Problem) -> Seen:
        """The log-probabilities of ``looks``; the prompt has one token per character."""
        seen = [0.0] * len(look.words) if self.looks is None else self.looks(look)
        return Seen(tuple(seen), len(look.text))

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


@dataclass(slots=True)
class ScriptedPRM:
    """Scores a prefix by a function of its text; counts only the new step's tokens."""

    reward: Callable[[Prefix], float]
    flops_per_token: float = 2.0

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """One reward per prefix."""
        return [Score(self.reward(prefix), len(prefix.steps[-1].token_ids)) for prefix in prefixes]

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""


@dataclass(slots=True)
class ScriptedExecutor:
    """Runs programs by a function; an execution arrives one ``collect`` late, unless it is waited for."""

    run: Callable[[Any], Execution]
    _submitted: list[tuple[int, str | Trial]] = field(default_factory=list)
    _ended: list[tuple[int, Execution]] = field(default_factory=list)

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Run a program."""
        self._submitted.append((ticket, program))

    def cancel(self, ticket: int) -> None:
        """Forget a program."""
        self._submitted = [each for each in self._submitted if each[0] != ticket]
        self._ended = [each for each in self._ended if each[0] != ticket]

    def collect(self, *, block: bool = False) -> list[tuple[int, Execution]]:
        """Those that were submitted before the last call; with ``block`` all."""
        ran = [(ticket, self.run(program)) for ticket, program in self._submitted]
        self._submitted = []
        arrived, self._ended = (self._ended + ran, []) if block else (self._ended, ran)
        return arrived
