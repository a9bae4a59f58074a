"""A generator that draws nothing twice: kept draws are played back, missing ones are drawn and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from adascale.engine.kinds import Look
from adascale.engine.ports import BranchStart, Executor, Growth, Policy, PrefixWork, Seen
from adascale.engine.types import AS_USUAL, BranchId, Execution, Mode, Problem, Step, Trial

from .drawing import DrawRequest, DrawWriter
from .store import DrawStore

if TYPE_CHECKING:
    from ..session import OpenSession

SLOTS = 1 << 16
"""Branches that may run at once: all that a strategy asks for, whatever the batch of the generator holds."""


@dataclass(slots=True)
class _PlayedBranch:
    """A branch as its search sees it.

    Attributes:
        request: The draw that it plays.
        steps: Its steps as far as they are known.
        at: Index of the step that it is writing.
        written: Tokens of that step that the search has seen.
    """

    request: DrawRequest
    steps: tuple[Step, ...]
    at: int = 0
    written: int = 0

    @property
    def is_whole(self) -> bool:
        """True if all its steps are known."""
        return bool(self.steps) and (self.request.branch.until == "step" or self.steps[-1].finish != "step")

    @property
    def can_go_on(self) -> bool:
        """True if the search may see more of it.

        What begins at the question is drawn whole first, since other strategies use it too. What is drawn in
        the place of a step with a wrong sum may soon be cut as well: it is shown step by step.
        """
        return self.is_whole or (bool(self.request.branch.prefix.steps) and self.at < len(self.steps))

    @property
    def step(self) -> Step:
        """The step that it is writing."""
        return self.steps[self.at]

    @property
    def tokens_left(self) -> int:
        """Tokens of this step that the search has not seen."""
        return len(self.step.token_ids) - self.written


class WaitingExecutor:
    """Implements ``engine.ports.Executor``: waits for every program before anything else goes on.

    So a search that is played back goes the same way on every machine.

    Args:
        executor: Runs the programs.
        is_stopped: True once the session is aborted: then each call waits a moment at most.
    """

    def __init__(self, executor: Executor, is_stopped: Callable[[], bool]) -> None:
        self._executor = executor
        self._is_stopped = is_stopped
        self._running = 0

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Run a program."""
        self._executor.submit(ticket, program)
        self._running += 1

    def cancel(self, ticket: int) -> None:
        """Forget a program."""
        self._executor.cancel(ticket)
        self._running -= 1

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        """All executions since the last call, by ticket; those that have ended where it is stopped."""
        ended: list[tuple[int, Execution]] = []
        while len(ended) < self._running:
            ended += self._executor.collect(block=True)
            if self._is_stopped():
                break
        self._running -= len(ended)
        return sorted(ended, key=lambda each: each[0])


