"""The driver: many problems, one decode batch.

It owns sampling, scoring, metering and cancelling; each ``Search`` owns its log, and strategies only decide.
Every open draw of every problem competes for the policy's slots: first draws that are sure to be needed, of
older problems first, then new problems, then draws that may be needed. A finished branch frees its slot at
once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from ..errors import AdascaleError, ContextOverflowError, DecodeAbortedError, ModelError
from ..kinds import kind_of
from ..ports import (
    BranchStart,
    Calibrator,
    Clock,
    Executor,
    Policy,
    Prefix,
    PrefixWork,
    RewardModel,
    Score,
    Seen,
    Uncalibrated,
)
from ..types import BranchId, KindName, Mode, NodeId, Problem, Reading, Step, Usage
from .events import Event
from .judging_order import HURRY, THRIFT, run_ahead
from .search import Search
from .settings import Request, Settings
from .waiting import Draw


class Driver:
    """Runs searches over one policy and one reward model.

    Args:
        policy: The generator.
        reward_model: Scores what it writes.
        calibrators: Make estimates of the scores, by the kind of question; one that does not know all modes
            of a search is not used for it.
        clock: Time.
        costs: Relative cost of a decode step with 1, 2, ... branches, the first of them 1: by it draws that
            may not be needed run ahead. Empty for never.
        executor: Runs programs; None if no strategy draws any.
        rough: Takes the place of a fitted calibrator in a search with a sampler of its own, and for a value
            that is unlike what was fitted.
    """

    def __init__(
        self,
        policy: Policy,
        reward_model: RewardModel,
        calibrators: Mapping[KindName, Calibrator],
        clock: Clock,
        costs: Sequence[float] = (),
        executor: Executor | None = None,
        rough: Calibrator | None = None,
    ) -> None:
        self._policy = policy
        self._reward_model = reward_model
        self._calibrators = calibrators
        self._rough = rough
        self._clock = clock
        self._costs = costs[: policy.slots]
        self._executor = executor
        self._tickets = count()
        self._executing: dict[int, tuple[Search, NodeId]] = {}
        self._interrupted = False
        self._cancelled: deque[str] = deque()
        self._branch_ids = count()
        self._active: list[Search] = []
        self._owner: dict[BranchId, Search] = {}

    def interrupt(self) -> None:
        """Stop all searches after the current batch; safe to call from a signal handler."""
        self._interrupted = True

    def cancel(self, problem_id: str) -> None:
        """End one search after the current batch, as ``interrupted``; safe from any thread.

        An id that is not being searched is ignored.
        """
        self._cancelled.append(problem_id)

    @property
    def busy(self) -> bool:
        """True while anything is being searched."""
        return bool(self._active)

    def run(
        self, problems: Iterable[Problem], settings: Settings, at_once: int | None = None
    ) -> Iterator[tuple[Problem, Event]]:
        """Search every problem in the same way; as ``serve``."""
        return self.serve((Request(problem, settings) for problem in problems), at_once)

    def serve(
        self, requests: Iterable[Request | None], at_once: int | None = None
    ) -> Iterator[tuple[Problem, Event]]:
        """Search every problem as its request says; yields each event with its problem as it happens.

        Ends every problem with SearchFinished or SearchFailed. A new problem enters when slots are free
        that no open problem needs, and fewer than ``at_once`` are open. ``requests`` may yield None for
        "none yet" while others are being searched (``busy``); otherwise it has to wait.
        """
        queue = iter(requests)
        exhausted = False
        try:
            while True:
                while not exhausted and not self._interrupted and self._has_room(at_once):
                    try:
                        request = next(queue)
                    except StopIteration:
                        exhausted = True
                        break
                    if request is None:
                        break
                    yield from self._admit(request)
                yield from self._end_cancelled()
                if not self._active:
                    if exhausted or self._interrupted:
                        break
                    continue
                self._step()
                for search in list(self._active):
                    yield from self._deliver(search)
        finally:
            for search in self._active:
                if not search.over:
                    search.close("interrupted")
                self._release(search)
            self._active.clear()

    def _has_room(self, at_once: int | None) -> bool:
        free = self._policy.slots - len(self._owner)
        if free <= 0 or (at_once is not None and len(self._active) >= at_once):
            return False
        return sum(search.sure_waiting() for search in self._active) < free

    def _end_cancelled(self) -> Iterator[tuple[Problem, Event]]:
        cancelled = {self._cancelled.popleft() for _ in range(len(self._cancelled))}
        for search in [search for search in self._active if search.problem.id in cancelled]:
            search.close("interrupted")
            yield from self._deliver(search)

    def _admit(self, request: Request) -> Iterator[tuple[Problem, Event]]:
        problem, settings = kind_of(request.problem).for_search(request.problem), request.settings
        calibrator, rough = self._calibrator_of(request), self._rough if problem.kind == "value" else None
        search = Search(problem, settings, calibrator, self._clock, self._cancel_branch, rough)
        self._active.append(search)
        # Before its prompt is read: reading it may be the end of the process.
        yield from self._deliver(search)
        try:
            self._read(search)
        except DecodeAbortedError:
            self._interrupted = True
        except AdascaleError as error:
            search.fail(error)
        yield from self._deliver(search)

    def _open(self, problem: Problem, mode: Mode) -> tuple[Usage, Reading | None]:
        """Read the prompt of a mode."""
        started = self._clock()
        work = self._policy.open(problem, mode)
        return self._usage(work, self._clock() - started), work.reading

    def _read(self, search: Search) -> None:
        """Read the options; where they say enough, no prompt of a solution has to be read."""
        looks = search.looks
        for look in looks:
            started = self._clock()
            seen = self._policy.look(look, search.problem)
            search.read_options(look, seen, self._usage(seen, self._clock() - started))
        if looks:
            search.open()
        if not search.over:
            modes = search.settings.strategy.modes
            search.read_prompts({mode: self._open(search.problem, mode) for mode in modes})
            if not looks:
                search.open()

    def _calibrator_of(self, request: Request) -> Calibrator:
        """The calibrator of the problem's kind, if it knows every mode of the strategy."""
        found = self._calibrators.get(request.problem.kind)
        is_fitted = found is not None and found.weights is None and not found.is_rough
        if request.settings.sampling.odds and self._rough and is_fitted:
            found = self._rough
        is_known = found is not None and found.profiles.keys() >= set(request.settings.strategy.modes)
        return found if found is not None and is_known else Uncalibrated()

    def _usage(self, work: PrefixWork | Seen, seconds: float, new_tokens: int = 0) -> Usage:
        """Usage of the generator for tokens that it evaluated and wrote."""
        flops = (new_tokens + work.evaluated_tokens) * self._policy.flops_per_token
        return Usage(work.evaluated_tokens, work.reused_tokens, new_tokens, flops=flops, seconds=seconds)

    def _deliver(self, search: Search) -> Iterator[tuple[Problem, Event]]:
        """Hand out a search's events; forget it once it is over."""
        if search.over:
            self._active.remove(search)
            self._release(search)
        for event in search.drain():
            yield search.problem, event

    def _release(self, search: Search) -> None:
        for ticket in [ticket for ticket, (owner, _) in self._executing.items() if owner is search]:
            assert self._executor is not None, "it has the programs"
            self._executor.cancel(ticket)
            del self._executing[ticket]
        self._policy.close_problem(search.problem)
        self._reward_model.close_problem(search.problem)

    def _step(self) -> None:
        """Fill the slots, evaluate one batch, run programs, score new nodes, resume the plans."""
        if not self._interrupted:
            self._start_waiting()
            try:
                if self._owner:
                    self._grow()
                self._execute()
                self._score()
            except DecodeAbortedError:
                self._interrupted = True
        for search in self._active:
            if search.over:
                continue
            if self._interrupted:
                search.close("interrupted")
            else:
                search.decide()

    def _start_waiting(self) -> None:
        free = self._policy.slots - len(self._owner)
        if not free:
            return
        waiting = self._waiting()
        if not waiting:
            return
        running = [chance for search in self._active for chance in search.running()]
        chances = [chance for chance, *_ in waiting]
        wanted = run_ahead(running, chances, self._costs, HURRY if self._in_hurry() else THRIFT)
        for _, search, _ in waiting[: min(wanted, free)]:
            id_ = BranchId(next(self._branch_ids))
            self._owner[id_] = search
            self._policy.start(id_, search.start(id_))

    def _in_hurry(self) -> bool:
        """True if all that is searched is to be answered soon: by choice, or one question that is alone."""
        is_alone = len(self._active) == 1
        chosen = [search.settings.hurry for search in self._active]
        return all(is_alone if hurry is None else hurry for hurry in chosen)

    def _waiting(self) -> list[tuple[float, Search, Draw]]:
        """Waiting draws of all searches, the likeliest to be needed first."""
        waiting = [(chance, search, draw) for search in self._active for chance, draw in search.waiting()]
        return sorted(waiting, key=lambda each: -each[0])  # stable: the older problem, then its older draw

    def likely(self) -> Iterator[BranchStart]:
        """Branches that searches may start later, the likeliest first."""
        return (search.branch_of(draw) for _, search, draw in self._waiting())

    def _cancel_branch(self, id_: BranchId) -> Step | None:
        del self._owner[id_]
        return self._policy.cancel(id_)

    def _grow(self) -> None:
        started = self._clock()
        growths = self._policy.advance()
        share = (self._clock() - started) / max(1, len(growths))
        # Slots change with the neighbours; branch ids do not, so nodes are numbered by branch.
        for growth in sorted(growths, key=lambda g: g.branch):
            seconds = share if growth.seconds is None else growth.seconds
            usage = self._usage(growth.prefix, seconds, growth.new_tokens)
            if self._owner[growth.branch].account_growth(growth, usage):
                del self._owner[growth.branch]

    def _execute(self) -> None:
        """Start programs and take those that have run; wait a moment if nothing else goes on."""
        for search in self._active:
            for node, source in search.take_programs().items():
                assert self._executor is not None, "a strategy draws programs, and nothing runs them"
                ticket = next(self._tickets)
                try:
                    self._executor.submit(ticket, source)
                except AdascaleError as error:
                    search.fail(error)
                    break
                self._executing[ticket] = search, node
        if self._executor is None or not self._executing:
            return
        for ticket, execution in self._executor.collect(block=not self._owner):
            search, node = self._executing.pop(ticket)
            search.record_execution(node, execution)

    def _score(self) -> None:
        """Score new nodes: 0 for one that is too long for the reward model; a problem of such nodes fails.

        So does one with a text that the reward model cannot read at all.
        """
        for search in self._active:
            if not (prefixes := search.unscored()):
                continue
            started = self._clock()
            try:
                scores = self._reward_model.score(prefixes)
            except ContextOverflowError as error:
                found = [self._score_alone(prefix) for prefix in prefixes]
                if not search.is_scored and not any(found):
                    search.fail(error)
                    continue
                scores = [score or Score(0.0) for score in found]
                search.warn_unread()
            except ModelError as error:
                search.fail(error)
                continue
            seconds = (self._clock() - started) / len(prefixes)
            search.record_scores(scores, [self._prm_usage(score, seconds) for score in scores])

    def _score_alone(self, prefix: Prefix) -> Score | None:
        try:
            return self._reward_model.score([prefix])[0]
        except ContextOverflowError:
            return None

    def _prm_usage(self, score: Score, seconds: float) -> Usage:
        flops = score.prm_tokens * self._reward_model.flops_per_token
        return Usage(prm_tokens=score.prm_tokens, flops=flops, seconds=seconds)
