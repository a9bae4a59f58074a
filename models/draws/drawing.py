"""Draws that no store has: the generator writes them, batch by batch, and they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

from adascale.engine.kinds import Look
from adascale.engine.ports import BranchStart, Policy, PrefixWork, Seen
from adascale.engine.types import BranchId, Mode, Problem, Step

from .store import DrawStore, as_kept, draw_key


@dataclass(frozen=True)
class DrawRequest:
    """The branch that writes a draw."""

    branch: BranchStart

    @cached_property
    def key(self) -> str:
        """Key of the draw in the store."""
        return draw_key(self.branch.prefix, self.branch.seed, self.branch.greedy)

    @property
    def problem(self) -> Problem:
        """Its question."""
        return self.branch.prefix.problem


class DrawWriter:
    """Lets a generator write draws, and keeps them.

    Args:
        live: The generator; the same (prefix, seed) must always give it the same tokens.
        store: Keeps the draws.

    Attributes:
        tokens: Tokens that the generator had to write so far.
    """

    def __init__(self, live: Policy, store: DrawStore) -> None:
        self._live = live
        self._store = store
        self._running: dict[BranchId, tuple[DrawRequest, list[Step]]] = {}
        self._wanted: dict[str, DrawRequest] = {}
        self._read: set[tuple[str, Mode]] = set()
        self._ids = count()
        self.tokens = 0

    def read(self, problem: Problem, mode: Mode) -> PrefixWork:
        """Read a prompt."""
        self._free_row()
        self._read.add((problem.id, mode))
        return self._live.open(problem, mode)

    def look(self, look: Look, problem: Problem) -> Seen:
        """Read options."""
        self._free_row()
        return self._live.look(look, problem)

    def _free_row(self) -> None:
        """Make room for a prompt, which is read in a row that no branch holds."""
        while not self._make_room():
            self._decode()

    def write(self, wanted: Iterable[DrawRequest]) -> None:
        """Decode one batch of draws that searches wait for, the first first; those it completes are kept."""
        self._wanted = {}
        for request in wanted:
            if request.key not in self._wanted or request.branch.until == "answer":
                self._wanted[request.key] = request
        if not self._wanted:
            return
        running = {request.key for request, _ in self._running.values()}
        for key, request in self._wanted.items():
            if key not in running and self._make_room():
                self._start(request)
        self._decode()

    def is_writing(self, key: str) -> bool:
        """True if the generator writes a draw."""
        return any(request.key == key for request, _ in self._running.values())

    def steps(self, key: str) -> tuple[Step, ...]:
        """The steps of a draw so far; one that was kept in part is written again from its beginning."""
        written = next((steps for request, steps in self._running.values() if request.key == key), ())
        return max(self._store.get(key), tuple(written), key=len)

    def keep(self, key: str) -> None:
        """Keep the steps that a draw has so far: no search waits for more of them."""
        if steps := self.steps(key):
            self._store.put(key, steps)

    def close(self, problem: Problem) -> None:
        """Stop the draws of a question, and forget its prompts."""
        for id_, (request, _) in list(self._running.items()):
            if request.problem.id == problem.id:
                self._stop(id_)
        others = {(id_, mode) for id_, mode in self._read if id_ != problem.id}
        if others != self._read:
            self._live.close_problem(problem)
        self._read = others

    @property
    def _has_row(self) -> bool:
        return len(self._running) < self._live.slots

    def _make_room(self) -> bool:
        """True if a row is free; a draw that no search waits for gives way."""
        unwanted = (id_ for id_, (request, _) in self._running.items() if request.key not in self._wanted)
        if not self._has_row and (id_ := next(unwanted, None)) is not None:
            self._stop(id_)
        return self._has_row

    def _start(self, request: DrawRequest) -> None:
        mode = request.branch.prefix.mode
        if (request.problem.id, mode) not in self._read:
            self.read(request.problem, mode)
        id_ = BranchId(next(self._ids))
        self._running[id_] = request, []
        # Whole, whatever its search would read of it: the next one may read more.
        self._live.start(id_, replace(request.branch, max_tokens=None))

    def _decode(self) -> None:
        for growth in self._live.advance():
            self.tokens += growth.new_tokens
            if growth.step.finish is None:
                continue
            request, steps = self._running[growth.branch]
            steps.append(as_kept(growth.step))
            if growth.step.finish != "step" or request.branch.until == "step":
                del self._running[growth.branch]
                self._store.put(request.key, tuple(steps))

    def _stop(self, id_: BranchId) -> None:
        self._live.cancel(id_)
        del self._running[id_]
