"""One problem in flight: its log, plan and running branches. The driver owns the batch and the slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Literal

from ..answers.result import Candidate
from ..errors import AdascaleError, setting
from ..execution import Execution, Trial
from ..kinds import kind_of
from ..kinds.base import Look, Runnable
from ..ports import BranchStart, Calibrator, Clock, Growth, Prefix, QuestionEstimate, Score, Seen
from ..strategies import Command, Cut, Expand
from ..strategies.base import top_k
from ..strategies.redraws import redrawing
from ..types import PROGRAMS, ROOT, BranchId, Mode, NodeId, Notice, Problem, Reading, StopReason, Usage
from .branches import Branches, Cancel
from .events import (
    NOT_NEEDED,
    OUTSIDE,
    AllocationDecided,
    AnswerFound,
    AnswersJudged,
    Event,
    NodesPruned,
    OptionsRead,
    ProgramRan,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepScored,
    Warned,
)
from .judging_order import Turns
from .leaderboard import Leaderboard
from .record import EventLog
from .settings import Settings
from .waiting import Draw, Draws, branch_seed

_OUTSIDE = Notice(
    OUTSIDE, "this question is unlike those that the calibration was fitted on: the probability is rough"
)

_THOUGHT_CUT = Notice(
    "thought-cut",
    "a thought reached its budget: it was closed there, and the answer asked for",
    hint=f"a larger {setting('think')} lets it go on",
)

_UNREAD = Notice(
    "prm-window",
    "a solution was too long for the PRM, which gives it 0",
    hint=f"a smaller {setting('max_tokens')}, or a PRM with a longer window",
)

Phase = Literal["searching", "finishing", "over"]
"""``searching``: the plan decides. ``finishing``: the budget is spent without an answer, and one trajectory
goes on to its end. ``over``: the log has ended."""


class Search:
    """Turns what happens to one problem into events, and resumes its plan until the search is over.

    Args:
        problem: The question.
        settings: Strategy, budget and seed.
        calibrator: Maps rewards to estimates.
        clock: Seconds.
        cancel: Ends an unwanted branch.
        rough: Takes the place of the calibrator where the question is unlike those that it was fitted on.

    Attributes:
        settings: As they were given.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        calibrator: Calibrator,
        clock: Clock,
        cancel: Cancel,
        rough: Calibrator | None = None,
    ) -> None:
        strategy = settings.strategy
        self.problem = problem
        self.settings = settings
        self._calibrator = calibrator
        self._rough = rough
        self._log = EventLog(settings.first_event(problem), clock)
        self._emit = self._log.emit
        self._record = self._log.record
        self._tree = self._record.tree
        self._draws = Draws()
        self._branches = Branches(problem, self._log, self._draws, cancel)
        self._turns = Turns(self._tree, strategy)
        self._leaderboard = Leaderboard(self._tree, strategy, calibrator)
        self._plan = redrawing(self._tree, strategy.plan(self._tree), strategy.redraws)
        self._phase: Phase = "searching"
        self._kind = kind_of(problem)
        self._written: list[tuple[NodeId, str]] = []  # trajectories whose programs are to be run
        self._running: dict[NodeId, Runnable] = {}
        self._unscored: list[NodeId] = []
        self._fresh: list[NodeId] = []  # scored or dropped since the plan was resumed
        self._cut: list[NodeId] = []  # branches below them still run
        for notice in settings.warnings:
            self._emit(Warned(notice=notice))

    @property
    def over(self) -> bool:
        """True once the search has ended."""
        return self._phase == "over"

    def drain(self) -> list[Event]:
        """Events since the last call."""
        return self._log.drain()

    def read_prompts(self, read: Mapping[Mode, tuple[Usage, Reading | None]]) -> None:
        """The prompts of all modes were read: estimate the question in each.

        A value that is unlike those that the calibration was fitted on is judged by votes from here on.
        """
        found = self._estimate_question(read)
        is_outside = any(each.is_outside for each in found.values())
        if is_outside and self._rough is not None:
            self._calibrator = self._rough
            self._leaderboard = Leaderboard(self._tree, self.settings.strategy, self._rough)
            found = self._estimate_question(read)
        for mode, (usage, reading) in read.items():
            self._emit(PromptRead(usage=usage, estimate=found[mode].estimate, reading=reading, mode=mode))
        if is_outside:
            self._warn_once(_OUTSIDE)

    def _estimate_question(
        self, read: Mapping[Mode, tuple[Usage, Reading | None]]
    ) -> dict[Mode, QuestionEstimate]:
        """The question in each mode, before anything is drawn."""
        ask = self._calibrator.question
        return {mode: ask(Prefix(self.problem, (), reading, mode)) for mode, (_, reading) in read.items()}

    @property
    def looks(self) -> tuple[Look, ...]:
        """Looks at the options that are worth their prompt: none where nobody can weigh what they show."""
        is_weighed = self.settings.strategy.looks_ahead and self._calibrator.weights is not None
        return self._kind.looks(self.problem) if is_weighed else ()

    def read_options(self, look: Look, seen: Seen, usage: Usage) -> None:
        """The options were read in one order."""
        options = look.options or self._kind.options(self.problem)
        self._emit(OptionsRead(options=options, log_probs=seen.log_probs, usage=usage))

    def open(self) -> None:
        """All was read that is known before a draw: take the plan's first commands."""
        if self._tree.looks or (len(self.settings.strategy.modes) > 1 and self.settings.strategy.looks_ahead):
            self._judge_answers()  # what the options say, or which mode is worth more
        self._conclude(self._step_plan(None))

    # Drawing

    def running(self) -> list[float]:
        """P(the plan needs it) for each running branch."""
        return [self._turns.chance(branch.draw) for branch in self._branches.running.values()]

    def waiting(self) -> list[tuple[float, Draw]]:
        """Draws that wait, each with P(the plan needs it)."""
        return [(self._turns.chance(draw), draw) for draw in self._draws.waiting]

    def sure_waiting(self) -> int:
        """Number of waiting draws that are sure to be needed."""
        # Chances fall along the queue: behind the first unsure draw no other is sure.
        return sum(1 for _ in takewhile(lambda draw: self._turns.chance(draw) >= 1.0, self._draws.waiting))

    def start(self, id_: BranchId) -> BranchStart:
        """Turn the next waiting draw into a running branch."""
        draw = self._draws.waiting.pop(0)
        self._branches.start(id_, draw)
        return self.branch_of(draw)

    def branch_of(self, draw: Draw) -> BranchStart:
        """The branch that writes a draw."""
        name, asked = self.settings.seeded_as or self.problem.id, draw.asked
        prefix = self._tree.prefix(asked.node, asked.mode)
        seed = branch_seed(self.settings.seed, name, draw.key, asked.mode)
        return BranchStart(prefix, seed, asked.until, asked.greedy, self.settings.sampling, asked.max_tokens)

    def account_growth(self, growth: Growth, usage: Usage) -> bool:
        """Account for one batch of a branch; returns whether the branch has ended."""
        node = self._branches.grow(growth, usage)
        if growth.step is None or node is None:
            return False
        ended = growth.branch not in self._branches.running
        if growth.step.thought == "cut":
            self._warn_once(_THOUGHT_CUT)
        if self._tree[node].mode not in PROGRAMS:
            self._unscored.append(node)
        elif growth.step.finish != "step" or not growth.step.is_thought:
            text = "" if growth.step.is_thought else growth.step.text  # one that never closes has no program
            self._written.append((node, text))
        elif ended:  # no calibration knows the thoughts before a program
            self._fresh.append(node)
        return ended

    def _drop(self, id_: BranchId, reason: str) -> None:
        """End a branch early."""
        trajectory = self._branches.running[id_].draw.trajectory
        is_redrawn = any(draw.trajectory == trajectory for draw in self._draws.waiting)
        if reason == "cut" and not is_redrawn:
            self._turns.hold_until_turn(trajectory, None)
        if (node := self._branches.drop(id_, reason)) is not None:
            self._fresh.append(node)

    # Running programs

    def take_programs(self) -> dict[NodeId, str | Trial]:
        """Programs for an executor; one whose result is known without it can be scored at once."""
        sources: dict[NodeId, str | Trial] = {}
        for node, text in self._written:
            program = self._kind.program(self.problem, text)
            if isinstance(program, Execution):
                self._record_result(node, program)
            else:
                self._running[node] = program
                sources[node] = program.source
        self._written = []
        return sources

    def record_execution(self, node: NodeId, execution: Execution) -> None:
        """A program has run: its node can be scored."""
        self._record_result(node, self._running.pop(node).ran(execution))

    def _record_result(self, node: NodeId, execution: Execution) -> None:
        self._emit(ProgramRan(node=node, execution=execution))
        self._unscored.append(node)

    # Scoring and judging

    def unscored(self) -> list[Prefix]:
        """Prefixes that the reward model has not read."""
        return [self._tree.prefix(node) for node in self._unscored]

    @property
    def is_scored(self) -> bool:
        """True if the reward model has read any node."""
        return any(node.reward is not None for node in self._tree)

    def warn_unread(self) -> None:
        """Warn, once, that the reward model could not read a solution to its end."""
        self._warn_once(_UNREAD)

    def _warn_once(self, notice: Notice) -> None:
        if notice not in self._record.notices:
            self._emit(Warned(notice=notice))

    def record_scores(self, scores: Sequence[Score], usages: Sequence[Usage]) -> None:
        """Record the rewards of ``unscored``, in that order, and the cost of each."""
        nodes, self._unscored = self._unscored, []
        for node, score, usage in zip(nodes, scores, usages, strict=True):
            estimate = self._calibrator.estimate(self._tree.prefix(node), score.reward)
            self._emit(StepScored(node=node, reward=score.reward, estimate=estimate, usage=usage))
            candidate = self._leaderboard.candidate(node)
            if candidate is not None:
                trajectory = self._tree[node].mode, self._draws.keys[node][0]
                if self._turns.hold_until_turn(trajectory, candidate):
                    continue
            self._fresh.append(node)
            if candidate is not None:
                self._count(candidate)

    def _count(self, candidate: Candidate | None) -> None:
        """A trajectory counts, or was cut (None): judge again which answer leads."""
        if candidate is not None:
            self._emit(AnswerFound(node=candidate.node, answer=candidate.answer, estimate=candidate.estimate))
        self._judge_answers()

    def _judge_answers(self) -> None:
        candidates = self._record.candidates
        if not self._turns.is_ordered:  # ties go to the trajectory that was drawn first
            candidates = sorted(candidates, key=lambda each: self._tree.draw_order(each.node))
        standing, result = self._leaderboard.update(candidates, self._turns.cut)
        for node, estimate in self._leaderboard.revisions().items():
            reward = self._tree[node].reward
            assert reward is not None, "a trajectory counts when it is scored"
            self._emit(StepScored(node=node, reward=reward, estimate=estimate, usage=Usage()))
        self._emit(AnswersJudged(standing=standing, groups=result.groups))

    # Deciding

    def decide(self) -> None:
        """Resume the plan if something is new to it, or let the search end once its budget is spent."""
        if self._phase == "finishing":
            if self._has_answer() or self._is_idle:
                self.close("budget")
        elif not self._is_spent():
            if self._fresh or self._turns.is_due or self._is_idle:
                self._conclude(self._resume_plan())
        else:
            if self._is_idle:  # all has been drawn: the plan may have a verdict of its own
                self._conclude(self._resume_plan())
            if not self.over:
                self._spend_no_more()

    def _is_spent(self) -> bool:
        tokens = self._record.usage.generated_tokens + self._branches.pending_tokens
        return self.settings.budget.spent(tokens, self._log.elapsed())

    @property
    def _is_idle(self) -> bool:
        """True if nothing runs, and nothing waits to."""
        return not (self._branches.running or self._has_programs or self._draws.waiting)

    @property
    def _has_programs(self) -> bool:
        """True while a program waits or runs."""
        return bool(self._written or self._running)

    def _resume_plan(self) -> StopReason | None:
        """Send the plan the nodes that are new, then each trajectory whose turn it is.

        Returns:
            The plan's verdict, once it has ended: a plan that asks for nothing while nothing runs has, too.
        """
        nodes, self._fresh = tuple(self._fresh), []
        if nodes or not self._turns.is_due:
            waited_for_nothing = self._is_idle and not nodes
            if verdict := self._step_plan(nodes):
                return verdict
            if waited_for_nothing and self._is_idle:
                return "exhausted"
        while self._turns.is_due:
            candidate = self._turns.take_due()
            self._count(candidate)
            self._turns.pass_on()
            self._sort_draws()
            if verdict := self._step_plan(() if candidate is None else (candidate.node,)):
                return verdict
        return None

    def _step_plan(self, nodes: Sequence[NodeId] | None) -> StopReason | None:
        """Start the plan (None) or send it nodes, and obey it; returns its verdict once it has ended."""
        try:
            commands = next(self._plan) if nodes is None else self._plan.send(nodes)
        except StopIteration as stop:
            return stop.value or "exhausted"
        for command in commands:
            self._obey(command)
        return None

    def _obey(self, command: Command) -> None:
        match command:
            case Expand():
                self._emit(
                    AllocationDecided(
                        node=command.node,
                        granted=command.n,
                        required=command.required,
                        sure=command.sure,
                        mode=command.mode,
                    )
                )
                asked = self._draws.queue(command)
                if command.sure is not None:
                    assert command.node == ROOT, "trajectories that are judged in order begin at the question"
                    self._turns.await_in_order([draw.trajectory for draw in asked], command.sure)
                self._sort_draws()
            case Cut():
                waiting, cut = self._draws.waiting, command.nodes
                self._draws.waiting = [draw for draw in waiting if not self._is_below(draw.asked.node, cut)]
                self._emit(NodesPruned(nodes=command.nodes, reason=command.reason))
                self._cut += command.nodes

    def _sort_draws(self) -> None:
        """Let those draws start first whose turn is expected first."""
        self._draws.waiting.sort(key=self._turns.place)

    def _is_below(self, node: NodeId, ancestors: Sequence[NodeId]) -> bool:
        return node in ancestors or any(n.id in ancestors for n in self._tree.path(node))

    # Ending

    def _conclude(self, verdict: StopReason | None) -> None:
        """The plan was resumed: stop the branches that it cut, and end the search with its verdict if any."""
        cut, self._cut = self._cut, []
        for id_ in [
            id_ for id_, branch in self._branches.running.items() if self._is_below(branch.parent, cut)
        ]:
            self._drop(id_, "cut")
        if verdict is not None:
            self._stop(NOT_NEEDED)
            self._finish(verdict)

    def _spend_no_more(self) -> None:
        """The budget is spent: end with the best answer, or let one trajectory finish if there is none."""
        if self._has_answer():
            self.close("budget")
        elif self._branches.running or not self._has_programs:
            self._finish_one()
        else:
            self._draws.waiting.clear()  # a program runs that may have the answer: begin nothing meanwhile

    def _has_answer(self) -> bool:
        """True if some trajectory that has ended can be shown."""
        ended = [*self._record.candidates, *self._turns.ended_early()]
        return any(map(self._leaderboard.can_be_shown, ended))

    def _finish_one(self) -> None:
        """Let one trajectory go on to its end: the running one that has come furthest, or the best prefix."""
        self._phase = "finishing"
        self._plan.close()
        self._turns.stop_waiting()
        self._draws.waiting.clear()
        whole = [id_ for id_, branch in self._branches.running.items() if branch.draw.asked.until == "answer"]
        furthest = max(whole, key=self._branches.tokens_written, default=None)
        if furthest is None:
            begun = [node.id for node in self._tree if node.status == "open" and node.depth]
            [best] = top_k(self._tree, begun or [ROOT], 1)
            mode = self._tree[best].mode if best != ROOT else self.settings.strategy.modes[0]
            self._draws.queue(Expand(best, 1, "answer", mode=mode))
        for id_ in [id_ for id_ in self._branches.running if id_ != furthest]:
            self._drop(id_, "budget")

    def close(self, reason: StopReason) -> None:
        """End the search before its plan does, with its best answer."""
        self._stop(reason)
        for candidate in self._turns.ended_early():
            self._count(candidate)
        self._finish(reason)

    def fail(self, error: AdascaleError) -> None:
        """End the search: this problem cannot be searched."""
        self._stop("failed")
        self._emit(SearchFailed.of(error))

    def _finish(self, reason: StopReason) -> None:
        self._emit(SearchFinished(result=self._leaderboard.result(reason), usage=self._record.usage))

    def _stop(self, reason: str) -> None:
        for id_ in list(self._branches.running):
            self._drop(id_, reason)
        self._plan.close()
        self._draws.waiting.clear()
        self._phase = "over"
