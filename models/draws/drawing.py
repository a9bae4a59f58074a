"""Draws that no store has: the generator writes them, batch by batch, and they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from adascale.engine.ports import Policy, Prefix, PrefixWork
from adascale.engine.types import BranchId, Mode, Problem, Step, Until

from .store import KeptDraws, draw_key


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """One draw: where it starts, its random numbers, and how far it runs.

    Attributes:
        key: Its key in the store.
    """

    prefix: Prefix
    seed: int
    until: Until
    greedy: bool
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", draw_key(self.prefix, self.seed, self.greedy))

    @property
    def problem(self) -> Problem:
        """Its question."""
        return self.prefix.problem


class DrawWriter:
    """Lets a generator write draws, and keeps them.

    Args:
        live: The generator; the same (prefix, seed) must always give it the same tokens.
        store: Keeps the draws.

    Attributes:
        tokens: Tokens that the generator had to write so far.
    """

    def __init__(self, live: Policy, store: KeptDraws) -> None:
        self._live = live
        self._store = store
        self._running: dict[BranchId, tuple[DrawRequest, list[Step]]] = {}
        self._read: set[tuple[str, Mode]] = set()
        self._ids = count()
        self.tokens = 0

    def read(self, problem: Problem, mode: Mode) -> PrefixWork:
        """Read a prompt."""
        while len(self._running) == self._live.slots:
            self._decode()  # a prompt is read in a row that no branch holds
        self._read.add((problem.id, mode))
        return self._live.open(problem, mode)

    def write(self, wanted: Iterable[DrawRequest]) -> None:
        """Decode one batch of draws, the first ones first; those that it completes are kept."""
        requests: dict[str, DrawRequest] = {}
        for request in wanted:
            if request.key not in requests or request.until == "answer":
                requests[request.key] = request
        for id_, (request, _) in list(self._running.items()):
            if request.key not in requests:
                self._stop(id_)
            requests.pop(request.key, None)
        for request in requests.values():
            if len(self._running) == self._live.slots:
                break
            self._start(request)
        if self._running:
            self._decode()

    def close(self, problem: Problem) -> None:
        """Stop the draws of a question, and forget its prompts."""
        for id_, (request, _) in list(self._running.items()):
            if request.problem.id == problem.id:
                self._stop(id_)
        others = {(id_, mode) for id_, mode in self._read if id_ != problem.id}
        if others != self._read:
            self._live.close_problem(problem)
        self._read = others

    def _start(self, request: DrawRequest) -> None:
        if (request.problem.id, request.prefix.mode) not in self._read:
            self.read(request.problem, request.prefix.mode)
        id_ = BranchId(next(self._ids))
        self._running[id_] = request, []
        self._live.start(id_, request.prefix, request.seed, request.until, request.greedy)

    def _decode(self) -> None:
        for growth in self._live.advance():
            self.tokens += growth.new_tokens
            if growth.step is None:
                continue
            request, steps = self._running[growth.branch]
            steps.append(growth.step)
            if growth.step.finish != "step" or request.until == "step":
                del self._running[growth.branch]
                self._store.put(request.key, tuple(steps))

    def _stop(self, id_: BranchId) -> None:
        self._live.cancel(id_)
        del self._running[id_]
