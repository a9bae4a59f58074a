"""The rule that ``adaptive`` is compared with; ``register_baselines`` makes it known.

The product has the rules that people search with. This one stands beside them in evaluations only.
"""

from __future__ import annotations

from dataclasses import dataclass

from adascale.engine.search.tree import Tree
from adascale.engine.strategies import STRATEGIES, Plan, Strategy
from adascale.engine.strategies.base import draw_until, whole_trajectories
from adascale.engine.types import StopReason


@dataclass(frozen=True, slots=True)
class Margin(Strategy):
    """Draw until one answer is a number of votes ahead of every other: the plainest rule that stops early.

    Attributes:
        samples: Most trajectories.
        lead: Lead in votes that ends the search.
    """

    name = "margin"
    size = "lead"
    stops_early = True

    samples: int = 16
    lead: int = 2

    def plan(self, tree: Tree) -> Plan:
        """Draw them side by side."""

        def verdict() -> StopReason | None:
            now = tree.standing
            return "confident" if now.votes - now.second >= self.lead else None

        return draw_until(tree, [whole_trajectories(self.samples, self.modes)], verdict)


def register_baselines() -> None:
    """Make it known to ``STRATEGIES``, so that evaluations find it by name."""
    STRATEGIES[Margin.name] = Margin
