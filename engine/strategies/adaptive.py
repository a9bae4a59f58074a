"""Draw until the answer is known well enough, or not worth more: adaptive best-of-n, and its efforts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..answers.result import UNLIKELY, Standing
from ..search.tree import Tree
from ..types import Mode, NodeId, SelectRule, StopReason
from .allocation import CONFIDENCE, required_samples
from .base import Cut, Expand, Plan, whole_trajectories
from .redraws import REDRAWS
from .vote_stopping import Sequential, all_drawn, is_clear

_LEAST_SHARE = 1 / 3
"""Least share of the turns of a question that each of two modes gets, whatever its gain."""

_LEAD = 2
"""Votes by which an answer leads before rough numbers end the search with it."""

_PATIENCE = 0.75
"""Share of the solutions after which a search by rough numbers gives up without such a lead."""

_ROUGH_GAIN = 2.0
"""Factor of the gain that rough numbers need for more search."""


@dataclass(frozen=True, slots=True)
class Adaptive(Sequential):
    """Draw trajectories until the answer's own probability decides, or all are drawn.

    Without a calibration a clear majority ends it (``is_clear``). By rough numbers
    (``Standing.is_rough``) the modes take turns, and no answer is enough that leads by less than two votes.
    A trajectory that stays alone takes the most likely tokens.

    Attributes:
        least: Finished trajectories before it may stop early.
        stop_at: Probability of the answer at which it stops, in [0, 1].
        min_gain: It stops when each further trajectory adds less than this to that probability.
        hopeless: It gives up when no number of trajectories would raise that probability to this.
        cut: A running trajectory is cut below this share of the question's estimate; 0 for never.
    """

    name: ClassVar[str] = "adaptive"
    select: ClassVar[SelectRule] = "weighted"
    looks_ahead: ClassVar[bool] = True

    least: int = 2
    stop_at: float = 0.95
    min_gain: float = 0.002
    hopeless: float = 0.1
    cut: float = 0.25
    redraws: int = field(default=REDRAWS, kw_only=True)

    def shares(self, tree: Tree) -> Mapping[Mode, float]:
        """By the gains of now, each at least a third: a fitted gain moves the turns, and owns none."""
        gains = {mode: max(gain, 0.0) for mode, gain in self._gains(tree).items()}
        if not any(gains.values()):
            return Sequential.shares(self, tree)
        total = sum(gains.values())
        return {
            mode: min(max(gain / total, _LEAST_SHARE), 1.0 - _LEAST_SHARE) for mode, gain in gains.items()
        }

    @staticmethod
    def _gains(tree: Tree) -> Mapping[Mode, float]:
        """Gain of each mode, per its tokens; empty if unknown or if there is only one mode."""
        return (tree.standing.gains if tree.standing is not None else None) or {}

    def surplus(self, standing: Standing) -> float | None:
        """The gain over ``min_gain``."""
        if standing.gain is None or self.min_gain <= 0.0:
            return None
        return standing.gain / self.min_gain

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other; cut those that run and are worth less than a fresh one.

        None is drawn where a look at the options says enough.
        """
        if tree.looks and (verdict := self._verdict(tree.standing)) is not None:
            return verdict
        scored = yield self._trajectories(tree)
        while (verdict := self._verdict(tree.standing)) is None:
            if all_drawn(tree, self.samples):
                return None
            scored = yield self._cuts(tree, scored)
        return verdict

    def _trajectories(self, tree: Tree) -> list[Expand]:
        """All trajectories that may be needed, with the number that the paper's rule would have asked for."""
        sure, is_alone = min(self.least, self.samples), self.samples == 1
        expands = whole_trajectories(self.samples, self.modes, sure=sure, greedy=is_alone)
        required = {m: required_samples(asked.lower, CONFIDENCE) for m, asked in tree.questions.items()}
        return [replace(each, required=required.get(each.mode)) for each in expands]

    def _verdict(self, standing: Standing | None) -> StopReason | None:
        """The stop reason by calibrated numbers, or by votes without any; None to go on."""
        if standing is None or (standing.finished < self.least and not standing.options):
            return None
        if standing.answer is None and standing.shown:
            return "exhausted"  # a question without a checkable answer: more solutions would not agree either
        if standing.gain is None or standing.reach is None:
            return "confident" if is_clear(standing) else None
        p = standing.confidence.median if standing.answer is not None and standing.confidence else 0.0
        if standing.is_rough and standing.votes - standing.second < _LEAD:
            if standing.finished < _PATIENCE * self.samples:
                return None
            return "hopeless" if p < UNLIKELY else "settled"
        if p >= self.stop_at:
            return "confident"
        if standing.reach < self.hopeless:
            return "hopeless"
        if standing.gain >= self.min_gain * (_ROUGH_GAIN if standing.is_rough else 1.0):
            return None
        return "hopeless" if p < UNLIKELY else "settled"

    def _cuts(self, tree: Tree, nodes: Sequence[NodeId]) -> list[Cut]:
        reason = f"p below {self.cut:g} of the question's"
        return [
            Cut((node,), reason)
            for node in nodes
            if tree[node].status == "open" and self._is_doomed(tree, node)
        ]

    def _is_doomed(self, tree: Tree, node: NodeId) -> bool:
        question, estimate = tree.questions.get(tree[node].mode), tree[node].estimate
        if question is None or estimate is None or not (question.calibrated and estimate.calibrated):
            return False
        return estimate.median < self.cut * question.median
