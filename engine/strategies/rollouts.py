"""The strategy that draws the rollouts of a calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..search.tree import Tree
from ..types import ROOT, NodeId
from .base import Expand, Plan, Strategy
from .redraws import REDRAWS, redraw_at


def draw_with_redraws(tree: Tree, commands: Iterable[Expand], redraws: int) -> Plan:
    """Run commands until the answer, and every redraw that ``adaptive`` would make.

    A trajectory with a wrong sum goes on, too: a calibration counts the outcomes of both. A node's first
    child is the next step of the same draw, later ones were drawn in its place.
    """
    scored = yield tuple(commands)
    while scored:
        reached = [node for node in scored if _goes_on(tree, tree[node].parent or ROOT, redraws)]
        wrong_steps = [redraw_at(tree, node, redraws) for node in reached]
        scored = yield [Expand(wrong[0], 1, until="answer") for wrong in wrong_steps if wrong is not None]
    return None


def _goes_on(tree: Tree, node: NodeId, redraws: int) -> bool:
    """True if ``adaptive`` would go on from a node: no step on the way to it is drawn again."""
    return all(redraw_at(tree, on_the_way.id, redraws) is None for on_the_way in tree.path(node))


@dataclass(frozen=True, slots=True)
class RolloutDraws(Strategy):
    """Whole trajectories with the redraws that ``adaptive`` would make.

    Attributes:
        samples: Whole trajectories in prose.
        slips: Most steps of one trajectory whose wrong sum brings another draw in their place.
        programs: Whole trajectories that are programs.
    """

    name: ClassVar[str] = "rollouts"

    samples: int = 4
    slips: int = REDRAWS
    programs: int = 0

    def __post_init__(self) -> None:
        """Check the parameters; programs are a mode."""
        Strategy.__post_init__(self)
        object.__setattr__(self, "modes", ("prose", "program") if self.programs else ("prose",))

    @property
    def at_most(self) -> None:
        """Unknown: every step with a wrong sum adds one."""
        return None

    @property
    def branches(self) -> int:
        """The whole trajectories."""
        return self.samples + self.programs

    def plan(self, tree: Tree) -> Plan:
        """Draw them."""
        whole = [Expand(ROOT, self.samples, until="answer")]
        if self.programs:
            whole.append(Expand(ROOT, self.programs, until="answer", mode="program"))
        return (yield from draw_with_redraws(tree, whole, self.slips))
