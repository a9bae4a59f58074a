"""The driver: many searches over one generator, one decode batch after another.

Each ``step`` gives free places to branches that wait, decodes one batch, collects programs that have run, and
lets every search take what was written. A ``Search`` owns its log and its clock; strategies only decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count

from ..calibration.posterior import UNCALIBRATED, Posterior
from ..errors import AdascaleError, ContextOverflowError, DecodeAbortedError
from ..kinds import OptionsPrompt, kind_of
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
from ..types import BranchId, KindName, Mode, NodeId, Problem, Trial, Usage
from .branches import Branch
from .computed import computed_log
from .events import Event
from .search import Search


class Driver:
    """Runs searches over one policy and one reward model.

    Args:
        policy: The generator.
        reward_model: Scores what it writes.
        calibrators: Make estimates of the scores, by the kind of question; one that does not know all modes
            of a search is not used for it.
        clock: Time.
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
        self._numbers = count()
        self._active: list[Search] = []
        self._placed: dict[BranchId, tuple[Search, Branch]] = {}  # by their numbers at the generator

    def interrupt(self) -> None:
        """Stop all searches after the current batch; safe to call from a signal handler."""
        self._interrupted = True

    def cancel(self, problem_id: str, *, takes_answer: bool = False) -> None:
        """End one search after the current batch; safe from any thread.

        It ends as ``interrupted``, or as ``taken`` with the answer that leads; without an answer to take it
        goes on. An id that is not being searched is ignored.
        """
        self._cancelled.append((problem_id, takes_answer))

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

        Ends every problem with SearchFinished or SearchFailed. A new problem enters when places are free
        that no open problem waits for, and fewer than ``at_once`` are open. ``requests`` may yield None for
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
        if at_once is not None and len(self._active) >= at_once:
            return False
        free = self._policy.slots - len(self._placed)
        return sum(len(search.branches.without_place) for search in self._active) < free

    def _end_cancelled(self) -> Iterator[tuple[Problem, Event]]:
        cancelled = dict(self._cancelled.popleft() for _ in range(len(self._cancelled)))
        for search in [search for search in self._active if search.problem.id in cancelled]:
            takes_answer = cancelled[search.problem.id]
            if search.has_reply or not takes_answer:
                search.close("taken" if takes_answer else "interrupted")
                yield from self._deliver(search)

    def _admit(self, request: Request) -> Iterator[tuple[Problem, Event]]:
        if log := computed_log(request):
            yield from ((request.problem, event) for event in log)
            return
        problem, settings = kind_of(request.problem).for_search(request.problem), request.settings
        calibrator = self._calibrators.get(problem.kind, UNCALIBRATED)
        if settings.sampling.odds:  # no fit is of another sampler
            calibrator = calibrator.unfitted
        if not set(calibrator.modes) >= set(settings.strategy.modes):
            calibrator = UNCALIBRATED
        search = Search(problem, settings, calibrator, self._clock, self)
        self._active.append(search)
        # Before its prompt is read: reading it may be the end of the process.
        yield from self._deliver(search)
        try:
            self._attempt(search, search.begin)
        except DecodeAbortedError:
            self._interrupted = True
        yield from self._deliver(search)

    def _attempt(self, search: Search, work: Callable[[], None]) -> None:
        """Let a search go on; one that cannot, such as one whose prompt is too long, fails by itself."""
        try:
            work()
        except DecodeAbortedError:
            raise
        except AdascaleError as error:
            search.fail(error)

    def open(self, problem: Problem, mode: Mode) -> tuple[PrefixWork, Usage]:
        """Read the prompt of a mode."""
        started = self._clock()
        work = self._policy.open(problem, mode)
        return work, self._usage(work, self._clock() - started)

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> tuple[OptionLogits, Usage]:
        """Read the options in one order."""
        started = self._clock()
        seen = self._policy.option_logits(asked, problem)
        return seen, self._usage(seen, self._clock() - started)

    def _usage(self, work: PrefixWork | OptionLogits, seconds: float, new_tokens: int = 0) -> Usage:
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
        """Give places to branches, decode a batch, collect programs, and let every search go on."""
        if not self._interrupted:
            self._give_places()
            try:
                if self._placed:
                    self._decode()
                going_on = list(self._active)
                while going_on:  # where programs have run at once, in the same step
                    for search in going_on:
                        self._attempt(search, search.advance)
                    going_on = self._collect_programs()
            except DecodeAbortedError:
                self._interrupted = True
        if self._interrupted:
            for search in self._active:
                if not search.over:
                    search.close("interrupted")

    def _give_places(self) -> None:
        """Start branches that wait; the search with the fewest places gets the next, of equals the oldest."""
        free = self._policy.slots - len(self._placed)
        if free <= 0:
            return
        waiting = [
            (search.branches.places + at, search, branch)
            for search in self._active
            for at, branch in enumerate(search.branches.without_place)
        ]
        waiting.sort(key=lambda each: each[0])
        for _, search, branch in waiting[:free]:
            branch.number = number = BranchId(next(self._numbers))
            self._placed[number] = search, branch
            self._policy.start(number, search.start_of(branch))

    def _decode(self) -> None:
        started = self._clock()
        growths = self._policy.advance()
        share = (self._clock() - started) / max(1, len(growths))
        for growth in growths:
            if growth.branch not in self._placed:  # the search of this branch has failed by another one
                continue
            seconds = share if growth.seconds is None else growth.seconds
            usage = self._usage(growth.prefix, seconds, growth.new_tokens)
            search, branch = self._placed[growth.branch]
            if growth.error is not None:
                search.fail(growth.error)
                continue
            search.branches.write(branch, growth, usage)
            finish = growth.step.finish
            if finish is not None and (finish != "step" or branch.asked.until == "step"):
                branch.number = None
                del self._placed[growth.branch]

    def _collect_programs(self) -> list[Search]:
        """Take programs that have run, and wait a moment for them if nothing else goes on; their searches."""
        if self._executor is None or not self._executing:
            return []
        found = []
        for ticket, execution in self._executor.collect(block=not self._placed):
            search, node = self._executing.pop(ticket)
            if not search.over:
                search.record_execution(node, execution)
                found.append(search)
        return list(dict.fromkeys(found))

    def cancel_branch(self, branch: Branch) -> None:
        """End a branch at the generator, if it runs there."""
        if branch.number is not None:
            self._policy.cancel(branch.number)
            del self._placed[branch.number]
            branch.number = None

    def execute(self, search: Search, node: NodeId, program: str | Trial) -> None:
        """Start a program; the search fails where nothing may run it."""
        assert self._executor is not None, "a strategy draws programs, and nothing runs them"
        ticket = next(self._tickets)
        try:
            self._executor.submit(ticket, program)
        except AdascaleError as error:
            search.fail(error)
        else:
            self._executing[ticket] = search, node

    def score(self, prefixes: Sequence[Prefix]) -> list[tuple[Score | ContextOverflowError, Usage]]:
        """Reward and cost of each prefix; the error of one that is too long.

        Raises:
            ModelError: the reward model cannot read one of them at all.
        """
        started = self._clock()
        try:
            scores = self._reward_model.score(prefixes)
        except ContextOverflowError as error:
            if len(prefixes) > 1:
                return [found for prefix in prefixes for found in self.score([prefix])]
            return [(error, Usage(seconds=self._clock() - started))]
        seconds, flops = (self._clock() - started) / len(prefixes), self._reward_model.flops_per_token
        tokens = [score.prm_tokens for score in scores]
        costs = [Usage(prm_tokens=n, flops=n * flops, seconds=seconds) for n in tokens]
        return list(zip(scores, costs, strict=True))
