"""The default strategy: it decides by votes as solutions finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, islice, repeat

from ..answers.choosing import SearchResult
from ..search.tree import Tree
from ..types import ROOT, Mode, NodeId, StopReason, percent, probability_of
from .base import REDRAWS, Cut, Expand, Plan, Strategy

_FAILURES = 3
"""Programs without an answer, and none with one, that end the programs of a question."""


@dataclass(frozen=True, slots=True)
class Adaptive(Strategy):
    """Draw trajectories side by side until an answer leads by enough votes, or none can catch up with it.

    No rule that reads a probability, fitted or not, ends a search sooner at equal accuracy
    (docs/research.md); one gives up. A fit weighs the votes and cuts trajectories that will not succeed.
    Programs and prose take turns, as each sees what the other misreads; a trajectory that stays alone takes
    the most likely tokens. If options were read and no program can answer, nothing is drawn:
    prose finds the correct option no more often than the option logits do (docs/research.md).

    Attributes:
        samples: Most trajectories.
        lead: Votes by which the answer is ahead of every other one at the end; one less is enough if both
            modes give it.
        cut: A running trajectory is cut below this calibrated estimate; 0 for never.
        hopeless: After half of the trajectories it gives up if the answer's calibrated probability is
            below this; 0 for never.
        programs: Programs that are drawn before any prose.
    """

    name = "adaptive"
    select = "weighted"
    reads_options = True
    stops_early = True

    samples: int = 16
    lead: int = 3
    cut: float = 0.1
    hopeless: float = 0.03
    redraws: int = field(default=REDRAWS, kw_only=True)
    programs: int = field(default=1, kw_only=True)

    def plan(self, tree: Tree) -> Plan:
        """Fill each free place, and cut trajectories that will not succeed."""
        # Programs are shorter, and answer first.
        turns = sorted(self.modes, key=lambda mode: mode == "prose")
        dealt = list(islice(chain(repeat(turns[0], self.programs - 1), cycle(turns)), self.samples))
        started, running = 0, 0
        cuts: list[Cut] = []
        while (verdict := self._verdict(tree)) is None:
            room = max(0, min(tree.width - running, self.samples - started))
            draws = [self._draw(tree, mode) for mode in dealt[started : started + room]]
            started, running = started + room, running + room
            if not (running or cuts):
                return None
            scored = yield [*cuts, *draws]
            cuts = self._cuts(tree, scored)
            running -= len(cuts) + sum(tree[node].status == "terminal" for node in scored)
        return verdict

    def _draw(self, tree: Tree, mode: Mode) -> Expand:
        """A trajectory in a mode, or in prose once programs have failed."""
        if mode == "program" and "prose" in self.modes and _programs_fail(tree):
            mode = "prose"
        return Expand(ROOT, 1, "answer", greedy=self.samples == 1, mode=mode)

    def _verdict(self, tree: Tree) -> StopReason | None:
        """The stop reason; None to go on."""
        now = tree.standing
        if now.options and not now.finished and "program" not in self.modes:
            return "settled"
        if now.answer is None and now.replies > 1:
            return "exhausted"  # a question without a checkable answer: more solutions would not agree either
        if self._is_agreed(tree, now):
            return "confident"
        if now.votes - now.second > self.samples - now.finished:
            return "settled"
        p = probability_of(now.confidence) if now.answer is not None else None
        is_hopeless = p is not None and p < self.hopeless and 2 * now.finished >= self.samples
        return "hopeless" if is_hopeless else None

    def _is_agreed(self, tree: Tree, now: SearchResult) -> bool:
        """True if the answer leads by enough votes.

        Solutions of one mode share misreadings, so one mode decides alone only if no solution differs.
        """
        lead, leading = now.votes - now.second, now.groups[0].nodes if now.groups else ()
        if len({tree.mode_as_evidence(node) for node in leading}) > 1:
            return lead >= max(2, self.lead - 1)
        has_others = len(self.modes) > 1 and self.programs < self.samples and not _programs_fail(tree)
        return lead >= self.lead and not (now.second and has_others)

    def _cuts(self, tree: Tree, nodes: Sequence[NodeId]) -> list[Cut]:
        running = (tree[node] for node in nodes if tree[node].status == "open")
        return [
            Cut((node.id,), f"less than {percent(self.cut)} likely")
            for node in running
            if (p := probability_of(node.estimate)) is not None and p < self.cut
        ]


def _programs_fail(tree: Tree) -> bool:
    answered = {node for group in tree.groups for node in group.nodes}
    ended = {node.id for node in tree if node.mode == "program" and node.execution is not None}
    return len(ended) >= _FAILURES and not ended & answered
