"""The state of a view: the record of a search, its running branches, and estimates of its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from adascale.engine.kind_table import Entry, entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.search.events import (
    AnswersJudged,
    BranchGrew,
    BranchStarted,
    Event,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
)
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node
from adascale.engine.types import BranchId, NodeId, probability_of

from ..terminal.markdown import Program

Mark = Literal["expanded", "running", "waiting", "finished", "failed", "best", "pruned"]
"""Kind of a row of the tree; every mark has a glyph and a style."""


@dataclass(slots=True)
class ViewState(Record):
    """A record, with the facts that only a screen shows.

    Attributes:
        running: Branches that still generate, with their unfinished steps.
        judged: Time of the last event that judged the answers.
        waited: Seconds since the last event, for the clock of a live view.
        takes: Enter ends the search with the answer so far.
    """

    running: dict[BranchId, BranchGrew] = field(default_factory=dict)
    judged: float = 0.0
    waited: float = 0.0
    takes: bool = False

    def add(self, event: Event) -> None:
        """Take the next event; errors as ``Record.add``."""
        Record.add(self, event)
        match event:
            case BranchStarted():
                self._go_on(event.branch, event.parent)
            case BranchGrew():
                self.running[event.branch] = event
            case StepProposed(ended=False):
                self._go_on(event.branch, event.node)
            case StepProposed():
                self.running.pop(event.branch, None)
            case AnswersJudged():
                self.judged = event.t
            case PromptRead(branch=int() as unwritten):
                self.running.pop(unwritten, None)
            case SearchFinished() | SearchFailed():
                self.running.clear()

    def _go_on(self, branch: BranchId, node: NodeId) -> None:
        self.running[branch] = BranchGrew(branch=branch, parent=node, text="", tokens=0)

    @property
    def kind(self) -> Entry:
        """Facts about the kind of its question."""
        return entry_of(self.tree.problem)

    @property
    def finished(self) -> int:
        """Number of solutions that have ended, cut ones included."""
        return self.tree.standing.finished

    @property
    def best(self) -> NodeId | None:
        """The last node of the leading solution."""
        standing = self.tree.standing
        return standing.best if standing.answer is not None or self.result else None

    @property
    def tokens(self) -> int:
        """Number of generated tokens, unfinished steps included."""
        return self.usage.generated_tokens + sum(branch.tokens for branch in self.running.values())

    @property
    def now(self) -> float:
        """Seconds since the search started."""
        return self.t + self.waited

    @property
    def seconds_left(self) -> tuple[float, bool] | None:
        """Seconds that the search is likely to take, and whether a limit of time ends it; None if unknown.

        After two solutions a search by votes goes on at their pace until it has the missing votes. Half of
        recorded searches take less, half take more (``python -m bench.evidence.time_left``).
        """
        lead, now, most = self.started.limit("lead"), self.tree.standing, self.started.budget.max_seconds
        bound = math.inf if most is None else max(0.0, most - self.now)
        left = math.inf
        if lead is not None and self.finished > 1:
            modes = {self.tree.mode_as_evidence(node) for node in self.leading}
            missing = max(1, lead - (len(modes) > 1) - now.votes + now.second)
            share = (now.votes + 1) / (len(self.candidates) + 2)  # that the next one has the leading answer
            needed = min(missing / share, max(1, (self.samples or 1) - self.finished))
            whole = needed * self.judged / self.finished
            left = max(whole - self.now + self.judged, whole / 2)
        return None if math.inf == left == bound else (min(left, bound), bound <= left)

    @property
    def stay(self) -> float | None:
        """P(the leading answer is the last one); None if unknown.

        A correct answer stays; a wrong one the more likely, the more solutions have ended. In recorded
        searches the number is right within .1 above one half, and below it only ranks answers (AUC .76;
        ``python -m bench.evidence.time_left``).
        """
        p, most = probability_of(self.confidence), self.samples
        if self.answer is None or p is None or not most or self.started.limit("lead") is None:
            return None
        return p + (1 - p) * min(1.0, self.finished / most)

    @property
    def rate(self) -> float:
        """Generated tokens per second since the first branch started, after the prompt was read; 0 before."""
        seconds = self.t - next((branch.t for branch in self.branches.values()), 0.0)
        return self.tokens / seconds if seconds > 0 else 0.0

    def mark(self, node: Node) -> Mark:
        """The mark of a node; running branches, which have no node yet, have ``running``."""
        if node.id == self.best:
            return "best"
        if node.status == "pruned":
            return "pruned"
        if node.status == "terminal":
            program = self.program(node, "")
            return "failed" if program is not None and program.failed else "finished"
        is_parent = self.tree.children(node.id) or any(b.parent == node.id for b in self.running.values())
        return "expanded" if is_parent else "waiting"

    def program(self, node: Node, text: str) -> Program | None:
        """The program in a text that ends at a node; None for prose."""
        problem = self.tree.problem
        if node.mode == "code":
            return Program.of(text, node.execution, kind_of(problem).tests(problem))
        return Program.of(text, node.execution) if node.mode == "program" else None
