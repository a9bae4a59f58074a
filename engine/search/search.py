"""One question from its prompt to its answer: branches side by side on a clock that belongs to the search.

``Search.run`` is the loop. Like the plan of a strategy it is a generator without I/O: it yields orders, which
the driver carries out.

The clock counts tokens. By the schedule of the search a number of branches run in lock step, one token each
at a time, and a branch that ends leaves its place to the next one at that very time. The search processes
tokens in the order of this clock, so it waits for a branch that has to wait for its turn in the batch. The
tree, the answer and its probability depend on the question, the seed and the schedule alone, not on other
questions nor on how busy the machine is. Only a budget reads the machine's clock.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from ..answers.sums import wrong_sums
from ..errors import AdascaleError, ContextOverflowError, setting
from ..kind_table import entry_of
from ..kinds import KINDS, OptionsPrompt, kind_of
from ..ports import BranchStart, Clock, Growth, OptionLogits, Prefix, PrefixWork, Score
from ..request import Settings
from ..strategies import Cut, Expand
from ..strategies.base import redraw_at, top_k
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
    Trial,
    Usage,
)
from .branches import Branch, Branches, branch_seed
from .events import (
    NOT_NEEDED,
    OUT_OF_DISTRIBUTION,
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
from .judging import judge_answers
from .record import Record

if TYPE_CHECKING:
    from ..calibration.posterior import Posterior

GREW_EVERY = 8
"""Tokens between two BranchGrew events of a branch: enough for a view, little for a trace."""

_OUT_OF_DISTRIBUTION = Notice(
    OUT_OF_DISTRIBUTION,
    "the number is rough: the calibration was fitted on other questions, so votes alone count",
)

_THOUGHT_CUT = Notice(
    "thought-cut",
    "a thought reached its budget: it was closed there, and the answer asked for",
    hint=f"a larger {setting('think')} lets it go on",
)

_TOO_LONG = Notice(
    "prm-window",
    "a solution was too long for the PRM, which gives it 0",
    hint=f"a smaller {setting('max_tokens')}, or a PRM with a longer window",
)

Phase = Literal["searching", "ending", "finishing"]
"""``searching``: the plan decides. ``ending``: the budget is spent; nothing starts, and text that is written
still counts. ``finishing``: one solution goes on to its end, since there is no answer yet."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Order: read the options in one order; the reply is ``(OptionLogits, Usage)``."""

    prompt: OptionsPrompt


@dataclass(frozen=True, slots=True)
class ReadPrompt:
    """Order: read the prompt of a mode; the reply is ``(PrefixWork, Usage)``."""

    mode: Mode


