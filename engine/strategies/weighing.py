"""Options that are read before anything is written, then solutions as long as they are worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..answers.choosing import Standing
from ..search.tree import Tree
from ..types import SelectRule, StopReason
from .base import Plan, Strategy, whole_trajectories


@dataclass(frozen=True, slots=True)
class Weighing(Strategy):
    """Solutions for a question with options, until the likeliest one is sure or no solution is worth it.

    None is drawn where a look at the options says enough.

    Attributes:
        samples: Most trajectories.
        stop_at: Probability of the likeliest option at which it stops, in [0, 1].
        min_gain: It stops when each further trajectory adds less than this to that probability.
    """

    name: ClassVar[str] = "weighing"
    select: ClassVar[SelectRule] = "weighted"
    looks_ahead: ClassVar[bool] = True
    stops_early: ClassVar[bool] = True

    samples: int = 8
    stop_at: float = 0.95
    min_gain: float = 0.01

    def plan(self, tree: Tree) -> Plan:
        """Draw them side by side."""
        draws = whole_trajectories(self.samples, self.modes, greedy=self.samples == 1)
        while (verdict := self._verdict(tree.standing)) is None:
            yield draws
            draws = []
        return verdict

    def _verdict(self, now: Standing | None) -> StopReason | None:
        """The stop reason by the probability of the options; None to go on, and where they were not read."""
        if now is None or now.gain is None:
            return None
        if now.options[now.answer or ""] >= self.stop_at:
            return "confident"
        return None if now.gain >= self.min_gain else "settled"
