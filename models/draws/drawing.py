"""Writes the draws that the store lacks: those that a search waits for, and likely ones in idle rows."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from adascale.engine.errors import ContextOverflowError
from adascale.engine.evaluation.evaluate import Forecast
from adascale.engine.ports import Policy, Prefix, PrefixWork
from adascale.engine.search.draws import branch_seed
from adascale.engine.types import BranchId, Mode, Problem, Step, Until

from .store import KeptDraws, Prompt, draw_key

MOST_OPEN = 64
"""Questions whose prompts the generator keeps at most for draws that no search waits for."""


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


@dataclass(slots=True)
class _RunningDraw:
    """A draw that the generator writes; ``wanted`` while a search waits for it."""

    request: DrawRequest
    wanted: bool
    steps: list[Step] = field(default_factory=list)
    tokens: int = 0


class DrawMaker:
    """Lets a generator write what the store does not hold, and keeps it.

    The generator decodes every batch at its full width, so that a draw is the same whoever runs beside it: a
    row that no search waits for costs nothing. Draws that the strategies are likely to ask for later are
    written there, and give way when a search waits for a row.

    Args:
        live: The generator; the same (prefix, seed) must always give it the same tokens.
        store: Where draws are kept.

    Attributes:
        tokens: Tokens that the generator had to write so far.
    """

    def __init__(self, live: Policy, store: KeptDraws) -> None:
        self._live = live
        self._store = store
        self._waiting: list[DrawRequest] = []
        self._running: dict[BranchId, _RunningDraw] = {}
        self._searches: list[str] = []
        self._open: dict[str, Problem] = {}
        self._read_modes: set[tuple[str, Mode]] = set()
        self._too_long: set[tuple[str, Mode]] = set()
        self._rounds: Sequence[Forecast] = ()
        self._likely_counts: Counter[tuple[int, str]] = Counter()
        self._ended_searches: set[str] = set()
        self._ids = count()
        self.tokens = 0

    def expect(self, rounds: Sequence[Forecast]) -> None:
        """Set the forecasts of the round that begins now and of those behind it."""
        self._rounds = rounds
        self._likely_counts.clear()
        self._ended_searches.clear()

    def open(self, problem: Problem, mode: Mode) -> PrefixWork:
        """A search begins: read its prompt where the generator has not, and write its draws by its age."""
        if problem.id not in self._searches:
            self._searches.append(problem.id)
        kept = self._store.prompt(problem, mode)
        if kept is None:
            cost = self._read(problem, mode)
            read = Prompt(cost.evaluated_tokens + cost.reused_tokens, cost.reading)
            self._store.put_prompt(problem, mode, read)
            # Read back, so that what is kept and what was just read are the same to the last bit.
            kept = self._store.prompt(problem, mode)
            assert kept is not None
        return PrefixWork(kept.tokens, 0, kept.reading)

    def close(self, problem: Problem) -> None:
        """A search has ended; where no later round asks for the question, its draws are of no use."""
        self._searches.remove(problem.id)
        self._ended_searches.add(problem.id)
        if problem.id not in self._open or (self._is_asked_later(problem) and len(self._open) <= MOST_OPEN):
            return
        for id_, running in list(self._running.items()):
            if running.request.problem.id == problem.id:
                self._stop(id_)
        self._live.close_problem(self._open.pop(problem.id))
        self._read_modes = {(id_, mode) for id_, mode in self._read_modes if id_ != problem.id}

    def want(self, request: DrawRequest) -> None:
        """A search waits for a draw that is not kept. Draws of older searches come first."""
        for running in self._running.values():
            if running.request.key == request.key and running.request.until in (request.until, "answer"):
                running.wanted = True
                return
        insort(self._waiting, request, key=lambda waiting: self._searches.index(waiting.problem.id))

    def release(self, request: DrawRequest) -> None:
        """No search waits for a draw any more; what has begun of it goes on while there is room."""
        if request in self._waiting:
            self._waiting.remove(request)
        for running in self._running.values():
            if running.request.key == request.key:
                running.wanted = False

    def advance(self) -> None:
        """Decode one batch, where a search waits for it; keep the draws that it completes."""
        while self._waiting and self._make_room():
            self._start(self._waiting.pop(0), wanted=True)
        if not any(running.wanted for running in self._running.values()):
            return
        while len(self._running) < self._live.slots and (request := self._next_likely()) is not None:
            self._start_ahead(request)
        self._decode()

    def _decode(self) -> None:
        for growth in self._live.advance():
            self.tokens += growth.new_tokens
            running = self._running[growth.branch]
            running.tokens += growth.new_tokens
            if growth.step is None:
                continue
            running.steps.append(growth.step)
            if growth.step.finish != "step" or running.request.until == "step":
                del self._running[growth.branch]
                self._store.put(running.request.key, tuple(running.steps))

    def _make_room(self) -> bool:
        """Whether a row is free; a draw that no search waits for gives way, the shortest first."""
        if len(self._running) < self._live.slots:
            return True
        idle = [(running.tokens, id_) for id_, running in self._running.items() if not running.wanted]
        if not idle:
            return False
        self._stop(min(idle)[1])
        return True

    def _next_likely(self) -> DrawRequest | None:
        """A draw that is neither kept nor under way, of this round before later ones.

        The first trajectories of all questions come before the second ones: few questions need many.
        """
        busy = {running.request.key for running in self._running.values()}
        for at, ahead in enumerate(self._rounds):
            problems = [problem for problem in ahead.problems if self._may_ask(at, problem)]
            while left := [p for p in problems if self._likely_counts[at, p.id] < ahead.trajectories]:
                problem = min(left, key=lambda p: self._likely_counts[at, p.id])
                turns, turn = divmod(self._likely_counts[at, problem.id], len(ahead.modes))
                mode = ahead.modes[turn]
                self._likely_counts[at, problem.id] += 1
                if (problem.id, mode) in self._too_long:
                    continue
                seed = branch_seed(ahead.seed, problem.id, (turns,), mode)
                request = DrawRequest(Prefix(problem, mode=mode), seed, "answer", False)
                if request.key not in busy and request.key not in self._store:
                    return request
        return None

    def _may_ask(self, at: int, problem: Problem) -> bool:
        readable = problem.id in self._open or len(self._open) < MOST_OPEN
        return readable and (at > 0 or problem.id not in self._ended_searches)

    def _is_asked_later(self, problem: Problem) -> bool:
        """Whether a later round asks for trajectories of a question."""
        return any(ahead.trajectories and problem in ahead.problems for ahead in self._rounds[1:])

    def _start(self, request: DrawRequest, *, wanted: bool) -> None:
        if (request.problem.id, request.prefix.mode) not in self._read_modes:
            self._read(request.problem, request.prefix.mode)
        id_ = BranchId(next(self._ids))
        self._running[id_] = _RunningDraw(request, wanted)
        self._live.start(id_, request.prefix, request.seed, request.until, request.greedy)

    def _start_ahead(self, request: DrawRequest) -> None:
        """Start a draw that no search waits for, where its question fits; its own search will say if not."""
        try:
            self._start(request, wanted=False)
        except ContextOverflowError:
            self._too_long.add((request.problem.id, request.prefix.mode))

    def _read(self, problem: Problem, mode: Mode) -> PrefixWork:
        # The generator reads a prompt in a row that no branch holds.
        while not self._make_room():
            self._decode()
        work = self._live.open(problem, mode)
        self._open[problem.id] = problem
        self._read_modes.add((problem.id, mode))
        return work

    def _stop(self, id_: BranchId) -> None:
        self._live.cancel(id_)
        del self._running[id_]
