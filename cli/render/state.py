"""State of a view: the record of a search, and the branches that are being written."""

from __future__ import annotations

from dataclasses import dataclass, field

from adascale.engine.answers.choosing import first_to_show
from adascale.engine.kinds import kind_of
from adascale.engine.search.events import (
    BranchGrew,
    BranchStarted,
    Event,
    NodesPruned,
    SearchFailed,
    SearchFinished,
    StepProposed,
)
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node
from adascale.engine.types import ROOT, BranchId, Mode, NodeId, Problem

from ..terminal.markdown import Program
from ..terminal.text import Mark


@dataclass(slots=True)
class ViewState(Record):
    """A record with the branches that are being written.

    Attributes:
        running: Branches that still generate, each with its unfinished step.
        places: The latest branch of each place: one that starts takes the first place whose branch has ended.
        tips: The last node of each branch, or the one that it began at.
        generating_since: When the first branch started, after the prompt was read; 0 before.
    """

    running: dict[BranchId, BranchGrew] = field(default_factory=dict)
    places: list[BranchId] = field(default_factory=list)
    tips: dict[BranchId, NodeId] = field(default_factory=dict)
    generating_since: float = 0.0

    def add(self, event: Event) -> None:
        """Take the next event; errors as ``Record.add``."""
        Record.add(self, event)
        match event:
            case BranchStarted():
                self.generating_since = self.generating_since or event.t
                free = (at for at, before in enumerate(self.places) if before not in self.running)
                at = next(free, len(self.places))
                self.places[at : at + 1] = [event.branch]
                self._go_on(event.branch, event.parent)
            case BranchGrew():
                self.running[event.branch] = event
            case StepProposed():
                self._go_on(event.branch, event.node)
                if event.ended:
                    del self.running[event.branch]
            case NodesPruned():
                self._stop_below(set(event.nodes))
            case SearchFinished() | SearchFailed():
                self.running.clear()
            case _:
                pass

    def _go_on(self, branch: BranchId, node: NodeId) -> None:
        self.tips[branch] = node
        self.running[branch] = BranchGrew(branch=branch, parent=node, text="", tokens=0)

    def mode(self, branch: BranchId) -> Mode:
        """The mode of a branch."""
        return self.branches[branch].mode if branch in self.branches else "prose"

    def length(self, branch: BranchId) -> int:
        """Tokens of a branch's solution so far, from the question on."""
        written = self.running[branch].tokens if branch in self.running else 0
        return written + sum(len(step.token_ids) for step in self.tree.steps(self.tips[branch]))

    def _stop_below(self, cut: set[NodeId]) -> None:
        """Forget branches below cut nodes: one that has no token yet ends without an event of its own."""
        for id_, branch in list(self.running.items()):
            if any(node.id in cut for node in self.tree.path(branch.parent)):
                del self.running[id_]

    @property
    def finished(self) -> int:
        """Solutions that have ended, those that were cut too."""
        return self.tree.standing.finished if self.tree.standing else len(self.candidates)

    @property
    def best(self) -> NodeId | None:
        """The terminal node that would be shown now."""
        if self.result is not None:
            return self.result.best
        if not self.leading:
            return None
        return first_to_show(self.leading, lambda node: self.tree[node].mode)

    @property
    def best_path(self) -> set[NodeId]:
        """The question and the nodes of the trajectory that would be shown now."""
        return {ROOT} if self.best is None else {ROOT, *(node.id for node in self.tree.path(self.best))}

    @property
    def tokens(self) -> int:
        """Generated tokens, those of unfinished steps included."""
        return self.usage.generated_tokens + sum(branch.tokens for branch in self.running.values())

    @property
    def rate(self) -> float:
        """Generated tokens per second since the first branch started; 0 before."""
        seconds = self.t - self.generating_since
        return self.tokens / seconds if seconds > 0 else 0.0

    def drawn_from(self, node: Node) -> int:
        """Number of children drawn from ``node`` so far; the next step of its own branch does not count."""
        drawn = [self.tree[child].branch for child in self.tree.children(node.id)]
        drawn += [id_ for id_, branch in self.running.items() if branch.parent == node.id]
        return sum(branch != node.branch for branch in drawn)

    @property
    def writing(self) -> set[NodeId]:
        """Nodes below which a branch is being written."""
        return {branch.parent for branch in self.running.values()}


def mark_of(state: ViewState, node: Node) -> Mark:
    """The mark of a node; that of a branch that is being written is ``running``."""
    if node.id == state.best:
        return "best"
    if node.status == "pruned":
        return "pruned"
    if node.status == "terminal":
        failed = node.mode == "program" and node.execution is not None and node.execution.error
        fails = node.execution is not None and node.execution.verdicts and not node.execution.passes
        return "failed" if failed or fails else "finished"
    return "expanded" if state.tree.children(node.id) or node.id in state.writing else "waiting"


def program_of(node: Node, text: str, problem: Problem) -> Program | None:
    """The program in a text that ends at a node; None for prose."""
    if node.mode == "code":
        return Program.of_task(text, node.execution, kind_of(problem).tests(problem))
    return Program.of(text, node.execution) if node.mode == "program" else None
