"""What counts in one search: finished trajectories, in the order in which they were drawn.

Which trajectory ends first depends on the machine, on what else is searched, and on their lengths. A strategy
that may stop early judges them one after another all the same: short ones are not to count first.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..answers.extract import extract_answer, last_boxed
from ..answers.votes import choose, judge, standing
from ..ports import Calibrator, Prefix
from ..strategies import Strategy
from ..strategies.allocation import chance_needed
from ..types import ROOT, Candidate, Estimate, NodeId, SearchResult, Standing, StopReason
from .branches import Draw
from .tree import Tree


class Counted:
    """Trajectories that have ended, and those among them that count.

    Attributes:
        sure: Trajectories that will be judged in any case, where they are judged one after another in the
            order of their numbers; 0 where each counts as soon as it has ended.
        judged: How many have been.

    Args:
        tree: Of the search.
        strategy: Chooses the answer, and says what a further trajectory is worth.
    """

    def __init__(self, tree: Tree, strategy: Strategy) -> None:
        self.sure = 0
        self.judged = 0
        self._tree = tree
        self._strategy = strategy
        self._candidates: list[Candidate] = []
        self._cut = 0
        self._ahead: dict[int, Candidate | None] = {}

    @property
    def due(self) -> bool:
        """Whether the next one to be judged has ended."""
        return self.judged in self._ahead

    @property
    def any_solution(self) -> bool:
        """Whether a trajectory has ended that could be shown, its turn or not."""
        return any(map(self._showable, [*self._candidates, *self.ahead()]))

    def chance(self, draw: Draw) -> float:
        """How likely it is that a draw will count."""
        if not self.sure:
            return 1.0
        ahead = draw.key[0] - max(self.judged, self.sure - 1)
        return chance_needed(ahead, self.judged, self._surplus())

    def _surplus(self) -> float | None:
        """What each trajectory more promises, over what it must; None where that is not known."""
        standing = self._tree.standing
        return None if standing is None else self._strategy.surplus(standing)

    def candidate(self, node: NodeId, estimate: Estimate) -> Candidate | None:
        """The trajectory that ends at ``node``; None where it goes on."""
        step = self._tree[node].step
        if step is None or self._tree[node].status != "terminal":
            return None
        # A run that was cut off counts as a failure unless it had already boxed its answer.
        text = self._tree.text(node)
        complete = step.finish == "stop" or last_boxed(text) is not None
        return Candidate(node, extract_answer(text) if complete else None, estimate)

    def awaits(self, turn: int) -> bool:
        """Whether the trajectory with this number has not ended yet and is to be judged in its turn."""
        return self.sure > 0 and turn >= self.judged and turn not in self._ahead

    def wait(self, turn: int, ended: Candidate | None) -> None:
        """One has ended and counts when its turn comes; without a candidate it was cut."""
        self._ahead[turn] = ended

    def take(self) -> Candidate | None:
        """The next one, which must be ``due``, counts; None where it was cut."""
        found = self._ahead.pop(self.judged)
        self.judged += 1
        if found is None:
            self._cut += 1
        else:
            self.count(found)
        return found

    def count(self, found: Candidate) -> None:
        """A trajectory counts."""
        self._candidates.append(found)

    def ahead(self) -> list[Candidate]:
        """Those that have ended before their turn, in order."""
        found = (self._ahead[turn] for turn in sorted(self._ahead))
        return [candidate for candidate in found if candidate is not None]

    def result(self, reason: StopReason, calibrator: Calibrator) -> SearchResult:
        """What is answered when the search ends now."""
        return self._result(self._shown(), reason, calibrator)

    def standing(self, calibrator: Calibrator) -> Standing:
        """Which answer leads now."""
        shown = self._shown()
        result = self._result(shown, "exhausted", calibrator)
        ended = len(self._candidates) + self._cut
        most = self._strategy.at_most if self._strategy.looks_ahead else None
        left = None if most is None else most - ended
        return standing(result, shown, ended, left, self._tree[ROOT].estimate)

    def _result(self, shown: Sequence[Candidate], reason: StopReason, calibrator: Calibrator) -> SearchResult:
        result = choose(shown, self._strategy.select, reason)
        prefix = Prefix(self._tree.problem, (), self._tree.reading)
        return judge(result, shown, self._tree[ROOT].estimate, prefix, calibrator)

    def _shown(self) -> Sequence[Candidate]:
        """In drawing order, by which equals are told apart."""
        found = [candidate for candidate in self._candidates if self._showable(candidate)]
        if self.sure:
            return found  # judged in order, and what was drawn again has a late branch
        return sorted(found, key=lambda candidate: self._tree.drawn(candidate.node))

    def _showable(self, found: Candidate) -> bool:
        """A run that was cut off before it had an answer is none."""
        step = self._tree[found.node].step
        return found.answer is not None or (step is not None and step.finish == "stop")
