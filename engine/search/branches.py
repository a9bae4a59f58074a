"""Running branches of one search: their growth becomes events, and each completed step a node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..answers.sums import wrong_sums
from ..ports import Growth
from ..types import BranchId, NodeId, Problem, Step, Usage
from .events import BranchGrew, BranchStarted, NodesPruned, PromptRead, StepProposed
from .record import EventLog
from .waiting import Draw, Draws, Key

GREW_EVERY = 8
"""Tokens between two BranchGrew events of a branch: enough for a view, little for a trace."""

Cancel = Callable[[BranchId], Step | None]
"""Ends a running branch and returns its unfinished step, None if it has no token yet."""


@dataclass(slots=True)
class Branch:
    """A running draw.

    Attributes:
        draw: The draw.
        parent: Node to which its next step attaches.
        key: Key of that step.
        pending: Its cost since the last step.
        unreported: Tokens since the last ``BranchGrew``.
    """

    draw: Draw
    parent: NodeId
    key: Key
    pending: Usage = Usage()
    unreported: int = 0


class Branches:
    """The branches that run.

    Args:
        problem: The question.
        log: Gets their events.
        draws: Numbers the nodes that they write.
        cancel: Ends a branch.

    Attributes:
        running: All of them by id.
    """

    def __init__(self, problem: Problem, log: EventLog, draws: Draws, cancel: Cancel) -> None:
        self.running: dict[BranchId, Branch] = {}
        self._problem = problem
        self._emit = log.emit
        self._tree = log.record.tree
        self._draws = draws
        self._cancel = cancel

    @property
    def pending_tokens(self) -> int:
        """Tokens of unfinished steps."""
        return sum(branch.pending.generated_tokens for branch in self.running.values())

    def start(self, id_: BranchId, draw: Draw) -> None:
        """A draw begins to run."""
        asked = draw.asked
        self.running[id_] = Branch(draw, asked.node, draw.key)
        self._emit(BranchStarted(branch=id_, parent=asked.node, greedy=asked.greedy, mode=asked.mode))

    def grow(self, growth: Growth, usage: Usage) -> NodeId | None:
        """Account for one batch of a branch; returns the node of the step that it completed, if any."""
        branch = self.running[growth.branch]
        branch.pending = branch.pending + usage
        branch.unreported += growth.new_tokens
        # A chat is read as it is written; of a search that many tokens are enough.
        if branch.unreported >= (1 if self._problem.is_chat else GREW_EVERY):
            branch.unreported = 0
            self._emit(
                BranchGrew(
                    branch=growth.branch,
                    parent=branch.parent,
                    text=growth.text,
                    tokens=branch.pending.generated_tokens,
                    thinks=growth.thinks,
                )
            )
        if growth.step is None:
            return None
        ended = growth.step.finish != "step" or branch.draw.asked.until == "step"
        return self._add_step(growth.branch, growth.step, ended=ended)

    def drop(self, id_: BranchId, reason: str) -> NodeId | None:
        """End a branch early; its unfinished step becomes a pruned node, so that no cost is lost."""
        partial = self._cancel(id_)
        if partial is None:
            branch = self.running.pop(id_)
            self._emit(PromptRead(usage=branch.pending, mode=branch.draw.asked.mode))
            return None
        node = self._add_step(id_, partial, ended=True)
        self._emit(NodesPruned(nodes=(node,), reason=reason))
        return node

    def _add_step(self, id_: BranchId, step: Step, *, ended: bool) -> NodeId:
        """Turn a completed step into a node, and find its wrong sums."""
        branch = self.running[id_]
        # In a program an equal sign is no equation, and what is wrong in a thought may be put right there.
        has_sums = branch.draw.asked.mode == "prose" and not step.is_thought
        if has_sums and not step.wrong_sums and (wrong := wrong_sums(step.text, self._problem.question)):
            step = replace(step, wrong_sums=wrong)
        node, parent, usage = NodeId(len(self._tree)), branch.parent, branch.pending
        self._emit(StepProposed(node=node, parent=parent, branch=id_, step=step, usage=usage, ended=ended))
        self._draws.keys[node] = branch.key
        branch.parent, branch.key = node, (*branch.key, 0)
        branch.pending, branch.unreported = Usage(), 0
        if ended:
            del self.running[id_]
        return node

    def tokens_written(self, id_: BranchId) -> tuple[int, int]:
        """Tokens of a running trajectory; of equals the first drawn is largest."""
        branch = self.running[id_]
        steps = sum(len(step.token_ids) for step in self._tree.steps(branch.parent))
        return steps + branch.pending.generated_tokens, -id_
