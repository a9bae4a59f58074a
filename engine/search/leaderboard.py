"""The answers of one search: which trajectory is a candidate, which answer leads, how likely it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..answers.choosing import Candidate, FinishedSearch, SearchResult, Standing, choose, likeliest, standing
from ..kinds import kind_of
from ..ports import AnswerEstimates, Calibrator
from ..strategies import Strategy
from ..types import ROOT, Estimate, NodeId, StopReason
from .tree import Tree


class Leaderboard:
    """Decides which answer leads, once for each trajectory that counts.

    Args:
        tree: Tree of the search.
        strategy: Its ``rule`` chooses the answer.
        calibrator: Gives the probability of an answer.

    Attributes:
        cut: Trajectories that were cut: they count as ended.
    """

    def __init__(self, tree: Tree, strategy: Strategy, calibrator: Calibrator) -> None:
        self._tree = tree
        self._kind = kind_of(tree.problem)
        self._strategy = strategy
        self.calibrator = calibrator
        self.cut = 0
        self._latest = SearchResult(None, None, (), None)
        self._revised: Mapping[NodeId, Estimate] = {}

    def candidate(self, node: NodeId) -> Candidate | None:
        """The trajectory that ends at a scored node; None if it goes on."""
        end = self._tree[node]
        if end.step is None or end.estimate is None or end.status != "terminal":
            return None
        text, finish = self._tree.text(node), end.step.finish
        assert finish is not None, "a node has a whole step"
        answer = self._kind.answer(self._tree.problem, end.mode, text, finish, end.execution)
        return self._tree.candidate(node, answer, end.estimate)

    def can_be_shown(self, candidate: Candidate) -> bool:
        """True for an answer, prose that ended by itself without one, and a reply that stays alone."""
        end = self._tree[candidate.node]
        ended_by_itself = end.step is not None and end.step.finish == "stop"
        is_prose = end.mode == "prose" and self._tree.problem.kind != "json"
        is_alone = self._tree.problem.is_chat or self._tree.problem.kind == "fact"
        is_text = is_prose and (ended_by_itself or is_alone)
        return candidate.answer is not None or is_text

    def update(self, candidates: Sequence[Candidate]) -> tuple[Standing, SearchResult]:
        """The standing and the result with these candidates.

        Args:
            candidates: Trajectories that count, in drawing order, each with its own estimate.
        """
        shown = [candidate for candidate in candidates if self.can_be_shown(candidate)]
        questions = self._tree.questions
        prefix = self._tree.prefix(ROOT, self._strategy.modes[0])
        same = self._kind.equality(self._tree.problem)
        chosen = choose(shown, self._strategy.rule, same, lambda node: self._tree[node].mode)
        # A failed program cannot be shown, and speaks against the answer all the same.
        counted = [c for c in candidates if c.mode != "prose" or self.can_be_shown(c)]
        known = {mode: each for mode, each in questions.items() if any(c.mode == mode for c in counted)}
        logits, judged = self._tree.mean_option_logits, AnswerEstimates(None, options=self._prior())
        if chosen.groups:
            finished = FinishedSearch(known, tuple(counted), chosen.groups, logits)
            judged = self.calibrator.judge(prefix, finished)
        self._latest = replace(chosen, confidence=judged.confidence or chosen.confidence)
        self._revised = judged.revised
        ended = len(candidates) + self.cut
        if self._strategy.rule == "likeliest":
            self._latest = likeliest(self._latest, self._revised)
        if judged.fields:
            self._latest = replace(self._latest, fields=judged.fields[self._latest.groups[0].nodes[0]])
        if self._strategy.rule == "likeliest":
            return replace(standing(self._latest, shown, ended), options=judged.options), self._latest
        if logits and self._kind.options(self._tree.problem):
            return self._weigh(logits, shown, ended), self._latest
        return standing(self._latest, shown, ended), self._latest

    def _prior(self) -> Mapping[str, float]:
        """Probability of each option by its logits alone; empty where nothing was read."""
        logits, weights = self._tree.mean_option_logits, self.calibrator.options
        if not logits or weights is None:
            return {}
        return dict(zip(logits, weights.prior(tuple(logits.values())), strict=True))

    def _weigh(self, logits: Mapping[str, float], shown: Sequence[Candidate], ended: int) -> Standing:
        """The likeliest option leads, by what the logits showed and what solutions have chosen."""
        weights, options = self.calibrator.options, tuple(logits)
        assert weights is not None, "options are read only where they can be weighed"
        seen = tuple(logits.values())
        votes = [(options.index(c.answer), c.mode) for c in shown if c.answer is not None]
        p = dict(zip(options, weights.posterior(seen, votes), strict=True))
        groups = tuple(sorted(self._latest.groups, key=lambda group: -p[group.answer]))
        answer = max(p, key=lambda option: p[option])
        chosen = [group for group in groups if group.answer == answer]
        best = chosen[0].nodes[0] if chosen else None
        self._latest = SearchResult(answer, _known(p[answer]), groups, best, options=p)
        self._revised = {c.node: _known(p[c.answer]) for c in shown if c.answer is not None}
        left = (self._strategy.at_most or 0) - ended
        return replace(
            standing(self._latest, shown, ended),
            votes=len(chosen[0].nodes) if chosen else 0,
            second=max((len(group.nodes) for group in groups if group.answer != answer), default=0),
            gain=max(weights.gain(seen, votes, mode, left) for mode in self._strategy.modes),
            options=p,
        )

    def revisions(self) -> dict[NodeId, Estimate]:
        """Estimates of trajectories that the latest update has changed."""
        return {node: found for node, found in self._revised.items() if found != self._tree[node].estimate}

    def result(self, reason: StopReason) -> SearchResult:
        """The latest result, with the stop reason."""
        return replace(self._latest, stop_reason=reason)


def _known(p: float) -> Estimate:
    """The probability of an option: no interval is known around it."""
    return Estimate(p, p, p, calibrated=True)
