"""A generator that draws nothing twice: what is kept is played back, what is missing is drawn and kept."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from adascale.engine.ports import Evaluated, Growth, Policy, Prefix
from adascale.engine.types import BranchId, Problem, Step, Until

from .store import DrawStore, Prompt, draw_key

SLOTS = 1 << 16
"""Branches that may run at once: all that a strategy asks for, whatever the batch of the generator holds."""


@dataclass(slots=True)
class _Branch:
    """A branch as its search sees it; ``steps`` is None until they are known."""

    prefix: Prefix
    key: str
    seed: int
    until: Until
    greedy: bool
    steps: tuple[Step, ...] | None = None
    at: int = 0
    written: int = 0


class ReplayingPolicy:
    """Implements ``engine.ports.Policy`` over kept draws and a generator that draws the rest.

    A search is shown its own branches only, all of them one token further in every batch, and its draws
    whole: what it decides depends neither on other questions nor on what was kept before. Time is that of the
    step-cost curve, as if each question were asked alone.

    Args:
        live: Draws what is missing; the same (prefix, seed) must always give it the same tokens.
        store: What is kept.
        seconds: Cost of one decode step by the number of branches in it.

    Attributes:
        drawn_tokens: What the generator had to draw so far.
    """

    slots = SLOTS

    def __init__(self, live: Policy, store: DrawStore, seconds: Callable[[int], float]) -> None:
        self._live = live
        self._store = store
        self._seconds = seconds
        self._branches: dict[BranchId, _Branch] = {}
        self._waiting: list[_Branch] = []
        self._asked: list[str] = []
        self._drawing: dict[BranchId, tuple[_Branch, list[Step]]] = {}
        self._open: dict[str, Problem] = {}
        self._ids = count()
        self.drawn_tokens = 0

    @property
    def flops_per_token(self) -> float:
        """The generator's."""
        return self._live.flops_per_token

    def open(self, problem: Problem) -> Evaluated:
        """Read the prompt, or what is kept of it; the whole prompt counts as evaluated."""
        self._asked.append(problem.id)
        kept = self._store.prompt(problem)
        if kept is None:
            cost = self._open_live(problem)
            kept = Prompt(cost.evaluated_tokens + cost.reused_tokens, cost.reading)
            self._store.put_prompt(problem, kept)
            kept = self._store.prompt(problem)
            assert kept is not None
        return Evaluated(kept.tokens, 0, kept.reading)

    def _open_live(self, problem: Problem) -> Evaluated:
        # The generator reads a prompt in a place that no branch of it holds.
        while len(self._drawing) >= self._live.slots:
            self._draw()
        self._open[problem.id] = problem
        return self._live.open(problem)

    def start(self, branch: BranchId, prefix: Prefix, seed: int, until: Until, greedy: bool) -> None:
        """Begin a branch; it waits until its steps are known."""
        begun = _Branch(prefix, draw_key(prefix, seed, greedy), seed, until, greedy)
        begun.steps = self._store.get(begun.key, until)
        self._branches[branch] = begun
        if begun.steps is None:
            # Older questions first: what is drawn again does not wait behind the first draws of later ones.
            insort(self._waiting, begun, key=self._age)

    def _age(self, branch: _Branch) -> int:
        return self._asked.index(branch.prefix.problem.id)

    def advance(self) -> Sequence[Growth]:
        """Draw one batch of what is missing; play every search on whose branches are all known.

        A search goes on to where the first of its branches completes a step: nothing happens before.
        """
        self._start_waiting()
        if self._drawing:
            self._draw()
        by_problem: dict[str, list[BranchId]] = {}
        for id_, branch in self._branches.items():
            by_problem.setdefault(branch.prefix.problem.id, []).append(id_)
        grown: list[Growth] = []
        for ids in by_problem.values():
            if all(self._branches[id_].steps is not None for id_ in ids):
                grown += self._play(ids)
        return grown

    def _play(self, ids: list[BranchId]) -> list[Growth]:
        hop = min(self._left(self._branches[id_]) for id_ in ids)
        share = hop * self._seconds(len(ids)) / len(ids)
        return [self._grow(id_, hop, share) for id_ in ids]

    @staticmethod
    def _left(branch: _Branch) -> int:
        assert branch.steps is not None
        return len(branch.steps[branch.at].token_ids) - branch.written

    def _grow(self, id_: BranchId, tokens: int, seconds: float) -> Growth:
        branch = self._branches[id_]
        assert branch.steps is not None
        cost = Evaluated()
        if branch.at == branch.written == 0:
            reused = sum(len(step.token_ids) for step in branch.prefix.steps)
            cost = Evaluated(0, reused)
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
        if ended in self._waiting:
            self._waiting.remove(ended)
        if ended.steps is None or ended.written == 0:
            return None
        step = ended.steps[ended.at]
        part = ended.written / len(step.token_ids)
        return Step(
            step.text[: round(part * len(step.text))],
            step.token_ids[: ended.written],
            step.logprob * part,
            "length",
        )

    def close_problem(self, problem: Problem) -> None:
        """Forget a question; draws of it that still run are of no use to anyone now."""
        self._asked.remove(problem.id)
        for id_, (branch, _) in list(self._drawing.items()):
            if branch.prefix.problem.id == problem.id:
                self._live.cancel(id_)
                del self._drawing[id_]
        if self._open.pop(problem.id, None) is not None:
            self._live.close_problem(problem)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._drawing) < self._live.slots:
            branch = self._waiting.pop(0)
            problem = branch.prefix.problem
            if problem.id not in self._open:
                self._open_live(problem)
            id_ = BranchId(next(self._ids))
            self._drawing[id_] = branch, []
            self._live.start(id_, branch.prefix, branch.seed, branch.until, branch.greedy)

    def _draw(self) -> None:
        """One batch of the generator; keep the draws that it completes."""
        for growth in self._live.advance():
            self.drawn_tokens += growth.new_tokens
            if growth.step is None:
                continue
            branch, steps = self._drawing[growth.branch]
            steps.append(growth.step)
            if growth.step.finish != "step" or branch.until == "step":
                del self._drawing[growth.branch]
                self._store.put(branch.key, tuple(steps))
                # Read back, so that what is kept and what was just drawn are the same to the last bit.
                branch.steps = self._store.get(branch.key, branch.until)
