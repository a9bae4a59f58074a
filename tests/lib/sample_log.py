"""Event logs made by hand, for tests of views, traces and replays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from adascale.cli.disk.traces import TraceWriter
from adascale.cli.render.state import ViewState
from adascale.engine.answers.choosing import Candidate, SearchResult, choose
from adascale.engine.search.events import (
    AnswerFound,
    AnswersJudged,
    BranchGrew,
    BranchStarted,
    Event,
    ModelDescription,
    NodesPruned,
    ProgramRan,
    PromptRead,
    SearchFinished,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
)
from adascale.engine.types import (
    ROOT,
    BranchId,
    Budget,
    Estimate,
    Execution,
    Finish,
    KindName,
    Mode,
    NodeId,
    Notice,
    Problem,
    Schedule,
    Step,
    StopReason,
    ThoughtPart,
    Usage,
)


class Log:
    """Builds a log: numbers the events, keeps ids, and spreads the events over time."""

    def __init__(
        self,
        question: str = "3 pens cost $2. How many can you buy for $18?",
        *,
        kind: KindName = "value",
        details: Mapping[str, Any] = {},
        calibrated: bool = True,
        budget: Budget | None = None,
        params: Mapping[str, Any] | None = None,
        pace: float = 0.0,
    ) -> None:
        self.events: list[Event] = []
        self.calibrated = calibrated
        self.pace = pace
        self.now = 0.0
        self.usage = Usage()
        self._nodes = 1
        self._branches = 0
        self._candidates: list[Candidate] = []
        self._branch_of: dict[NodeId, BranchId] = {}
        self._estimates: dict[NodeId, Estimate] = {}
        self.add(
            SearchStarted,
            problem=Problem("q1", question, kind=kind, details=details),
            strategy="beam",
            params=params or {},
            models=ModelDescription(),
            budget=Budget() if budget is None else budget,
            seed=7,
            schedule=Schedule.even(4),
            calibrated=calibrated,
        )

    def add(self, cls: type[Any], **fields: Any) -> None:
        """Append an event."""
        self.events.append(cls(seq=len(self.events), t=self.now, **fields))
        self.now += self.pace

    def read_prompt(self, tokens: int = 40, branch: BranchId | None = None) -> None:
        """The prompt was evaluated, or a branch ended before its first token."""
        self._spend(PromptRead, Usage(prompt_tokens=tokens), branch=branch)

    def start(self, parent: NodeId, text: str = "", tokens: int = 0, mode: Mode = "prose") -> BranchId:
        """A branch begins, and has perhaps some tokens already."""
        branch = BranchId(self._branches)
        self._branches += 1
        self.add(BranchStarted, branch=branch, parent=parent, mode=mode)
        if text:
            self.add(BranchGrew, branch=branch, parent=parent, text=text, tokens=tokens)
        return branch

    def step(
        self,
        parent: NodeId,
        text: str,
        score: tuple[float, float, float] | float,
        *,
        tokens: int = 20,
        finish: Finish = "step",
        branch: BranchId | None = None,
        ended: bool = True,
        mode: Mode = "prose",
        execution: Execution | None = None,
        thought: ThoughtPart | None = None,
    ) -> NodeId:
        """A branch completes a step, which is run if it is a program, and scored."""
        if branch is None:
            branch = self.start(parent, mode=mode)
        node = NodeId(self._nodes)
        self._nodes += 1
        step = Step(text, tuple(range(tokens)), -1.0, finish, thought=thought)
        self._spend(
            StepProposed,
            Usage(generated_tokens=tokens),
            node=node,
            parent=parent,
            branch=branch,
            step=step,
            ended=ended,
        )
        if execution is not None:
            self.add(ProgramRan, node=node, execution=execution)
        lower, median, upper = (score, score, score) if isinstance(score, float) else score
        estimate = Estimate(lower, median, upper, self.calibrated)
        self._estimates[node] = estimate
        self._branch_of[node] = branch
        self._spend(StepScored, Usage(prm_tokens=tokens), node=node, reward=median, estimate=estimate)
        return node

    def finish_path(
        self,
        parent: NodeId,
        text: str,
        score: tuple[float, float, float] | float,
        answer: str | None,
        **kwargs: Any,
    ) -> NodeId:
        """A step that ends a trajectory with an answer."""
        node = self.step(parent, text, score, finish="stop", **kwargs)
        self.add(AnswerFound, node=node, answer=answer, estimate=self._estimates[node])
        mode = kwargs.get("mode", "prose")
        self._candidates.append(Candidate(node, answer, self._estimates[node], mode))
        judged = AnswersJudged(seq=len(self.events), t=self.events[-1].t, result=self.chosen())
        self.events.append(judged)
        return node

    def program(
        self,
        code: str,
        score: tuple[float, float, float] | float,
        *,
        output: str = "",
        error: str = "",
        answer: str | None = None,
        **kwargs: Any,
    ) -> NodeId:
        """A program in a fence that was written and run."""
        text, execution = f"```python\n{code}\n```", Execution(output, error, 0.01)
        return self.finish_path(ROOT, text, score, answer, mode="program", execution=execution, **kwargs)

    def chosen(self) -> SearchResult:
        """The result if the search ended now."""
        drawn = sorted(self._candidates, key=lambda c: (self._branch_of[c.node], c.node))
        return replace(choose(drawn, "vote"), finished=len(drawn), replies=len(drawn))

    def prune(self, *nodes: NodeId) -> None:
        """Nodes are cut."""
        self.add(NodesPruned, nodes=nodes, reason="outside the beam")

    def warn(self, code: str, message: str) -> None:
        """The user should know something."""
        self.add(Warned, notice=Notice(code, message))

    def end(self, reason: StopReason = "exhausted") -> None:
        """The search ends; the answer with the most paths wins."""
        result = replace(self.chosen(), stop_reason=reason)
        self.add(SearchFinished, result=result, usage=self.usage)

    def state(self) -> ViewState:
        """The view of the log so far."""
        return ViewState.of(self.events)

    def _spend(self, cls: type[Any], usage: Usage, **fields: Any) -> None:
        self.usage = self.usage + usage
        self.add(cls, usage=usage, **fields)


def pens(*, calibrated: bool = True, pace: float = 0.0, running: bool = True) -> Log:
    """The tree of the design sketch: five steps open, two paths to 27, one cut, one being written."""
    log = Log(calibrated=calibrated, budget=Budget(max_tokens=2048), params={"lead": 3}, pace=pace)
    log.read_prompt()
    log.add(
        StepScored, node=ROOT, reward=0.46, estimate=Estimate(0.22, 0.46, 0.71, calibrated), usage=Usage()
    )
    one = log.step(
        ROOT,
        "If 3 pens cost $2, one pen costs 2/3 of a dollar, so we divide\n",
        (0.55, 0.71, 0.84),
        tokens=61,
    )
    two = log.step(
        ROOT, "18 dollars divided by 2 dollars per pack gives 9 packs\n", (0.48, 0.66, 0.8), tokens=40
    )
    three = log.step(ROOT, "Each pen costs $3, so 18 / 3 = 6 pens\n", (0.02, 0.07, 0.18), tokens=33)
    log.prune(three)
    one_one = log.step(one, "18 / (2/3) = 18 * 3/2\n", (0.79, 0.88, 0.94), tokens=38)
    if running:
        log.start(one, "We can buy 18/2 = 9 groups of 3 pens each, which", 44)
    log.step(two, "9 packs * 3 pens = 27 pens\n", (0.7, 0.84, 0.9), tokens=22)
    log.finish_path(one_one, "= 27. So you can buy 27 pens.", (0.86, 0.93, 0.97), "27", tokens=19)
    log.finish_path(one_one, "= 54/2 = 27 pens in total", (0.82, 0.90, 0.95), "27", tokens=24)
    return log


def programs(*, pace: float = 0.0, running: bool = True) -> Log:
    """Programs and prose: two that print 27, one that fails, one path in prose, and one being written."""
    log = Log(budget=Budget(max_tokens=2048), params={"lead": 3, "samples": 8}, pace=pace)
    log.read_prompt()
    log.program(
        "from fractions import Fraction\n\n"
        "# A pack has three pens\n"
        "packs = Fraction(18, 2)\n"
        "pens = 0\n"
        "for pack in range(int(packs)):\n"
        "    pens += 3\n"
        "print(pens)",
        (0.7, 0.88, 0.95),
        output="27\n",
        answer="27",
        tokens=58,
    )
    prose = log.step(ROOT, "One pen costs $2 / 3.\n", (0.5, 0.7, 0.8), tokens=12)
    log.finish_path(prose, "18 / (2/3) = \\boxed{27}", (0.8, 0.91, 0.96), "27", tokens=14)
    log.program(
        "price = 0\nprint(18 / price)",
        (0.0, 0.02, 0.1),
        error="Traceback (most recent call last):\n  line 2\nZeroDivisionError: division by zero",
        tokens=14,
    )
    log.program("print(18 / 2 * 3)", (0.6, 0.8, 0.9), output="27.0\n", answer="27", tokens=11)
    if running:
        log.start(ROOT, "```python\n# two dollars a pack\npacks = 18 // 2\nprint(pa", 21, mode="program")
    return log


def written(path: Path, events: list[Event]) -> Path:
    with TraceWriter(path) as writer:
        for event in events:
            writer.write(event)
    return path
