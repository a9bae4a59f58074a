"""The answers of one search: which trajectory is a candidate, which answer leads, how likely it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..answers.extract import extract_answer, last_boxed
from ..answers.votes import choose, standing, with_confidence
from ..ports import Calibrator, Prefix
from ..strategies import Strategy
from ..types import ROOT, Candidate, NodeId, SearchResult, Standing, StopReason
from .tree import Tree


class Leaderboard:
    """Decides which answer leads, once for each trajectory that counts.

    Args:
        tree: Of the search.
        strategy: How the answer is chosen.
        calibrator: Knows the probability of an answer.
    """

    def __init__(self, tree: Tree, strategy: Strategy, calibrator: Calibrator) -> None:
        self._tree = tree
        self._strategy = strategy
        self._calibrator = calibrator
        self._latest = SearchResult(None, None, (), None)

    def candidate(self, node: NodeId) -> Candidate | None:
        """The trajectory that ends at a scored node; None where it goes on."""
        step, estimate = self._tree[node].step, self._tree[node].estimate
        if step is None or estimate is None or self._tree[node].status != "terminal":
            return None
        # A run that was cut off counts as a failure unless it had already boxed its answer.
        text = self._tree.text(node)
        complete = step.finish == "stop" or last_boxed(text) is not None
        return Candidate(node, extract_answer(text) if complete else None, estimate)

    def can_be_shown(self, candidate: Candidate) -> bool:
        """Whether it has an answer or ended by itself; a run that was cut off before has neither."""
        step = self._tree[candidate.node].step
        return candidate.answer is not None or (step is not None and step.finish == "stop")

    def update(self, candidates: Sequence[Candidate], cut: int) -> tuple[Standing, SearchResult]:
        """The standing and the result with these candidates.

        Args:
            candidates: Those that count, in drawing order.
            cut: Trajectories that were cut.
        """
        shown = [candidate for candidate in candidates if self.can_be_shown(candidate)]
        question = self._tree[ROOT].estimate
        prefix = Prefix(self._tree.problem, (), self._tree.reading)
        chosen = choose(shown, self._strategy.select)
        self._latest = with_confidence(chosen, shown, question, prefix, self._calibrator)
        ended = len(candidates) + cut
        most = self._strategy.at_most if self._strategy.looks_ahead else None
        left = None if most is None else most - ended
        return standing(self._latest, shown, ended, left, question), self._latest

    def result(self, reason: StopReason) -> SearchResult:
        """The latest result, with the reason why the search ended."""
        return replace(self._latest, stop_reason=reason)
