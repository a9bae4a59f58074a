"""The driver: many problems, one decode batch.

It owns sampling, scoring, calibration, metering, cancelling and the log; strategies only decide. Every open
draw of every problem competes for the policy's slots: those that are sure to be of use before all others, of
older problems first, then new problems, then what may turn out to be of use. A finished branch frees its slot
at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from ..budget import Usage
from ..errors import AdascaleError, ContextOverflowError, DecodeAbortedError
from ..ports import Calibrator, Clock, Growth, Policy, Prefix, RewardModel
from ..strategies.allocation import run_ahead
from ..types import BranchId, NodeId, Notice, Problem, StopReason
from .events import NOT_NEEDED, Event
from .search import Search
from .settings import Settings

_OUTSIDE = Notice(
    "outside-calibration",
    "this question is unlike those that the calibration was fitted on: "
    "its intervals are widened and say little",
)


class Driver:
    """Runs searches over one policy and one reward model.

    Args:
        policy: The generator.
        reward_model: Scores what it writes.
        calibrator: Makes estimates of the scores.
        clock: Time.
        costs: Relative cost of a decode step with 1, 2, ... branches, the first of them 1: by it draws that
            may not be needed run ahead. Empty for never.
    """

    def __init__(
        self,
        policy: Policy,
        reward_model: RewardModel,
        calibrator: Calibrator,
        clock: Clock,
        costs: Sequence[float] = (),
    ) -> None:
        self._policy = policy
        self._reward_model = reward_model
        self._calibrator = calibrator
        self._clock = clock
        self._costs = costs[: policy.slots]
        self._interrupted = False
        self._branch_ids = count()
        self._active: list[Search] = []
        self._owner: dict[BranchId, Search] = {}

    def interrupt(self) -> None:
        """Stop all searches after the current batch; safe to call from a signal handler."""
        self._interrupted = True

    @property
    def busy(self) -> bool:
        """Whether anything is being searched."""
        return bool(self._active)

    def run(
        self, problems: Iterable[Problem | None], settings: Settings, at_once: int | None = None
    ) -> Iterator[tuple[Problem, Event]]:
        """Search every problem; yields each event with its problem as it happens.

        Ends every problem with SearchFinished or SearchFailed. A new problem enters when slots are free
        that no open problem needs, and fewer than ``at_once`` are open. ``problems`` may yield None for
        "none yet" while others are being searched (``busy``); else it has to wait.
        """
        queue = iter(problems)
        exhausted = False
        try:
            while True:
                while not exhausted and not self._interrupted and self._has_room(at_once):
                    try:
                        problem = next(queue)
                    except StopIteration:
                        exhausted = True
                        break
                    if problem is None:
                        break
                    yield from self._admit(problem, settings)
                if not self._active:
                    if exhausted or self._interrupted:
                        break
                    continue
                self._turn()
                for search in list(self._active):
                    yield from self._events(search)
        finally:
            for search in self._active:
                self._leave(search, "interrupted")
            self._active.clear()

    def _has_room(self, at_once: int | None) -> bool:
        free = self._policy.slots - len(self._owner)
        if free <= 0 or (at_once is not None and len(self._active) >= at_once):
            return False
        return sum(search.sure() for search in self._active) < free

    def _admit(self, problem: Problem, settings: Settings) -> Iterator[tuple[Problem, Event]]:
        search = Search(problem, settings, self._clock)
        search.begin()
        self._active.append(search)
        yield from self._events(search)  # before its prompt is read: reading it may be the end of the process
        started = self._clock()
        try:
            cost = self._policy.open(problem)
        except DecodeAbortedError:
            self._interrupted = True
        except AdascaleError as error:
            search.fail(error)
        else:
            usage = Usage(
                prompt_tokens=cost.evaluated_tokens,
                reused_tokens=cost.reused_tokens,
                flops=cost.evaluated_tokens * self._policy.flops_per_token,
                seconds=self._clock() - started,
            )
            prefix = Prefix(problem, (), cost.reading)
            search.read_prompt(usage, cost.reading, self._calibrator.question(prefix))
            if self._calibrator.outside(prefix):
                search.warn(_OUTSIDE)
            search.start_plan()
            if search.finished:
                search.finish(None, self._calibrator)
        yield from self._events(search)

    def _events(self, search: Search) -> Iterator[tuple[Problem, Event]]:
        """Hand out a search's events; forget it once it is finished."""
        if search.finished and not search.running:
            self._active.remove(search)
            self._policy.close_problem(search.problem)
            self._reward_model.close_problem(search.problem)
        for event in search.log.drain():
            yield search.problem, event

    def _turn(self) -> None:
        """Fill the slots, evaluate one batch, score what is new, let the plans go on."""
        if not self._interrupted:
            self._start_waiting()
            try:
                if self._owner:
                    self._grow()
                self._score()
            except DecodeAbortedError:
                self._interrupted = True
        for search in self._active:
            if not search.finished or search.running:
                self._decide(search)

    def _start_waiting(self) -> None:
        free = self._policy.slots - len(self._owner)
        if not free or not any(search.draws.waiting for search in self._active):
            return
        running: list[float] = []
        waiting: list[tuple[float, Search]] = []
        for search in self._active:
            started, waits = search.chances()
            running += started
            waiting += [(chance, search) for chance in waits]
        waiting.sort(key=lambda draw: -draw[0])  # stable: of equals the older problem, then its older draw
        count = run_ahead(running, [chance for chance, _ in waiting], self._costs)
        for _, search in waiting[: min(count, free)]:
            self._start(search)

    def _start(self, search: Search) -> None:
        id_ = BranchId(next(self._branch_ids))
        prefix, seed, draw = search.start_branch(id_)
        self._owner[id_] = search
        self._policy.start(id_, prefix, seed, draw.until, draw.greedy)

    def _grow(self) -> None:
        started = self._clock()
        growths = self._policy.advance()
        share = (self._clock() - started) / max(1, len(growths))
        # Slots change with the neighbours; branch ids do not, so nodes are numbered by branch.
        for growth in sorted(growths, key=lambda g: g.branch):
            self._record(growth, share)

    def _record(self, growth: Growth, seconds: float) -> None:
        search = self._owner[growth.branch]
        evaluated = growth.new_tokens + growth.prefix.evaluated_tokens
        usage = Usage(
            prompt_tokens=growth.prefix.evaluated_tokens,
            reused_tokens=growth.prefix.reused_tokens,
            generated_tokens=growth.new_tokens,
            flops=evaluated * self._policy.flops_per_token,
            seconds=seconds if growth.seconds is None else growth.seconds,
        )
        search.grew(growth.branch, growth.text, growth.new_tokens, usage)
        if growth.step is not None:
            draw = search.running[growth.branch].draw
            ended = growth.step.finish != "step" or draw.until == "step"
            search.add_step(growth.branch, growth.step, ended=ended)
            if ended:
                del self._owner[growth.branch]

    def _score(self) -> None:
        """Score new nodes; a problem that the reward model cannot read fails alone."""
        for search in self._active:
            nodes, search.unscored = search.unscored, []
            try:
                self._score_nodes(search, nodes)
            except ContextOverflowError as error:
                self._fail(search, error)

    def _score_nodes(self, search: Search, nodes: Sequence[NodeId]) -> None:
        if not nodes:
            return
        started = self._clock()
        prefixes = [search.prefix(node) for node in nodes]
        scores = self._reward_model.score(prefixes)
        share = (self._clock() - started) / len(nodes)
        for node, prefix, score in zip(nodes, prefixes, scores, strict=True):
            estimate = self._calibrator.estimate(prefix, score.reward)
            flops = score.prm_tokens * self._reward_model.flops_per_token
            usage = Usage(prm_tokens=score.prm_tokens, flops=flops, seconds=share)
            search.scored(node, score.reward, estimate, usage, self._calibrator)

    def _fail(self, search: Search, error: AdascaleError) -> None:
        for id_ in list(search.running):
            self._cancel(search, id_, "failed")
        search.fail(error)

    def _decide(self, search: Search) -> None:
        """One plan's turn: stop it, or send it what is new."""
        if self._interrupted:
            self._leave(search, "interrupted")
        elif search.over_budget():
            self._spend_no_more(search)
        elif search.stirred:
            if search.fresh:
                search.report_usage()
            search.resume_plan(self._calibrator)
            self._cancel_below_cuts(search)
            if search.finished:
                self._leave(search, None)

    def _spend_no_more(self, search: Search) -> None:
        """The budget is spent: leave with the best answer, or with the first one that can be had."""
        if search.idle and not search.finishing:  # all has been drawn: the plan may have a verdict of its own
            search.resume_plan(self._calibrator)
            if search.finished:
                self._leave(search, None)
                return
        if search.has_solution() or (search.finishing and search.idle):
            self._leave(search, "budget")
        elif not search.finishing:
            kept = search.finish_one()
            for id_ in list(search.running):
                if id_ != kept:
                    self._cancel(search, id_, "budget")

    def _cancel_below_cuts(self, search: Search) -> None:
        cut, search.cut = search.cut, []
        for id_ in search.running_below(cut) if cut else ():
            self._cancel(search, id_, "cut")

    def _leave(self, search: Search, reason: StopReason | None) -> None:
        for id_ in list(search.running):
            self._cancel(search, id_, reason or NOT_NEEDED)
        search.finish(reason, self._calibrator)

    def _cancel(self, search: Search, id_: BranchId, reason: str) -> None:
        del self._owner[id_]
        search.drop_branch(id_, self._policy.cancel(id_), reason)
