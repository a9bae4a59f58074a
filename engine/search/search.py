"""One problem in flight: its tree, its plan, its log. The driver owns the batch and the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from ..answers.sums import wrong_sums
from ..budget import Usage
from ..errors import AdascaleError
from ..ports import Calibrator, Clock, Prefix
from ..strategies import Command, Cut, Expand
from ..strategies.base import top_k
from ..types import ROOT, BranchId, Candidate, Estimate, NodeId, Notice, Problem, Reading, Step, StopReason
from .branches import Branch, Draw, Draws, branch_seed
from .events import (
    AllocationDecided,
    AnswerFound,
    AnswersJudged,
    BranchGrew,
    BranchStarted,
    BudgetSpent,
    NodesPruned,
    PromptRead,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
)
from .log import EventLog
from .settings import Settings
from .tree import Tree
from .turns import Counted

GREW_EVERY = 8
"""Tokens between two BranchGrew events of a branch: enough for a view, little for a trace."""


class Search:
    """Folds what happens to one problem into events of ``log``, and keeps its plan going."""

    def __init__(self, problem: Problem, settings: Settings, clock: Clock) -> None:
        self.problem = problem
        self.settings = settings
        self.tree = Tree(problem)
        self.usage = Usage()
        self.running: dict[BranchId, Branch] = {}
        self.draws = Draws()
        self.fresh: list[NodeId] = []
        self.unscored: list[NodeId] = []
        self.cut: list[NodeId] = []
        self.finished = False
        self.finishing = False
        self.log = EventLog(self.tree, clock)
        self.emit = self.log.emit
        self._plan = settings.strategy.plan(self.tree)
        self._verdict: StopReason = "exhausted"
        self._counted = Counted(self.tree, settings.strategy)

    def begin(self) -> None:
        """Log what is searched and how."""
        s = self.settings
        self.emit(
            SearchStarted,
            problem=self.problem,
            strategy=s.strategy.name,
            params=s.strategy.recorded(),
            models=s.models,
            select=s.strategy.select,
            budget=s.budget,
            seed=s.seed,
            calibrated=s.models.calibration is not None,
        )
        for notice in s.warnings:
            self.warn(notice)

    def warn(self, notice: Notice) -> None:
        """Log something that the user should know."""
        self.emit(Warned, code=notice.code, message=notice.message, facts=notice.facts, hint=notice.hint)

    def read_prompt(self, usage: Usage, reading: Reading | None, estimate: Estimate | None) -> None:
        """Charge the prompt to the root, with what is known of the question before anything is drawn."""
        self._charge(PromptRead, usage, estimate=estimate, reading=reading)

    def start_plan(self) -> None:
        """Take the plan's first commands; a plan may end at once."""
        self._step_plan(None)

    @property
    def idle(self) -> bool:
        """Whether nothing runs, and nothing waits to."""
        return not (self.running or self.draws.waiting)

    @property
    def stirred(self) -> bool:
        """Whether there is something that the plan has not seen, or nothing more that it could wait for."""
        return bool(self.fresh) or self._counted.due or self.idle

    def resume_plan(self, calibrator: Calibrator) -> None:
        """Send the plan the nodes that were scored since, then each trajectory whose turn it is."""
        nodes, self.fresh = tuple(self.fresh), []
        if nodes or not self._counted.due:
            self._step_plan(nodes)
        while not self.finished and self._counted.due:
            found = self._counted.take()
            self._tell(found, calibrator)
            self._step_plan(() if found is None else (found.node,))

    def _step_plan(self, nodes: Sequence[NodeId] | None) -> None:
        try:
            commands = next(self._plan) if nodes is None else self._plan.send(nodes)
        except StopIteration as stop:
            self._verdict = stop.value or "exhausted"
            self.finished = True
            return
        for command in commands:
            self._obey(command)

    def _obey(self, command: Command) -> None:
        match command:
            case Expand():
                self._allocate(command)
            case Cut():
                kept = [draw for draw in self.draws.waiting if not self._below(draw.parent, command.nodes)]
                self.draws.waiting = deque(kept)
                self.cut += command.nodes
                self.emit(NodesPruned, nodes=command.nodes, reason=command.reason)

    def _allocate(self, command: Expand) -> None:
        self.emit(
            AllocationDecided,
            node=command.node,
            granted=command.n,
            until=command.until,
            lower=command.lower,
            required=command.required,
            sure=command.sure,
        )
        if command.sure is not None:
            assert command.node == ROOT, "what is judged in order begins at the question"
            assert not self._counted.sure, "a plan judges one sequence of trajectories"
            self._counted.sure = command.sure
        self.draws.ask(command.node, command.n, command.until, greedy=command.greedy)
        if self._counted.sure:
            self.draws.in_turn()

    def running_below(self, nodes: Sequence[NodeId]) -> list[BranchId]:
        """Running branches that grow from ``nodes`` or below them."""
        return [id_ for id_, branch in self.running.items() if self._below(branch.parent, nodes)]

    def _below(self, node: NodeId, ancestors: Sequence[NodeId]) -> bool:
        return node in ancestors or any(n.id in ancestors for n in self.tree.path(node))

    def chances(self) -> tuple[list[float], list[float]]:
        """How likely it is that each running branch, and each waiting draw, is of use to the plan."""
        running = [self._counted.chance(branch.draw) for branch in self.running.values()]
        return running, [self._counted.chance(draw) for draw in self.draws.waiting]

    def sure(self) -> int:
        """How many waiting draws are sure to be of use."""
        # They wait in their order: none behind one that is not sure is.
        return sum(1 for _ in takewhile(lambda draw: self._counted.chance(draw) >= 1.0, self.draws.waiting))

    def start_branch(self, id_: BranchId) -> tuple[Prefix, int, Draw]:
        """Turn the next waiting draw into a running branch; returns where it starts and its seed."""
        draw = self.draws.waiting.popleft()
        self.running[id_] = Branch(draw, draw.parent, draw.key)
        self.emit(BranchStarted, branch=id_, parent=draw.parent, greedy=draw.greedy)
        prefix = self.prefix(draw.parent)
        return prefix, branch_seed(self.settings.seed, self.problem.id, draw.key), draw

    def prefix(self, node: NodeId) -> Prefix:
        """What a policy continues and a reward model reads."""
        return Prefix(self.problem, self.tree.steps(node), self.tree.reading)

    def grew(self, id_: BranchId, text: str, tokens: int, usage: Usage) -> None:
        """Account for one batch of a branch, and report its text now and then."""
        branch = self.running[id_]
        branch.pending = branch.pending + usage
        branch.reported += tokens
        if branch.reported >= GREW_EVERY:
            branch.reported = 0
            generated = branch.pending.generated_tokens
            self.emit(BranchGrew, branch=id_, parent=branch.parent, text=text, tokens=generated)

    def add_step(self, id_: BranchId, step: Step, *, ended: bool) -> NodeId:
        """Turn a completed step into a node; here its sums are done over, once for everyone."""
        branch = self.running[id_]
        if not step.wrong_sums and (wrong := wrong_sums(step.text, self.problem.question)):
            step = replace(step, wrong_sums=wrong)
        node = NodeId(len(self.tree))
        self._charge(
            StepProposed,
            branch.pending,
            node=node,
            parent=branch.parent,
            branch=id_,
            step=step,
            ended=ended,
        )
        self.draws.made(node, branch.key)
        branch.parent, branch.key = node, (*branch.key, 0)
        branch.pending, branch.reported = Usage(), 0
        if ended:
            del self.running[id_]
        self.unscored.append(node)
        return node

    def drop_branch(self, id_: BranchId, partial: Step | None, reason: str) -> None:
        """End a branch early; its unfinished step becomes a pruned node, so that no cost is lost."""
        turn = self.running[id_].key[0]
        if reason == "cut" and self._counted.awaits(turn) and not self.draws.waits(turn):
            self._counted.wait(turn, None)
        if partial is not None:
            node = self.add_step(id_, partial, ended=True)
            self.unscored.remove(node)
            self.emit(NodesPruned, nodes=(node,), reason=reason)
            self.fresh.append(node)
            return
        self._charge(PromptRead, self.running.pop(id_).pending)

    def scored(
        self, node: NodeId, reward: float, estimate: Estimate, usage: Usage, calibrator: Calibrator
    ) -> None:
        """Record a reward; a finished trajectory counts at once unless it has to wait its turn."""
        self._charge(StepScored, usage, node=node, reward=reward, estimate=estimate)
        found = self._counted.candidate(node, estimate)
        if found is not None and self._counted.awaits(turn := self.draws.turn(node)):
            self._counted.wait(turn, found)
            return
        self.fresh.append(node)
        if found is not None:
            self._counted.count(found)
            self._tell(found, calibrator)

    def _tell(self, found: Candidate | None, calibrator: Calibrator) -> None:
        """Log what has just been counted, and which answer leads now."""
        if found is not None:
            self.emit(AnswerFound, node=found.node, answer=found.answer, estimate=found.estimate)
        self.emit(AnswersJudged, standing=self._counted.standing(calibrator))

    def report_usage(self) -> None:
        """Log the usage so far."""
        self.emit(BudgetSpent, usage=self.usage)

    def over_budget(self) -> bool:
        """Whether tokens or seconds are used up, unfinished steps included."""
        pending = sum(branch.pending.generated_tokens for branch in self.running.values())
        return self.settings.budget.spent(self.usage.generated_tokens + pending, self.log.elapsed())

    def has_solution(self) -> bool:
        """Whether a trajectory has finished that could be shown."""
        return self._counted.any_solution

    def finish_one(self) -> BranchId | None:
        """The budget is spent and there is nothing to show: let one trajectory go on to its end.

        Returns:
            The running branch that has come furthest; None where none runs and the best prefix goes on.
        """
        self.finishing = True
        self._counted.sure = 0  # what ends from here on counts at once
        self._plan.close()
        self.draws.waiting.clear()
        whole = [id_ for id_, branch in self.running.items() if branch.draw.until == "answer"]
        if whole:
            return max(whole, key=self._written)
        begun = [node.id for node in self.tree if node.status == "open" and node.depth]
        [best] = top_k(self.tree, begun or [ROOT], 1)
        self.draws.ask(best, 1, "answer")
        return None

    def _written(self, id_: BranchId) -> tuple[int, int]:
        branch = self.running[id_]
        steps = sum(len(step.token_ids) for step in self.tree.steps(branch.parent))
        return steps + branch.pending.generated_tokens, -id_

    def finish(self, reason: StopReason | None, calibrator: Calibrator) -> None:
        """Close the plan and choose the answer; without a reason it is the plan's own."""
        self._plan.close()
        self.draws.waiting.clear()
        if reason is not None:
            # Stopped from outside: what has run ahead is all that there will be.
            for found in self._counted.ahead():
                self._counted.count(found)
                self._tell(found, calibrator)
        result = self._counted.result(reason or self._verdict, calibrator)
        self.emit(SearchFinished, result=result, usage=self.usage)
        self.finished = True

    def fail(self, error: AdascaleError) -> None:
        """Log that this problem cannot be searched."""
        self._plan.close()
        self.emit(
            SearchFailed,
            code=error.slug,
            message=error.message,
            facts=error.facts,
            hint=error.hint,
            error_type=type(error).__name__,
        )
        self.finished = True

    def _charge(self, cls: type[Any], usage: Usage, **fields: Any) -> None:
        self.usage = self.usage + usage
        self.emit(cls, usage=usage, **fields)
