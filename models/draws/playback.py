"""A generator that draws nothing twice: what is kept is played back, what is missing is drawn and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adascale.engine.evaluation.evaluate import Forecast
from adascale.engine.ports import Executor, Growth, Policy, Prefix, PrefixWork
from adascale.engine.types import BranchId, Execution, Mode, Problem, Step, Until

from .drawing import DrawMaker, DrawRequest
from .store import KeptDraws

SLOTS = 1 << 16
"""Branches that may run at once: all that a strategy asks for, whatever the batch of the generator holds."""


@dataclass(slots=True)
class _PlayedBranch:
    """A branch as its search sees it; ``steps`` is None until they are known."""

    request: DrawRequest
    steps: tuple[Step, ...] | None = None
    at: int = 0
    written: int = 0


class WaitingExecutor:
    """Implements ``engine.ports.Executor``: waits for every program before anything else goes on.

    So a search that is played back goes the same way on every machine.

    Args:
        executor: Runs the programs.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._running = 0

    def submit(self, ticket: int, program: str, mode: Mode = "program") -> None:
        """Run a program."""
        self._executor.submit(ticket, program, mode)
        self._running += 1

    def cancel(self, ticket: int) -> None:
        """Forget a program."""
        self._executor.cancel(ticket)
        self._running -= 1

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """All executions since the last call, by ticket."""
        ended: list[tuple[int, Execution]] = []
        while len(ended) < self._running:
            ended += self._executor.collect(block=True)
        self._running = 0
        return sorted(ended, key=lambda each: each[0])


class ReplayingPolicy:
    """Implements ``engine.ports.Policy`` over kept draws and a generator that draws the rest.

    A search is shown its own branches only, all of them one token further in every batch, and its draws
    whole: what it decides depends neither on other questions nor on what was kept before. Time is that of the
    step-cost curve, as if each question were asked alone.

    Args:
        live: Draws what is missing; the same (prefix, seed) must always give it the same tokens.
        store: The kept draws.
        seconds: Cost of one decode step by the number of branches in it.
    """

    slots = SLOTS

    def __init__(self, live: Policy, store: KeptDraws, seconds: Callable[[int], float]) -> None:
        self._live = live
        self._store = store
        self._seconds = seconds
        self._maker = DrawMaker(live, store)
        self._branches: dict[BranchId, _PlayedBranch] = {}

    @property
    def drawn_tokens(self) -> int:
        """Tokens that the generator had to write so far."""
        return self._maker.tokens

    @property
    def flops_per_token(self) -> float:
        """The generator's."""
        return self._live.flops_per_token

    def expect(self, rounds: Sequence[Forecast]) -> None:
        """Set the forecasts of the searches from here on, round by round: idle rows of a batch write them."""
        self._maker.expect(rounds)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Read a prompt, or what is kept of it; the whole prompt counts as evaluated."""
        return self._maker.open(problem, mode)

    def start(self, branch: BranchId, prefix: Prefix, seed: int, until: Until, greedy: bool) -> None:
        """Begin a branch; it waits until its steps are known."""
        request = DrawRequest(prefix, seed, until, greedy)
        steps = self._store.get(request.key, until)
        self._branches[branch] = _PlayedBranch(request, steps)
        if steps is None:
            self._maker.want(request)

    def advance(self) -> Sequence[Growth]:
        """Draw one batch of what is missing; play every search on whose branches are all known.

        A search goes on to where the first of its branches completes a step: nothing happens before.
        """
        self._maker.advance()
        by_problem: dict[str, list[BranchId]] = {}
        for id_, branch in self._branches.items():
            if branch.steps is None:
                branch.steps = self._store.get(branch.request.key, branch.request.until)
            by_problem.setdefault(branch.request.problem.id, []).append(id_)
        grown: list[Growth] = []
        for ids in by_problem.values():
            if all(self._branches[id_].steps is not None for id_ in ids):
                grown += self._play(ids)
        return grown

    def _play(self, ids: list[BranchId]) -> list[Growth]:
        hop = min(self._tokens_left(self._branches[id_]) for id_ in ids)
        share = hop * self._seconds(len(ids)) / len(ids)
        return [self._grow(id_, hop, share) for id_ in ids]

    @staticmethod
    def _tokens_left(branch: _PlayedBranch) -> int:
        assert branch.steps is not None
        return len(branch.steps[branch.at].token_ids) - branch.written

    def _grow(self, id_: BranchId, tokens: int, seconds: float) -> Growth:
        branch = self._branches[id_]
        assert branch.steps is not None
        cost = PrefixWork()
        if branch.at == branch.written == 0:
            reused = sum(len(step.token_ids) for step in branch.request.prefix.steps)
            cost = PrefixWork(0, reused)
        branch.written += tokens
        step = branch.steps[branch.at]
        if branch.written < len(step.token_ids):
            return Growth(id_, tokens, "", None, cost, seconds)
        branch.at, branch.written = branch.at + 1, 0
        if branch.at == len(branch.steps):
            del self._branches[id_]
        return Growth(id_, tokens, step.text, step, cost, seconds)

    def cancel(self, branch: BranchId) -> Step | None:
        """End a branch; a draw of it that has begun is finished all the same, and kept."""
        ended = self._branches.pop(branch)
        if ended.steps is None:
            self._maker.release(ended.request)
        if ended.steps is None or ended.written == 0:
            return None
        step = ended.steps[ended.at]
        part = ended.written / len(step.token_ids)
        return Step(
            step.text[: round(part * len(step.text))],
            step.token_ids[: ended.written],
            step.logprob * part,
            "length",
            thought=step.thought,
        )

    def close_problem(self, problem: Problem) -> None:
        """Forget a question; what still runs of it ends, unless a later round asks for it."""
        self._maker.close(problem)
