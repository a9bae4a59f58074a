"""One question from its prompt to its answer: branches that run side by side on a clock of the search's own.

The clock counts tokens. A search has a schedule: so many branches run in lock step, one token each at a time,
and a branch that ends leaves its place to the next one at that very time. What the generator has written is
taken in the order of this clock, so a branch that waits for its turn in the batch is waited for. The tree,
the answer and its probability depend on the question, the seed and the schedule; they depend neither on other
questions nor on how busy the machine is, unless a budget ends the search: it bounds what was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Literal

from ..answers.choosing import Candidate, FinishedSearch, choose, likeliest
from ..answers.sums import wrong_sums
from ..errors import AdascaleError, ContextOverflowError, ModelError, setting
from ..kinds import KINDS, kind_of
from ..ports import (
    AnswerEstimates,
    BranchStart,
    Clock,
    Growth,
    Prefix,
)
from ..request import Settings
from ..strategies import Cut, Expand
from ..strategies.base import top_k
from ..strategies.redraws import redrawing
from ..types import (
    PROGRAMS,
    ROOT,
    Execution,
    Mode,
    NodeId,
    Notice,
    Problem,
    Step,
    StopReason,
    Usage,
)
from .branches import Branch, Branches, branch_seed
from .events import (
    NOT_NEEDED,
    OUT_OF_DISTRIBUTION,
    AllocationDecided,
    AnswerFound,
    AnswersJudged,
    BranchGrew,
    BranchStarted,
    Event,
    NodesPruned,
    OptionsRead,
    ProgramRan,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
    StepScored,
    Warned,
)
from .record import Record

if TYPE_CHECKING:
    from ..calibration.posterior import Posterior
    from .driver import Driver

GREW_EVERY = 8
"""Tokens between two BranchGrew events of a branch: enough for a view, little for a trace."""

_OUT_OF_DISTRIBUTION = Notice(
    OUT_OF_DISTRIBUTION,
    "the number is rough: the calibration was fitted on unlike questions, so it counts votes alone",
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

Phase = Literal["searching", "spent", "finishing", "over"]
"""``searching``: the plan decides. ``spent``: the budget is used up; text already written still counts, and
nothing new starts. ``finishing``: one trajectory goes on to its end, since there is no answer yet. ``over``:
the log has ended."""


class Search:
    """Turns what is written for one problem into events, and resumes its plan until the search is over.

    Args:
        problem: The question.
        settings: Strategy, schedule, budget and seed.
        calibrator: Maps rewards to estimates.
        clock: Seconds.
        engine: The driver, which scores prefixes, runs programs and ends unwanted branches.

    Attributes:
        settings: As they were given.
        branches: Its branches.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        calibrator: Posterior,
        clock: Clock,
        engine: Driver,
    ) -> None:
        strategy = settings.strategy
        self.problem = problem
        self.settings = settings
        self.branches = Branches()
        self._engine = engine
        self._kind = kind_of(problem)
        self._calibrator = calibrator
        self._clock, self._began = clock, clock()
        first = replace(settings.first_event(problem), t=self._elapsed())
        self._undelivered: list[Event] = [first]
        self._numbers = count(1)
        self._record = Record(first)
        self._tree = self._record.tree
        self._cut = 0  # trajectories, which count as ended
        self._plan = redrawing(self._tree, strategy.plan(self._tree), strategy.redraws)
        self._phase: Phase = "searching"
        self._opened = set[Mode]()  # whose prompts have been read
        self._executing: set[NodeId] = set()
        self._unscored: list[NodeId] = []
        self._fresh: list[NodeId] = []  # scored or dropped since the plan was resumed
        for notice in settings.warnings:
            self._emit(Warned(notice=notice))

    @property
    def over(self) -> bool:
        """True once the search has ended."""
        return self._phase == "over"

    @property
    def has_reply(self) -> bool:
        """True if there is something to show."""
        return self._tree.standing.has_reply

    def drain(self) -> list[Event]:
        """Events since the last call."""
        events, self._undelivered = self._undelivered, []
        return events

    def _emit(self, event: Event) -> None:
        """Stamp an event, fold it and keep it, so that the log and the record cannot disagree."""
        stamped = replace(event, seq=next(self._numbers), t=self._elapsed())
        self._record.add(stamped)
        self._undelivered.append(stamped)

    def _elapsed(self) -> float:
        return self._clock() - self._began

    # Reading the question

    def begin(self) -> None:
        """Read the options, if anybody weighs them, and start the plan.

        Raises:
            AdascaleError: it cannot be searched, such as a ContextOverflowError.
        """
        strategy = self.settings.strategy
        is_weighed = strategy.reads_options and self._calibrator.options is not None
        for asked in self._kind.option_prompts(self.problem) if is_weighed else ():
            seen, usage = self._engine.option_logits(asked, self.problem)
            options = asked.options or self._kind.options(self.problem)
            self._emit(OptionsRead(options=options, log_probs=seen.log_probs, usage=usage))
        if self._tree.option_logits:
            self._judge_answers()
        if strategy.reads_question:
            self._read_prompt(strategy.modes[0])
        self._step_plan(None)

    def _read_prompt(self, mode: Mode) -> None:
        """Read the prompt of a mode, and estimate the question in it.

        Raises:
            AdascaleError: as ``begin``.
        """
        self._opened.add(mode)
        work, usage = self._engine.open(self.problem, mode)
        prefix = Prefix(self.problem, (), work.reading, mode)
        question = self._calibrator.question(prefix)
        # A fit has seen no conversation.
        is_out = bool(self.problem.history) or question.out_of_distribution
        if is_out and KINDS[self.problem.kind].is_fitted:
            self._calibrator = self._calibrator.unfitted
            question = self._calibrator.question(prefix)
        self._emit(PromptRead(usage=usage, estimate=question.estimate, reading=work.reading, mode=mode))
        if is_out:
            self._warn_once(_OUT_OF_DISTRIBUTION)

    # Writing

    def start_of(self, branch: Branch) -> BranchStart:
        """The order for the generator to run a branch."""
        name, asked = self.settings.seeded_as or self.problem.id, branch.asked
        prefix = self._tree.prefix(asked.node, asked.mode)
        seed = branch_seed(self.settings.seed, name, branch.key, asked.mode)
        return BranchStart(prefix, seed, asked.until, asked.greedy, self.settings.sampling, asked.max_tokens)

    def advance(self) -> None:
        """Take what was written, as far as all branches have come, and decide at each time what is next."""
        while not (self.over or self._executing):
            self._score()
            if not self.over:
                self._decide()
            if self.over or not self._tick():
                return
        if not self.over and self._executing and self._is_spent:  # it does not wait for programs
            self._score()
            if not self.over and self._may_end:
                self.close("budget")

    def _tick(self) -> bool:
        """Take what is written at the next time of the clock; False while a branch has not come so far."""
        due = self.branches.tick()
        for branch in due:
            if not self.over:  # the search fails where nothing may run its program
                self._take(branch, *branch.ahead.popleft())
        return bool(due)

    def _take(self, branch: Branch, growth: Growth, usage: Usage) -> None:
        if growth.begins_again:
            kept = len(self._tree.path(branch.asked.node))
            if lost := tuple(node.id for node in self._tree.path(branch.parent)[kept:]):
                self._emit(NodesPruned(nodes=lost, reason="it broke off, and begins again"))
            self.branches.begin_again(branch)
        branch.at += growth.new_tokens
        branch.step = growth.step
        branch.cost += usage
        branch.unreported += growth.new_tokens
        if growth.step.finish is not None:
            self._complete(branch, growth.step)
        # A chat is read as it is written; of a search that many tokens are enough.
        elif branch.unreported >= (1 if self.problem.is_chat else GREW_EVERY):
            branch.unreported = 0
            self._emit(
                BranchGrew(
                    branch=branch.id,
                    parent=branch.parent,
                    text=growth.step.text,
                    tokens=len(growth.step.token_ids),
                    thinks=growth.thinks,
                )
            )

    def _complete(self, branch: Branch, step: Step) -> None:
        """A step is complete: it is scored next, or as a program run first."""
        ends = step.finish != "step" or branch.asked.until == "step"
        node = self._add_step(branch, step, ends=ends)
        if step.thought == "cut":
            self._warn_once(_THOUGHT_CUT)
        if branch.mode not in PROGRAMS:
            self._unscored.append(node)
        elif step.finish != "step" or not step.is_thought:
            self._execute(node, "" if step.is_thought else step.text)  # a thought that never closes has none
        elif ends:  # no calibration knows the thoughts before a program
            self._fresh.append(node)

    def _add_step(self, branch: Branch, step: Step, *, ends: bool) -> NodeId:
        """Turn a step into a node, and find its wrong sums."""
        # In a program an equal sign is no equation, and what is wrong in a thought may be put right there.
        has_sums = branch.mode == "prose" and not step.is_thought
        if has_sums and not step.wrong_sums and (wrong := wrong_sums(step.text, self.problem.question)):
            step = replace(step, wrong_sums=wrong)
        node, parent = NodeId(len(self._tree)), branch.parent
        self._emit(
            StepProposed(node=node, parent=parent, branch=branch.id, step=step, usage=branch.cost, ended=ends)
        )
        self.branches.add_step(branch, node, ends=ends)
        return node

    def _execute(self, node: NodeId, text: str) -> None:
        """Run a program; one whose result is known without that can be scored at once."""
        program = self._kind.program(self.problem, text)
        if isinstance(program, Execution):
            self._record_result(node, program)
        else:
            self._executing.add(node)
            self._engine.execute(self, node, program)

    def record_execution(self, node: NodeId, execution: Execution) -> None:
        """A program has run: its node can be scored."""
        self._executing.remove(node)
        self._record_result(node, execution)

    def _record_result(self, node: NodeId, execution: Execution) -> None:
        self._emit(ProgramRan(node=node, execution=execution))
        self._unscored.append(node)

    # Scoring and judging

    def _score(self) -> None:
        """Score the nodes of this time, and count those that end a trajectory."""
        nodes, self._unscored = sorted(self._unscored, key=self._tree.draw_order), []
        if not nodes:
            return
        try:
            scores = self._engine.score([self._tree.prefix(node) for node in nodes])
        except ModelError as error:
            self.fail(error)
            return
        unread = [score for score, _ in scores if isinstance(score, ContextOverflowError)]
        if len(unread) == len(scores) and all(node.reward is None for node in self._tree):
            self.fail(unread[0])
            return
        for node, (score, usage) in zip(nodes, scores, strict=True):
            if isinstance(score, ContextOverflowError):
                self._warn_once(_UNREAD)
            reward = 0.0 if isinstance(score, ContextOverflowError) else score.reward
            estimate = self._calibrator.estimate(self._tree.prefix(node), reward)
            self._emit(StepScored(node=node, reward=reward, estimate=estimate, usage=usage))
            self._fresh.append(node)
            if self._tree[node].status == "terminal":
                self._emit(AnswerFound(node=node, answer=self._answer(node), estimate=estimate))
                self._judge_answers()

    def _answer(self, node: NodeId) -> str | None:
        """The answer of the trajectory that ends at a node."""
        end = self._tree[node]
        finish = end.step.finish if end.step is not None else None
        assert finish is not None, "it has ended"
        return self._kind.answer(self.problem, end.mode, self._tree.text(node), finish, end.execution)

    def _can_be_shown(self, candidate: Candidate) -> bool:
        """True for an answer, a text that ended by itself without one, and a reply that stays alone."""
        end = self._tree[candidate.node]
        ended_by_itself = end.step is not None and end.step.finish == "stop"
        is_prose = end.mode == "prose" and self.problem.kind != "json"
        is_alone = self.problem.is_chat or self.problem.kind == "fact"
        is_said = is_prose and bool(self._tree.text(end.id).strip())
        return candidate.answer is not None or (is_said and (ended_by_itself or is_alone))

    def _judge_answers(self) -> None:
        """Find the answer that leads, and how likely each is by all that has ended and was read."""
        tree, strategy = self._tree, self.settings.strategy
        # Ties go to the trajectory that was drawn first.
        ended = sorted(self._record.candidates, key=lambda each: tree.draw_order(each.node))
        shown = [each for each in ended if self._can_be_shown(each)]
        if strategy.rule == "first" and (self.settings.models.sampling or {}).get("greedy"):
            # The model cannot decode greedily: of the first two readings the likelier one is the answer.
            shown[:2] = sorted(shown[:2], key=lambda each: each.nll or 0.0)
        same = self._kind.equality(self.problem)
        result = choose(shown, strategy.rule, same, lambda node: tree[node].mode)
        # A failed program cannot be shown, and speaks against the answer all the same.
        counted = tuple(each for each in ended if each.mode != "prose" or each in shown)
        modes = {each.mode for each in counted}
        known = {mode: each for mode, each in tree.questions.items() if mode in modes}
        finished, logits, judged = len(ended) + self._cut, tree.mean_option_logits, AnswerEstimates(None)
        if result.groups or logits:
            found = FinishedSearch(known, counted, result.groups, logits)
            # A mode is known by its prompt, which is read when its first branch starts.
            mode = next((mode for mode in strategy.modes if mode in self._opened), strategy.modes[0])
            judged = self._calibrator.judge(tree.prefix(ROOT, mode), found)
        result = replace(result, confidence=judged.confidence or result.confidence)
        if strategy.rule == "likeliest" or judged.options:
            result = likeliest(result, judged.revised, judged.options)
        for node, estimate in judged.revised.items():
            reward = tree[node].reward
            assert reward is not None, "a trajectory counts when it is scored"
            if estimate != tree[node].estimate:
                self._emit(StepScored(node=node, reward=reward, estimate=estimate, usage=Usage()))
        result = replace(
            result,
            options=judged.options,
            fields=judged.fields[result.groups[0].nodes[0]] if judged.fields else {},
            finished=finished,
            replies=len(shown),
            called=judged.called,
        )
        self._emit(AnswersJudged(result=result))

    def _warn_once(self, notice: Notice) -> None:
        if notice not in self._record.notices:
            self._emit(Warned(notice=notice))

    # Deciding

    def _decide(self) -> None:
        """Resume the plan if something is new to it, or let the search end once its budget is spent."""
        if self._phase == "finishing":
            if self._may_end or self.branches.is_idle:
                self.close("budget")
            return
        is_spent = self._is_spent
        # What is idle may have a verdict of its own.
        if self._phase == "searching" and (self.branches.is_idle or (self._fresh and not is_spent)):
            fresh, self._fresh = tuple(self._fresh), []
            self._step_plan(fresh)
        if is_spent and not self.over:
            self._spend_no_more()

    @property
    def _is_spent(self) -> bool:
        return self.settings.budget.spent(self.branches.tokens, self._elapsed())

    @property
    def _may_end(self) -> bool:
        """True if a spent search has a reply, or no time to wait for one."""
        return self._tree.standing.has_reply or self.settings.budget.is_over(self._elapsed())

    def _step_plan(self, nodes: Sequence[NodeId] | None) -> None:
        """Start the plan (None) or send it nodes, and obey it; its verdict ends the search.

        A plan that asks for nothing while nothing runs and nothing is new to it has ended, too.
        """
        waited_for_nothing = nodes == () and self.branches.is_idle
        try:
            commands = next(self._plan) if nodes is None else self._plan.send(nodes)
        except StopIteration as stop:
            self.close(stop.value or "exhausted", NOT_NEEDED)
            return
        for command in commands:
            if isinstance(command, Expand):
                self._queue(command)
        for command in commands:
            if isinstance(command, Cut):
                self._obey_cut(command)
        if waited_for_nothing and self.branches.is_idle:
            self.close("exhausted", NOT_NEEDED)
        self._start_waiting()

    def _queue(self, command: Expand) -> None:
        if command.required is not None:
            self._emit(AllocationDecided(node=command.node, required=command.required))
        self.branches.queue(command)

    def _obey_cut(self, command: Cut) -> None:
        """End what runs below nodes, and what waits there."""
        self._emit(NodesPruned(nodes=command.nodes, reason=command.reason))
        branches, cut = self.branches, command.nodes
        branches.waiting = [each for each in branches.waiting if not self._is_below(each.asked.node, cut)]
        for branch in [each for each in branches.running.values() if self._is_below(each.parent, cut)]:
            self._drop(branch, "cut")
            is_redrawn = any(each.trajectory == branch.trajectory for each in branches.waiting)
            if branch.asked.until == "answer" and not is_redrawn:
                self._cut += 1
                self._judge_answers()

    def _is_below(self, node: NodeId, ancestors: Sequence[NodeId]) -> bool:
        return node in ancestors or any(n.id in ancestors for n in self._tree.path(node))

    def _start_waiting(self) -> None:
        """Start branches that wait, as many as may run; the first of a mode has its prompt read."""
        for branch in self.branches.start(self._tree.width):
            asked = branch.asked
            if asked.mode not in self._opened:
                self._read_prompt(asked.mode)
            self._emit(
                BranchStarted(branch=branch.id, parent=asked.node, greedy=asked.greedy, mode=asked.mode)
            )

    def _drop(self, branch: Branch, reason: str) -> None:
        """End a branch early; its unfinished step becomes a pruned node, so that no cost is lost."""
        self._engine.cancel_branch(branch)
        branch.cost = sum((usage for _, usage in branch.ahead), branch.cost)
        if branch.step is None:
            self._emit(PromptRead(usage=branch.cost, mode=branch.mode, branch=branch.id))
            del self.branches.running[branch.id]
            return
        node = self._add_step(branch, replace(branch.step, finish="length"), ends=True)
        self._emit(NodesPruned(nodes=(node,), reason=reason))
        self._fresh.append(node)

    # Ending

    def _spend_no_more(self) -> None:
        """The budget is spent: end with the best answer, or let one trajectory finish if there is none."""
        if any(branch.ahead for branch in self.branches.running.values()):
            # What others have written counts without those that it waits for.
            self._phase = "spent"
            for branch in [branch for branch in self.branches.running.values() if not branch.ahead]:
                self._drop(branch, "budget")
        elif self._may_end:
            self.close("budget")
        else:
            self._finish_one()

    def _finish_one(self) -> None:
        """Let one trajectory go on to its end: the running one that has come furthest, or the best prefix."""
        self._phase = "finishing"
        self._plan.close()
        self.branches.waiting.clear()
        whole = [branch for branch in self.branches.running.values() if branch.asked.until == "answer"]
        furthest = max(whole, key=self._tokens_written, default=None)
        for branch in [branch for branch in self.branches.running.values() if branch is not furthest]:
            self._drop(branch, "budget")
        if furthest is None:
            begun = [node.id for node in self._tree if node.status == "open" and node.depth]
            [best] = top_k(self._tree, begun or [ROOT], 1)
            mode = self._tree[best].mode if best != ROOT else self.settings.strategy.modes[0]
            self._queue(Expand(best, 1, "answer", mode=mode))
            self._start_waiting()

    def _tokens_written(self, branch: Branch) -> tuple[int, int]:
        """Tokens of a running trajectory; of equals the first drawn is largest."""
        steps = sum(len(step.token_ids) for step in self._tree.steps(branch.parent))
        return steps + branch.cost.generated_tokens, -branch.id

    def close(self, reason: StopReason, dropped: str = "") -> None:
        """End the search with its best answer; ``dropped`` says why branches end, if not for this reason."""
        self._stop(dropped or reason)
        result = replace(self._tree.standing, stop_reason=reason)
        self._emit(SearchFinished(result=result, usage=self._record.usage))

    def fail(self, error: AdascaleError) -> None:
        """End the search: this problem cannot be searched."""
        self._stop("failed")
        self._emit(SearchFailed.of(error))

    def _stop(self, reason: str) -> None:
        """End the plan and all branches."""
        self._phase = "over"
        self._plan.close()
        self.branches.waiting.clear()
        for branch in list(self.branches.running.values()):
            self._drop(branch, reason)
