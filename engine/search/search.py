"""One problem in flight: its log, plan and running branches. The driver owns the batch and the slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..answers.sums import wrong_sums
from ..errors import AdascaleError, setting
from ..ports import Calibrator, Clock, Growth, Prefix, Score
from ..strategies import Command, Cut, Expand
from ..strategies.base import top_k
from ..types import (
    ROOT,
    BranchId,
    Candidate,
    Execution,
    Mode,
    NodeId,
    Notice,
    Problem,
    Reading,
    Step,
    StopReason,
    Usage,
)
from .events import (
    NOT_NEEDED,
    OUTSIDE,
    AllocationDecided,
    AnswerFound,
    AnswersJudged,
    BranchGrew,
    BranchStarted,
    BudgetSpent,
    Event,
    NodesPruned,
    ProgramRan,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
    StepScored,
    Warned,
)
from .leaderboard import Leaderboard
from .programs import Job, Programs, Run
from .record import EventLog
from .settings import Settings
from .turns import Branch, Draw, Turns, branch_seed

GREW_EVERY = 8
"""Tokens between two BranchGrew events of a branch: enough for a view, little for a trace."""

Cancel = Callable[[BranchId], Step | None]
"""Ends a running branch and returns its unfinished step, None if it has no token yet."""

_OUTSIDE = Notice(
    OUTSIDE,
    "this question is unlike those that the calibration was fitted on: "
    "its intervals are widened and say little",
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


class Search:
    """Turns what happens to one problem into events, and resumes its plan until the search is over.

    Args:
        problem: The question.
        settings: Strategy, budget and seed.
        calibrator: Maps rewards to estimates.
        clock: Seconds.
        cancel: Ends an unwanted branch.
    """

    def __init__(
        self, problem: Problem, settings: Settings, calibrator: Calibrator, clock: Clock, cancel: Cancel
    ) -> None:
        strategy = settings.strategy
        self.problem = problem
        self._settings = settings
        self._calibrator = calibrator
        self._cancel = cancel
        self._log = EventLog(settings.first_event(problem), clock)
        self._emit = self._log.emit
        self._record = self._log.record
        self._tree = self._record.tree
        self._turns = Turns(self._tree, strategy)
        self._leaderboard = Leaderboard(self._tree, strategy, calibrator)
        self._plan = strategy.plan(self._tree)
        self._verdict: StopReason | None = None  # why the plan has ended
        self._finishing_one = False
        self._running: dict[BranchId, Branch] = {}
        self._programs = Programs(problem)
        self._unscored: list[NodeId] = []
        self._fresh: list[NodeId] = []  # scored or dropped since the plan went on
        self._cut: list[NodeId] = []  # branches below them still run
        for notice in settings.warnings:
            self._emit(Warned(notice=notice))

    @property
    def over(self) -> bool:
        """Whether the search has ended."""
        return self._record.end is not None

    def drain(self) -> list[Event]:
        """Events since the last call."""
        return self._log.drain()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How its trajectories reason: each mode has a prompt of its own."""
        return self._settings.strategy.modes

    def read_prompt(self, mode: Mode, usage: Usage, reading: Reading | None) -> None:
        """The prompt of a mode was read: estimate the question."""
        question = Prefix(self.problem, (), reading, mode)
        estimate = self._calibrator.question(question)
        self._emit(PromptRead(usage=usage, estimate=estimate, reading=reading, mode=mode))
        if self._calibrator.is_outside(question):
            self._emit(Warned(notice=_OUTSIDE))

    def open(self) -> None:
        """All prompts were read: take the plan's first commands."""
        if len(self.modes) > 1 and self._settings.strategy.looks_ahead:
            self._judge_answers()  # none yet, but which mode is worth more
        self._step_plan(None)
        if self._verdict is not None:
            self.close()

    # Drawing

    def chances(self) -> tuple[list[float], list[float]]:
        """P(the plan needs it) of each running branch, and of each waiting draw."""
        running = [self._turns.chance(branch.draw) for branch in self._running.values()]
        return running, self._turns.waiting_chances()

    def sure_waiting(self) -> int:
        """How many waiting draws are sure to be needed."""
        return self._turns.sure_waiting()

    def start(self, id_: BranchId) -> tuple[Prefix, int, Draw]:
        """Turn the next waiting draw into a running branch; returns where it starts and its seed."""
        draw = self._turns.next_draw()
        self._running[id_] = Branch(draw, draw.parent, draw.key)
        self._emit(BranchStarted(branch=id_, parent=draw.parent, greedy=draw.greedy, mode=draw.mode))
        name = self._settings.seeded_as or self.problem.id
        seed = branch_seed(self._settings.seed, name, draw.key, draw.mode)
        return self._tree.prefix(draw.parent, draw.mode), seed, draw

    def account_growth(self, growth: Growth, usage: Usage) -> bool:
        """Account for one batch of a branch; returns whether the branch has ended."""
        branch = self._running[growth.branch]
        branch.pending = branch.pending + usage
        branch.unreported += growth.new_tokens
        # A chat is read as it is written; of a search that many tokens are enough.
        if branch.unreported >= (1 if self.problem.is_chat else GREW_EVERY):
            branch.unreported, tokens = 0, branch.pending.generated_tokens
            self._emit(
                BranchGrew(
                    branch=growth.branch,
                    parent=branch.parent,
                    text=growth.text,
                    tokens=tokens,
                    thinks=growth.thinks,
                )
            )
        if growth.step is None:
            return False
        is_last = growth.step.finish != "step"
        ended = is_last or branch.draw.until == "step"
        node = self._add_step(growth.branch, growth.step, ended=ended)
        if growth.step.thought == "cut" and _THOUGHT_CUT not in self._record.notices:
            self._emit(Warned(notice=_THOUGHT_CUT))
        if branch.draw.mode == "prose":
            self._unscored.append(node)
        elif is_last or not growth.step.is_thought:
            text = "" if growth.step.is_thought else growth.step.text  # one that never closes has no program
            self._programs.add(node, text, branch.draw.mode)
        elif ended:  # no calibration knows the thoughts before a program
            self._fresh.append(node)
        return ended

    def _add_step(self, id_: BranchId, step: Step, *, ended: bool) -> NodeId:
        """Turn a completed step into a node, and find its wrong sums."""
        branch = self._running[id_]
        # In a program an equal sign is no equation, and what is wrong in a thought may be put right there.
        has_sums = branch.draw.mode == "prose" and not step.is_thought
        if has_sums and not step.wrong_sums and (wrong := wrong_sums(step.text, self.problem.question)):
            step = replace(step, wrong_sums=wrong)
        node, parent, usage = NodeId(len(self._tree)), branch.parent, branch.pending
        self._emit(StepProposed(node=node, parent=parent, branch=id_, step=step, usage=usage, ended=ended))
        self._turns.set_key(node, branch.key)
        branch.parent, branch.key = node, (*branch.key, 0)
        branch.pending, branch.unreported = Usage(), 0
        if ended:
            del self._running[id_]
        return node

    def _drop(self, id_: BranchId, reason: str) -> None:
        """End a branch early; its unfinished step becomes a pruned node, so that no cost is lost."""
        if reason == "cut":
            self._turns.skip(self._running[id_].draw.trajectory)
        partial = self._cancel(id_)
        if partial is None:
            self._emit(PromptRead(usage=self._running.pop(id_).pending))
            return
        node = self._add_step(id_, partial, ended=True)
        self._emit(NodesPruned(nodes=(node,), reason=reason))
        self._fresh.append(node)

    # Running programs

    def take_programs(self) -> list[Job]:
        """What an executor is to run; a program whose fate is known without it can be scored at once."""
        jobs: list[Job] = []
        for each in self._programs.take():
            match each:
                case Job():
                    jobs.append(each)
                case Run():
                    self._record_run(each)
        return jobs

    def record_execution(self, node: NodeId, execution: Execution) -> None:
        """A program has run: its node can be scored."""
        self._record_run(self._programs.end(node, execution))

    def _record_run(self, run: Run) -> None:
        self._emit(ProgramRan(node=run.node, execution=run.execution, trial=run.trial))
        self._unscored.append(run.node)

    # Scoring and judging

    def unscored(self) -> list[Prefix]:
        """Prefixes that the reward model has not read."""
        return [self._tree.prefix(node) for node in self._unscored]

    @property
    def is_scored(self) -> bool:
        """Whether the reward model has read anything of it."""
        return any(node.reward is not None for node in self._tree)

    def warn_unread(self) -> None:
        """Say, once, that the reward model could not read a solution to its end."""
        if all(notice.code != _UNREAD.code for notice in self._record.notices):
            self._emit(Warned(notice=_UNREAD))

    def record_scores(self, scores: Sequence[Score], usages: Sequence[Usage]) -> None:
        """Record the rewards of ``unscored``, in that order, and the cost of each."""
        nodes, self._unscored = self._unscored, []
        for node, score, usage in zip(nodes, scores, usages, strict=True):
            estimate = self._calibrator.estimate(self._tree.prefix(node), score.reward)
            self._emit(StepScored(node=node, reward=score.reward, estimate=estimate, usage=usage))
            candidate = self._leaderboard.candidate(node)
            if candidate is not None and self._turns.hold_until_turn(candidate):
                continue
            self._fresh.append(node)
            if candidate is not None:
                self._count(candidate)

    def _count(self, candidate: Candidate | None) -> None:
        """A trajectory counts, or was cut (None): judge which answer leads now."""
        if candidate is not None:
            self._emit(AnswerFound(node=candidate.node, answer=candidate.answer, estimate=candidate.estimate))
        self._judge_answers()

    def _judge_answers(self) -> None:
        ordered = self._turns.in_order(self._record.candidates)
        standing, result = self._leaderboard.update(ordered, self._turns.cut)
        for node, estimate in self._leaderboard.revisions().items():
            reward = self._tree[node].reward
            assert reward is not None, "a trajectory counts when it is scored"
            self._emit(StepScored(node=node, reward=reward, estimate=estimate, usage=Usage()))
        self._emit(AnswersJudged(standing=standing, groups=result.groups))

    # Deciding

    def decide(self) -> None:
        """Resume the plan where a node is new to it; end with the plan, or when the budget is spent."""
        pending = sum(branch.pending.generated_tokens for branch in self._running.values())
        tokens = self._record.usage.generated_tokens + pending
        if self._settings.budget.spent(tokens, self._log.elapsed()):
            self._spend_no_more()
        elif self._fresh or self._turns.is_due or self._idle:
            if self._fresh:
                self._emit(BudgetSpent(usage=self._record.usage))
            self._resume_plan()

    @property
    def _idle(self) -> bool:
        """Whether nothing runs, and nothing waits to."""
        return not (self._running or self._programs.pending or self._turns.any_waiting)

    def _resume_plan(self) -> None:
        """Send the plan the nodes that are new, then each trajectory whose turn it is."""
        nodes, self._fresh = tuple(self._fresh), []
        if nodes or not self._turns.is_due:
            waits_for_nothing = self._idle and not nodes
            self._step_plan(nodes)
            if waits_for_nothing and self._idle:
                self._verdict = self._verdict or "exhausted"
        while self._verdict is None and self._turns.is_due:
            candidate = self._turns.take_due()
            self._count(candidate)
            self._turns.pass_on()
            self._step_plan(() if candidate is None else (candidate.node,))
        cut, self._cut = self._cut, []
        for id_ in [id_ for id_, branch in self._running.items() if self._is_below(branch.parent, cut)]:
            self._drop(id_, "cut")
        if self._verdict is not None:
            self.close()

    def _step_plan(self, nodes: Sequence[NodeId] | None) -> None:
        try:
            commands = next(self._plan) if nodes is None else self._plan.send(nodes)
        except StopIteration as stop:
            self._verdict = stop.value or "exhausted"
            return
        for command in commands:
            self._obey(command)

    def _obey(self, command: Command) -> None:
        match command:
            case Expand():
                self._emit(
                    AllocationDecided(
                        node=command.node,
                        granted=command.n,
                        until=command.until,
                        lower=command.lower,
                        required=command.required,
                        sure=command.sure,
                        mode=command.mode,
                    )
                )
                self._turns.queue(command)
            case Cut():
                self._turns.withdraw(lambda node: self._is_below(node, command.nodes))
                self._cut += command.nodes
                self._emit(NodesPruned(nodes=command.nodes, reason=command.reason))

    def _is_below(self, node: NodeId, ancestors: Sequence[NodeId]) -> bool:
        return node in ancestors or any(n.id in ancestors for n in self._tree.path(node))

    def _spend_no_more(self) -> None:
        """The budget is spent: end with the best answer, or let one trajectory finish where there is none."""
        if self._idle and not self._finishing_one:
            self._resume_plan()  # all has been drawn: the plan may have a verdict of its own
            if self.over:
                return
        ended = [*self._record.candidates, *self._turns.ended_early()]
        if any(map(self._leaderboard.can_be_shown, ended)) or (self._finishing_one and self._idle):
            self.close("budget")
        elif not self._finishing_one and (self._running or not self._programs.pending):
            self._finish_one()
        elif not self._finishing_one:
            self._turns.stop_waiting()  # a program runs that may have the answer: nothing is begun meanwhile

    def _finish_one(self) -> None:
        """Let one trajectory go on to its end: the running one that has come furthest, or the best prefix."""
        self._finishing_one = True
        self._plan.close()
        self._turns.stop_ordering()
        self._turns.stop_waiting()
        whole = [id_ for id_, branch in self._running.items() if branch.draw.until == "answer"]
        furthest = max(whole, key=self._tokens_written, default=None)
        if furthest is None:
            begun = [node.id for node in self._tree if node.status == "open" and node.depth]
            [best] = top_k(self._tree, begun or [ROOT], 1)
            mode = self._tree[best].mode if best != ROOT else self.modes[0]
            self._turns.queue(Expand(best, 1, "answer", mode=mode))
        for id_ in [id_ for id_ in self._running if id_ != furthest]:
            self._drop(id_, "budget")

    def _tokens_written(self, id_: BranchId) -> tuple[int, int]:
        """Tokens of a running trajectory; of equals the first drawn is largest."""
        branch = self._running[id_]
        steps = sum(len(step.token_ids) for step in self._tree.steps(branch.parent))
        return steps + branch.pending.generated_tokens, -id_

    # Ending

    def close(self, reason: StopReason | None = None) -> None:
        """End the search with its best answer; without a reason by the plan's own verdict."""
        self._stop(reason or NOT_NEEDED)
        if reason is not None:
            # Stopped from outside: trajectories that ended before their turn count now.
            for candidate in self._turns.ended_early():
                self._count(candidate)
        result = self._leaderboard.result(reason or self._verdict or "exhausted")
        self._emit(SearchFinished(result=result, usage=self._record.usage))

    def fail(self, error: AdascaleError) -> None:
        """End the search: this problem cannot be searched."""
        self._stop("failed")
        self._emit(SearchFailed.of(error))

    def _stop(self, reason: str) -> None:
        for id_ in list(self._running):
            self._drop(id_, reason)
        self._plan.close()
        self._turns.stop_waiting()