class ReplayingPolicy:
    """Implements ``engine.ports.Policy`` over kept draws and a generator that draws the rest.

    A search is shown its own branches only, all of them one token further in every batch: what it decides
    depends neither on other questions nor on what was kept before. Time is that of the step-cost curve, as if
    each question were asked alone.

    Args:
        live: Draws what is missing; the same (prefix, seed) must always give it the same tokens.
        store: The kept draws.
        seconds: Cost of one decode step by the number of branches in it.
    """

    slots = SLOTS

    def __init__(self, live: Policy, store: DrawStore, seconds: Callable[[int], float]) -> None:
        self._live = live
        self._store = store
        self._seconds = seconds
        self._writer = DrawWriter(live, store)
        self._branches: dict[str, dict[BranchId, _PlayedBranch]] = {}  # by question, the oldest first
        self._questions: dict[BranchId, str] = {}

    @classmethod
    def of(cls, session: OpenSession, store: DrawStore) -> Self:
        """The generator of a session, which draws only what the store does not hold."""
        assert session.options.is_repeatable, "other draws are not the same again"
        costs, rows = session.step_costs, session.policy.slots
        return cls(session.policy, store, lambda branches: costs.step_seconds(branches, rows))

    @property
    def drawn_tokens(self) -> int:
        """Tokens that the generator had to write so far."""
        return self._writer.tokens

    @property
    def flops_per_token(self) -> float:
        """FLOPs of a token of the generator."""
        return self._live.flops_per_token

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Read a prompt, or what is kept of it; the whole prompt counts as evaluated."""
        self._branches.setdefault(problem.id, {})
        kept = self._store.prompt(problem, mode)
        if kept is None:
            cost = self._writer.read(problem, mode)
            read = PrefixWork(cost.evaluated_tokens + cost.reused_tokens, 0, cost.reading)
            self._store.put_prompt(problem, mode, read)
            # Read back, so that what is kept and what was just read are the same to the last bit.
            kept = self._store.prompt(problem, mode)
            assert kept is not None
        return kept

    def look(self, look: Look, problem: Problem) -> Seen:
        """Read options, or what is kept of such a look; the whole prompt counts as evaluated."""
        assert not problem.history, "questions of an evaluation stand alone"
        seen = self._store.look(look, problem)
        if seen is None:
            found = self._writer.look(look, problem)
            seen = Seen(found.log_probs, found.evaluated_tokens + found.reused_tokens)
            self._store.put_look(look, problem, seen)
        return seen

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a branch; it waits until its steps are known."""
        assert branch.sampling == AS_USUAL, "questions of an evaluation have the sampler of the session"
        request = DrawRequest(branch)
        self._branches[request.problem.id][id_] = _PlayedBranch(request, self._known(request))
        self._questions[id_] = request.problem.id

    def advance(self) -> Sequence[Growth]:
        """Draw one batch of what is missing; play every search on whose branches can all go on.

        A search goes on to where the first of its branches completes a step: nothing happens before.
        """
        every = [branch for branches in self._branches.values() for branch in branches.values()]
        missing = [branch for branch in every if not branch.is_whole]
        # What is kept in part is written again only where that part ends.
        wanted = (b.request for b in missing if not b.can_go_on or self._writer.is_writing(b.request.key))
        self._writer.write(wanted)
        for branch in missing:
            branch.steps = self._known(branch.request)
        grown: list[Growth] = []
        for branches in self._branches.values():
            if branches and all(branch.can_go_on for branch in branches.values()):
                grown += self._play(branches)
        return grown

    def _known(self, request: DrawRequest) -> tuple[Step, ...]:
        """The steps of a draw that are known, as far as its branch may go."""
        steps, left = self._writer.steps(request.key), request.branch.max_tokens
        if request.branch.until == "step":
            return steps[:1]
        if left is None or not steps or steps[-1].finish == "step":
            return steps
        for at, step in enumerate(steps):
            tokens = 0 if step.is_thought else len(step.token_ids)
            if tokens > left or (tokens == left and step.finish == "step"):
                return (*steps[:at], _beginning(step, left))
            left -= tokens
        return steps

    def _play(self, branches: Mapping[BranchId, _PlayedBranch]) -> list[Growth]:
        hop = min(branch.tokens_left for branch in branches.values())
        share = hop * self._seconds(len(branches)) / len(branches)
        return [self._grow(id_, branch, hop, share) for id_, branch in list(branches.items())]

    def _grow(self, id_: BranchId, branch: _PlayedBranch, tokens: int, seconds: float) -> Growth:
        cost = PrefixWork()
        if branch.at == branch.written == 0:
            reused = sum(len(step.token_ids) for step in branch.request.branch.prefix.steps)
            cost = PrefixWork(0, reused)
        step = branch.step
        branch.written += tokens
        if branch.written < len(step.token_ids):
            part = replace(_beginning(step, branch.written), finish=None)
            return Growth(id_, tokens, part, cost, seconds)
        branch.at, branch.written = branch.at + 1, 0
        if branch.is_whole and branch.at == len(branch.steps):
            del self._branches[self._questions.pop(id_)][id_]
        return Growth(id_, tokens, step, cost, seconds)

    def cancel(self, id_: BranchId) -> None:
        """End a branch."""
        ended = self._branches[self._questions.pop(id_)].pop(id_)
        if not ended.is_whole:
            self._writer.keep(ended.request.key)

    def close_problem(self, problem: Problem) -> None:
        """Forget a question; what still runs of it ends."""
        self._branches.pop(problem.id, None)
        self._writer.close(problem)


def _beginning(step: Step, tokens: int) -> Step:
    """The first tokens of a step, and about as much of its text."""
    part = tokens / len(step.token_ids)
    text = step.text[: round(part * len(step.text))]
    return Step(text, step.token_ids[:tokens], step.logprob * part, "length", thought=step.thought)
