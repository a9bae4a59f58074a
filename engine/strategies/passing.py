"""Draw programs until one passes the tests that are given: the rule for code tasks.

Among models of this size nothing that selects, votes or repairs beats the first sample that passes; what
remains to be decided is when to give up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import UsageError, setting
from ..kinds import kind_of
from ..search.tree import Tree
from ..types import ROOT, Mode, NodeId, SelectRule
from .allocation import chance_of_success
from .base import Plan, whole_trajectories
from .vote_stopping import Sequential, all_drawn


@dataclass(frozen=True, slots=True)
class Passing(Sequential):
    """A greedy program, then sampled ones in drawing order, up to the first that passes every given test.

    Without a test there is nothing to tell a second program from the first, so one is drawn.

    Attributes:
        samples: Most programs, the greedy one among them.
        hopeless: It gives up when P(one of the programs left passes) is below this, in [0, 1]; read only if
            the question has a calibrated estimate.
    """

    name: ClassVar[str] = "passing"
    select: ClassVar[SelectRule] = "passing"

    samples: int = 8
    hopeless: float = 0.15
    modes: tuple[Mode, ...] = field(default=("code",), kw_only=True)

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            UsageError: no program, or a mode of more than one step.
        """
        Sequential.__post_init__(self)
        if "prose" in self.modes:
            raise UsageError(
                "passing judges whole programs, and prose has steps", hint=setting("mode", "program")
            )

    def plan(self, tree: Tree) -> Plan:
        """Judge the greedy program, then one sample after the other."""
        samples = whole_trajectories(self.samples - 1, self.modes, sure=1)
        scored = yield whole_trajectories(1, self.modes, greedy=True)
        while not _any_passes(tree, scored):
            if all_drawn(tree, self.samples) or not kind_of(tree.problem).tests(tree.problem):
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