@dataclass(frozen=True, slots=True)
class ScorePrefixes:
    """Order: score prefixes; the reply has ``(Score, Usage)`` for each, or its ContextOverflowError."""

    prefixes: Sequence[Prefix]


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Order: start a program; ``Search.program_ran`` receives its execution later."""

    node: NodeId
    program: str | Trial


Order = ReadOptions | ReadPrompt | ScorePrefixes | RunProgram

Orders = Generator[Order | None, Any, None]
"""Orders, each with a reply at once; None waits for the next batch of the generator, or for a program."""


class Search:
    """Turns the tokens written for one problem into events, and resumes its plan until the search is over.

    Args:
        problem: The question.
        settings: Strategy, schedule, budget and seed.
        calibrator: Maps rewards to estimates.
        clock: Seconds.

    Attributes:
        branches: Its branches; the driver cancels one at the generator once it has left ``branches.running``.
        orders: Its loop; the driver sends each reply.
    """

    def __init__(self, problem: Problem, settings: Settings, calibrator: Posterior, clock: Clock) -> None:
        strategy = settings.strategy
        self.problem = problem
        self.settings = settings
        self.branches = Branches()
        self.orders = self.run()
        self._kind = kind_of(problem)
        self._calibrator = calibrator
        self._clock, self._began = clock, clock()
        first = replace(settings.first_event(problem), t=self._elapsed())
        self._undelivered: list[Event] = [first]
        self._numbers = count(1)
        self._record = Record(first)
        self._tree = self._record.tree
        self._plan = strategy.plan(self._tree)
        self._phase: Phase = "searching"
        self._cut_solutions = 0
        self._redrawn = set[NodeId]()  # with a wrong sum: the plan sees no node at or below them
        self._modes_read = set[Mode]()
        self._programs: dict[NodeId, str | Trial] = {}  # that have not ended
        self._unscored: list[NodeId] = []
        self._fresh: list[NodeId] = []  # scored or dropped since the plan was resumed
        for notice in settings.warnings:
            self._emit(Warned(notice=notice))

    @property
    def over(self) -> bool:
        """True once the search has ended."""
        return self._record.end is not None

    @property
    def has_reply(self) -> bool:
        """True if there is something to show."""
        return self._tree.standing.has_reply

    def drain(self) -> list[Event]:
        """Events since the last call."""
        events, self._undelivered = self._undelivered, []
        return events

    def _emit(self, event: Event) -> None:
        """Stamp an event, fold it and queue it, so that the log and the record cannot disagree."""
        stamped = replace(event, seq=next(self._numbers), t=self._elapsed())
        self._record.add(stamped)
        self._undelivered.append(stamped)

    def _warn_once(self, notice: Notice) -> None:
        if notice not in self._record.notices:
            self._emit(Warned(notice=notice))

    def _elapsed(self) -> float:
        return self._clock() - self._began

    def run(self) -> Orders:
        """The loop: start branches, process their tokens, run programs, score, and decide."""
        yield from self._read_options()
        self._resume_plan()
        while not self.over:
            yield from self._start_branches()
            if due := self.branches.tick():
                for branch in due:
                    self._process(branch, *branch.lookahead.popleft())
            else:
                yield None
            yield from self._run_programs()
            yield from self._score()
            if not self.over:
                self._decide()

    # Reading the question

    def _read_options(self) -> Orders:
        """Read the options if the calibration weighs them, and the question if the plan needs it."""
        strategy = self.settings.strategy
        reads_options = strategy.reads_options and self._calibrator.options is not None
        for prompt in self._kind.option_prompts(self.problem) if reads_options else ():
            reply: tuple[OptionLogits, Usage] = yield ReadOptions(prompt)
            logits, usage = reply
            options = prompt.options or self._kind.options(self.problem)
            self._emit(OptionsRead(options=options, log_probs=logits.log_probs, usage=usage))
        if self._tree.option_logits:
            self._judge_answers()
        if strategy.reads_question:
            yield from self._read_prompt(strategy.modes[0])

    def _read_prompt(self, mode: Mode) -> Orders:
        """Read the prompt of a mode, and estimate the question in it."""
        self._modes_read.add(mode)
        reply: tuple[PrefixWork, Usage] = yield ReadPrompt(mode)
        work, usage = reply
        prefix = Prefix(self.problem, (), work.reading, mode)
        # No fit covers conversations.
        is_out = bool(self.problem.history) or self._calibrator.is_out_of_distribution(prefix)
        if is_out and KINDS[self.problem.kind].is_fitted:
            self._calibrator = self._calibrator.unfitted
        estimate = self._calibrator.question(prefix)
        self._emit(PromptRead(usage=usage, estimate=estimate, reading=work.reading, mode=mode))
        if is_out:
            self._warn_once(_OUT_OF_DISTRIBUTION)

    # Writing

    def start_of(self, branch: Branch) -> BranchStart:
        """The order for the generator to run a branch."""
        name, command = self.settings.seeded_as or self.problem.id, branch.command
        return BranchStart(
            self._tree.prefix(command.node, command.mode),
            branch_seed(self.settings.seed, name, branch.key, command.mode),
            command.until,
            command.greedy,
            self.settings.sampling,
            command.max_tokens,
        )

    def _start_branches(self) -> Orders:
        """Start waiting branches, as many as may run; the first of a mode has its prompt read."""
        for branch in self.branches.start(self._tree.width):
            command = branch.command
            if command.mode not in self._modes_read:
                yield from self._read_prompt(command.mode)
            self._emit(
                BranchStarted(branch=branch.id, parent=command.node, greedy=command.greedy, mode=command.mode)
            )

    def _process(self, branch: Branch, growth: Growth, usage: Usage) -> None:
        """Process what one batch wrote on a branch."""
        if growth.begins_again:
            start = len(self._tree.path(branch.command.node))
            if lost := tuple(node.id for node in self._tree.path(branch.parent)[start:]):
                self._emit(NodesPruned(nodes=lost, reason="it broke off, and begins again"))
            self.branches.begin_again(branch)
        branch.time += growth.new_tokens
        branch.step = growth.step
        branch.cost += usage
        branch.unreported += growth.new_tokens
        if growth.step.finish is not None:
            self._complete(branch, growth.step)
        # People read a chat as it is written; of other searches an event every few tokens is enough.
        elif branch.unreported >= (1 if entry_of(self.problem).is_reply else GREW_EVERY):
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
        """A step is complete: it is scored next; a program runs first."""
        ends = step.finish != "step" or branch.command.until == "step"
        node = self._add_step(branch, step, ends=ends)
        if step.thought == "cut":
            self._warn_once(_THOUGHT_CUT)
        if branch.mode not in PROGRAMS:
            self._unscored.append(node)
        elif step.finish != "step" or not step.is_thought:
            # A thought that never closes has no program.
            program = self._kind.program(self.problem, "" if step.is_thought else step.text)
            if isinstance(program, Execution):  # its result needs no run
                self.program_ran(node, program)
            else:
                self._programs[node] = program
        elif ends:  # no calibration covers the thoughts before a program
            self._fresh.append(node)

    def _add_step(self, branch: Branch, step: Step, *, ends: bool) -> NodeId:
        """Turn a step into a node, and find its wrong sums."""
        # In a program an equal sign is no equation, and later thoughts may correct a wrong sum.
        has_sums = branch.mode == "prose" and not step.is_thought
        if has_sums and not step.wrong_sums and (wrong := wrong_sums(step.text, self.problem.question)):
            step = replace(step, wrong_sums=wrong)
        node, parent = NodeId(len(self._tree)), branch.parent
        self._emit(
            StepProposed(node=node, parent=parent, branch=branch.id, step=step, usage=branch.cost, ended=ends)
        )
        self.branches.add_step(branch, node, ends=ends)
        return node

    def _run_programs(self) -> Orders:
        """Start programs, and wait for them: their results count at this time of the clock.

        A search whose budget is spent does not wait if it has a reply.
        """
        for node, program in self._programs.items():
            yield RunProgram(node, program)
        while self._programs:
            if self._is_spent:
                yield from self._score()
                if self._may_end:
                    self.close("budget")
                    return
            yield None

    def program_ran(self, node: NodeId, execution: Execution) -> None:
        """A program has run, or needs no run: its node can be scored."""
        self._programs.pop(node, None)
        self._emit(ProgramRan(node=node, execution=execution))
        self._unscored.append(node)

    # Scoring and judging

    def _score(self) -> Orders:
        """Score the nodes of this step, and count the ended solutions among them.

        Raises:
            ContextOverflowError: no node of the search can be read.
        """
        nodes, self._unscored = sorted(self._unscored, key=self._tree.draw_order), []
        if not nodes:
            return
        scores: Sequence[tuple[Score | ContextOverflowError, Usage]] = yield ScorePrefixes(
            [self._tree.prefix(node) for node in nodes]
        )
        errors = [score for score, _ in scores if isinstance(score, ContextOverflowError)]
        if len(errors) == len(scores) and all(node.reward is None for node in self._tree):
            raise errors[0]
        if errors:
            self._warn_once(_TOO_LONG)
        for node, (score, usage) in zip(nodes, scores, strict=True):
            reward = 0.0 if isinstance(score, ContextOverflowError) else score.reward
            estimate = self._calibrator.estimate(self._tree.prefix(node), reward)
            self._emit(StepScored(node=node, reward=reward, estimate=estimate, usage=usage))
            self._fresh.append(node)
            if self._tree[node].status == "terminal":
                self._emit(AnswerFound(node=node, answer=self._answer(node), estimate=estimate))
                self._judge_answers()

    def _answer(self, node: NodeId) -> str | None:
        """The answer of the solution that ends at a node."""
        end = self._tree[node]
        finish = end.step.finish if end.step is not None else None
        assert finish is not None, "it has ended"
        return self._kind.answer(self.problem, end.mode, self._tree.text(node), finish, end.execution)

    def _judge_answers(self) -> None:
        """Choose the leading answer, and estimate all answers again."""
        result, estimates = judge_answers(self._record, self.settings, self._calibrator)
        finished = len(self._record.candidates) + self._cut_solutions
        self._emit(AnswersJudged(result=replace(result, finished=finished), estimates=estimates))

    # Deciding

    def _decide(self) -> None:
        """Resume the plan if it has fresh nodes, or end the search once its budget is spent."""
        is_spent = self._is_spent
        if self._phase == "searching":
            if self.branches.is_idle or (self._fresh and not is_spent):  # an idle plan may have a verdict
                fresh, self._fresh = self._fresh, []
                self._resume_plan(fresh)
            if is_spent:
                self._phase = "ending"
        if self._phase != "searching" and not self.over:
            self._end()

    @property
    def _is_spent(self) -> bool:
        return self.settings.budget.spent(self.branches.tokens, self._elapsed())

    @property
    def _may_end(self) -> bool:
        """True if a spent search has a reply, or no time to wait for one."""
        return self.has_reply or self.settings.budget.is_over(self._elapsed())

    def _resume_plan(self, fresh: Sequence[NodeId] | None = None) -> None:
        """Start the plan (None) or send it fresh nodes, and obey it; its verdict ends the search.

        A plan that asks for nothing while nothing runs and no node is fresh has ended, too.
        """
        ends = fresh is not None and not fresh and self.branches.is_idle
        try:
            commands = self._plan.send(None if fresh is None else self._redraw(fresh))  # type: ignore[arg-type]
        except StopIteration as stop:
            self.close(stop.value or "exhausted", NOT_NEEDED)
            return
        for command in commands:
            if isinstance(command, Expand):
                self.branches.queue(command)
        for command in commands:
            if isinstance(command, Cut):
                self._cut(command)
        if ends and self.branches.is_idle:
            self.close("exhausted", NOT_NEEDED)

    def _redraw(self, nodes: Sequence[NodeId]) -> list[NodeId]:
        """Draw each step with a wrong sum again, from the prefix before it; returns the other nodes.

        The strategy sees only the redrawn step.
        """
        for node in nodes:
            if redraw := redraw_at(self._tree, node, self.settings.strategy.redraws):
                before, equation = redraw
                self._redrawn.add(node)
                self.branches.queue(Expand(before, until="answer"))
                self._cut(Cut((node,), f"{equation} is wrong"))
        return [node for node in nodes if not self._is_below(node, self._redrawn)]

    def _cut(self, command: Cut) -> None:
        """End the branches below nodes, and remove the waiting ones."""
        self._emit(NodesPruned(nodes=command.nodes, reason=command.reason))
        branches, cut = self.branches, command.nodes
        branches.waiting = [each for each in branches.waiting if not self._is_below(each.command.node, cut)]
        for branch in [each for each in branches.running.values() if self._is_below(each.parent, cut)]:
            self._drop(branch, "cut")
            is_redrawn = any(each.solution == branch.solution for each in branches.waiting)
            if branch.command.until == "answer" and not is_redrawn:
                self._cut_solutions += 1
                self._judge_answers()

    def _is_below(self, node: NodeId, ancestors: Container[NodeId]) -> bool:
        return any(each.id in ancestors for each in self._tree.path(node))

    def _drop(self, branch: Branch, reason: str) -> None:
        """End a branch early; its unfinished step becomes a pruned node, so that no cost is lost."""
        branch.cost = sum((usage for _, usage in branch.lookahead), branch.cost)
        if branch.step is None:
            self._emit(PromptRead(usage=branch.cost, mode=branch.mode, branch=branch.id))
            del self.branches.running[branch.id]
            return
        node = self._add_step(branch, replace(branch.step, finish="length"), ends=True)
        self._emit(NodesPruned(nodes=(node,), reason=reason))
        self._fresh.append(node)

    # Ending

    def _end(self) -> None:
        """End with the best answer, or let one solution finish if there is none."""
        running = self.branches.running.values()
        self.branches.waiting.clear()
        if any(branch.lookahead for branch in running):
            # Text that is written counts; it does not wait for branches that have none.
            for branch in [branch for branch in running if not branch.lookahead]:
                self._drop(branch, "budget")
        elif self._may_end or (self._phase == "finishing" and not running):
            self.close("budget")
        elif self._phase == "ending":
            self._finish_one()

    def _finish_one(self) -> None:
        """Let one solution go on to its end: the longest that runs, or one from the best prefix."""
        self._phase = "finishing"
        self._plan.close()
        whole = [branch for branch in self.branches.running.values() if branch.command.until == "answer"]
        longest = max(whole, key=self._tokens_written, default=None)
        for branch in [branch for branch in self.branches.running.values() if branch is not longest]:
            self._drop(branch, "budget")
        if longest is None:
            unfinished = [node.id for node in self._tree if node.status == "open" and node.depth]
            [best] = top_k(self._tree, unfinished or [ROOT], 1)
            mode = self._tree[best].mode if best != ROOT else self.settings.strategy.modes[0]
            self.branches.queue(Expand(best, 1, "answer", mode=mode))

    def _tokens_written(self, branch: Branch) -> tuple[int, int]:
        """Tokens of a running solution; of equals the first drawn is largest."""
        steps = sum(len(step.token_ids) for step in self._tree.steps(branch.parent))
        return steps + branch.cost.generated_tokens, -branch.id

    def close(self, reason: StopReason, dropped: str = "") -> None:
        """End the search with its best answer; branches that run end for ``dropped``, or for this reason."""
        self._stop(dropped or reason)
        result = replace(self._tree.standing, stop_reason=reason)
        self._emit(SearchFinished(result=result, usage=self._record.usage))

    def fail(self, error: AdascaleError) -> None:
        """End the search: this problem cannot be searched."""
        self._stop("failed")
        self._emit(SearchFailed.of(error))

    def _stop(self, reason: str) -> None:
        """End the plan and all branches."""
        self._plan.close()
        self.branches.waiting.clear()
        for branch in list(self.branches.running.values()):
            self._drop(branch, reason)
