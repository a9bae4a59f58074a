"""The driver: many searches over one generator, one decode batch after another.

``Driver.step`` is the loop: place branches at the generator, decode a batch, advance every search, and
collect ended programs. A ``Search`` owns its log and its clock; it yields orders, and never calls the driver.
Strategies only decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from ..calibration.posterior import UNCALIBRATED, Posterior
from ..errors import AdascaleError, ContextOverflowError, DecodeAbortedError
from ..kinds import kind_of
from ..ports import (
    Clock,
    Executor,
    OptionLogits,
    Policy,
    Prefix,
    PrefixWork,
    RewardModel,
    Score,
)
from ..request import Request, Settings
from ..types import BranchId, KindName, NodeId, Problem, Usage
from .branches import Branch
from .events import Event
from .judging import computed_log
from .search import Order, ReadPrompt, RunProgram, ScorePrefixes, Search


class Driver:
    """Runs searches over one policy and one reward model.

    Args:
        policy: The generator.
        reward_model: Scores steps.
        calibrators: Posterior of each kind of question; unused if it lacks a mode of the search.
        clock: Seconds.
        executor: Runs programs; None if no strategy draws any.
    """

    def __init__(
        self,
        policy: Policy,
        reward_model: RewardModel,
        calibrators: Mapping[KindName, Posterior],
        clock: Clock,
        executor: Executor | None = None,
    ) -> None:
        self._policy = policy
        self._reward_model = reward_model
        self._calibrators = calibrators
        self._clock = clock
        self._executor = executor
        self._tickets = count()
        self._executing: dict[int, tuple[Search, NodeId]] = {}
        self._interrupted = False
        self._cancelled: deque[tuple[str, bool]] = deque()
        self._generator_ids = map(BranchId, count())
        self._active: list[Search] = []
        self._placed: dict[BranchId, tuple[Search, Branch]] = {}  # by their numbers at the generator

    def interrupt(self) -> None:
        """Stop all searches after the current batch; safe to call from a signal handler."""
        self._interrupted = True

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End one search after the current batch; safe to call from any thread.

        It ends as ``interrupted``, or as ``taken`` with the leading answer; without an answer to take it goes
        on. An id that is not active is ignored.
        """
        self._cancelled.append((problem_id, takes_answer))

    @property
    def busy(self) -> bool:
        """True while a search is active."""
        return bool(self._active)

    def run(
        self, problems: Iterable[Problem], settings: Settings, at_once: int | None = None
    ) -> Iterator[tuple[Problem, Event]]:
        """Search all problems with the same settings; as ``serve``."""
        return self.serve((Request(problem, settings) for problem in problems), at_once)

    def serve(
        self, requests: Iterable[Request | None], at_once: int | None = None
    ) -> Iterator[tuple[Problem, Event]]:
        """Search the problem of each request; yields each event with its problem as it happens.

        Each problem ends with SearchFinished or SearchFailed. A new problem enters if the generator has a
        place that no active search waits for, and fewer than ``at_once`` are active. ``requests`` may yield
        None for "none yet" while others are active (``busy``); otherwise it has to wait.
        """
        queue = iter(requests)
        exhausted = False
        try:
            while self._active or not (exhausted or self._interrupted):
                while not (exhausted or self._interrupted) and self._has_room(at_once):
                    try:
                        request = next(queue)
                    except StopIteration:
                        exhausted = True
                        break
                    if request is None:
                        break
                    yield from self._admit(request)
                yield from self._end_cancelled()
                if self._active:
                    self.step()
                for search in list(self._active):
                    yield from self._deliver(search)
        finally:
            self._end_all()
            for search in self._active:
                self._release(search)
            self._active.clear()

    def _has_room(self, at_once: int | None) -> bool:
        if at_once is not None and len(self._active) >= at_once:
            return False
        free = self._policy.slots - len(self._placed)
        return sum(len(search.branches.without_place) for search in self._active) < free

    def _admit(self, request: Request) -> Iterator[tuple[Problem, Event]]:
        """Begin a search, or answer a computed question at once."""
        if log := computed_log(request):
            yield from ((request.problem, event) for event in log)
            return
        problem, settings = kind_of(request.problem).for_search(request.problem), request.settings
        calibrator = self._calibrators.get(problem.kind, UNCALIBRATED)
        if settings.sampling.odds:  # no fit covers another sampler
            calibrator = calibrator.unfitted
        if not set(calibrator.modes) >= set(settings.strategy.modes):
            calibrator = UNCALIBRATED
        search = Search(problem, settings, calibrator, self._clock)
        self._active.append(search)
        # Its first event leaves before its prompt is read, which may crash the process.
        yield from self._deliver(search)
        self._advance(search)
        yield from self._deliver(search)

    def _end_cancelled(self) -> Iterator[tuple[Problem, Event]]:
        cancelled = dict(self._cancelled.popleft() for _ in range(len(self._cancelled)))
        for search in [search for search in self._active if search.problem.id in cancelled]:
            takes_answer = cancelled[search.problem.id]
            if search.has_reply or not takes_answer:
                search.close("taken" if takes_answer else "interrupted")
                yield from self._deliver(search)

    def _end_all(self) -> None:
        for search in self._active:
            if not search.over:
                search.close("interrupted")

    def _deliver(self, search: Search) -> Iterator[tuple[Problem, Event]]:
        """Yield the new events of a search; forget it once it is over."""
        if search.over:
            self._active.remove(search)
            self._release(search)
        for event in search.drain():
            yield search.problem, event

    def _release(self, search: Search) -> None:
        self._cancel_dropped(search)
        for ticket in [ticket for ticket, (owner, _) in self._executing.items() if owner is search]:
            assert self._executor is not None, "it has the programs"
            self._executor.cancel(ticket)
            del self._executing[ticket]
        self._policy.close_problem(search.problem)
        self._reward_model.close_problem(search.problem)

    def _cancel_dropped(self, search: Search) -> None:
        """End branches at the generator that no longer run in their search."""
        for number, (owner, branch) in list(self._placed.items()):
            if owner is search and branch.id not in search.branches.running:
                self._policy.cancel(number)
                del self._placed[number]

    # The loop

    def step(self) -> None:
        """Place branches, decode a batch, advance every search, and collect programs.

        A search whose program has ended is advanced once more, as the program may have ended at once.
        """
        if not self._interrupted:
            self._place()
            self._decode()
            searches = list(self._active)
            while searches and not self._interrupted:
                for search in searches:
                    self._advance(search)
                searches = self._collect_programs()
        if self._interrupted:
            self._end_all()

    def _place(self) -> None:
        """Start branches at the generator: the search with the fewest is first, of equals the oldest."""
        waiting = [
            (search.branches.places + at, search, branch)
            for search in self._active
            for at, branch in enumerate(search.branches.without_place)
        ]
        waiting.sort(key=lambda each: each[0])
        for _, search, branch in waiting[: max(0, self._policy.slots - len(self._placed))]:
            branch.generator_id = number = next(self._generator_ids)
            self._placed[number] = search, branch
            self._policy.start(number, search.start_of(branch))

    def _decode(self) -> None:
        """Decode a batch, and append its tokens to the branches."""
        if not self._placed:
            return
        started = self._clock()
        try:
            growths = self._policy.advance()
        except DecodeAbortedError:
            self._interrupted = True
            return
        share = (self._clock() - started) / max(1, len(growths))
        for growth in growths:
            seconds = share if growth.seconds is None else growth.seconds
            usage = self._usage(growth.prefix, seconds, growth.new_tokens)
            search, branch = self._placed[growth.branch]
            if search.over:  # another of its branches has failed
                continue
            if growth.error is not None:
                search.fail(growth.error)
                continue
            search.branches.write(branch, growth, usage)
            finish = growth.step.finish
            if finish is not None and (finish != "step" or branch.command.until == "step"):
                branch.generator_id = None
                del self._placed[growth.branch]

    def _collect_programs(self) -> list[Search]:
        """Hand over ended programs, and wait for one if nothing else goes on; returns their searches."""
        if self._executor is None or not self._executing:
            return []
        searches = []
        for ticket, execution in self._executor.collect(block=not self._placed):
            search, node = self._executing.pop(ticket)
            if not search.over:
                search.program_ran(node, execution)
                searches.append(search)
        return list(dict.fromkeys(searches))

    def _advance(self, search: Search) -> None:
        """Carry out the orders of a search until it waits; an order that fails ends it."""
        reply = None
        try:
            while not search.over and (order := search.orders.send(reply)) is not None:
                reply = self._carry_out(search, order)
        except StopIteration:
            pass
        except DecodeAbortedError:
            self._interrupted = True
        except AdascaleError as error:  # such as a prompt that is too long
            search.fail(error)
        self._cancel_dropped(search)

    def _carry_out(self, search: Search, order: Order) -> Any:
        """The reply to an order."""
        if isinstance(order, ScorePrefixes):
            return self._score(order.prefixes)
        if isinstance(order, RunProgram):
            assert self._executor is not None, "a strategy draws programs, and nothing runs them"
            ticket = next(self._tickets)
            self._executor.submit(ticket, order.program)
            self._executing[ticket] = search, order.node
            return None
        work: PrefixWork | OptionLogits
        started = self._clock()
        if isinstance(order, ReadPrompt):
            work = self._policy.open(search.problem, order.mode)
        else:
            work = self._policy.option_logits(order.prompt, search.problem)
        return work, self._usage(work, self._clock() - started)

    def _usage(self, work: PrefixWork | OptionLogits, seconds: float, new_tokens: int = 0) -> Usage:
        """Usage of the generator for tokens that it evaluated and wrote."""
        flops = (new_tokens + work.evaluated_tokens) * self._policy.flops_per_token
        return Usage(work.evaluated_tokens, work.reused_tokens, new_tokens, flops=flops, seconds=seconds)

    def _score(self, prefixes: Sequence[Prefix]) -> list[tuple[Score | ContextOverflowError, Usage]]:
        """Reward and cost of each prefix; the error of one that is too long.

        Raises:
            ModelError: the reward model cannot read one of them at all.
        """
        started = self._clock()
        try:
            scores = self._reward_model.score(prefixes)
        except ContextOverflowError as error:
            if len(prefixes) > 1:
                return [score for prefix in prefixes for score in self._score([prefix])]
            return [(error, Usage(seconds=self._clock() - started))]
        seconds, flops = (self._clock() - started) / len(prefixes), self._reward_model.flops_per_token
        tokens = [score.prm_tokens for score in scores]
        costs = [Usage(prm_tokens=n, flops=n * flops, seconds=seconds) for n in tokens]
        return list(zip(scores, costs, strict=True))
