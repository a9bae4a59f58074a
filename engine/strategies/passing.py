"""Draw programs until one passes the tests that are given: the rule for code tasks.

Among models of this size nothing that selects, votes or repairs beats the first sample that passes; what
remains to be decided is when to give up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import UsageError, setting
from ..kinds import kind_of
from ..search.tree import Tree
from ..types import ROOT, Mode, NodeId, SelectRule
from .allocation import chance_of_success
from .base import Plan, Strategy, gather, whole_trajectories


@dataclass(frozen=True, slots=True)
class Passing(Strategy):
    """A greedy program, then sampled ones side by side, up to the first that passes every given test.

    Without a test there is nothing to tell a second program from the first, so one is drawn.

    Attributes:
        samples: Most programs, the greedy one among them.
        hopeless: It gives up when P(one of the programs left passes) is below this, in [0, 1]; read only if
            the question has a calibrated estimate.
    """

    name: ClassVar[str] = "passing"
    select: ClassVar[SelectRule] = "passing"
    stops_early: ClassVar[bool] = True

    samples: int = 8
    hopeless: float = 0.15
    modes: tuple[Mode, ...] = field(default=("code",), kw_only=True)

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            UsageError: no program, or a mode of more than one step.
        """
        Strategy.__post_init__(self)
        if "prose" in self.modes:
            raise UsageError(
                "passing judges whole programs, and prose has steps", hint=setting("mode", "program")
            )

    def plan(self, tree: Tree) -> Plan:
        """Draw the greedy program, and samples where it does not pass."""
        scored: Sequence[NodeId] = yield from gather(tree, whole_trajectories(1, self.modes, greedy=True))
        samples = whole_trajectories(self.samples - 1, self.modes)
        while not _any_passes(tree, scored):
            if not kind_of(tree.problem).tests(tree.problem):
                return None
            if self._is_hopeless(tree):
                return "hopeless"
            scored = yield samples
            samples = []
        return "confident"

    def _is_hopeless(self, tree: Tree) -> bool:
        question, standing = tree[ROOT].estimate, tree.standing
        if question is None or not question.calibrated or standing is None:
            return False
        left = self.samples - standing.finished
        return chance_of_success(question, standing.finished, left) < self.hopeless


def _any_passes(tree: Tree, nodes: Iterable[NodeId]) -> bool:
    executions = [tree[node].execution for node in nodes]
    return any(execution is not None and execution.passes for execution in executions)
