"""Which trajectories and prefixes of a search led to the right answer."""

from __future__ import annotations

from dataclasses import dataclass

from ..kinds import Run, kind_of
from ..types import Mode, NodeId, Problem
from .record import Record


def right_nodes(record: Record, problem: Problem, run: Run | None = None) -> frozenset[NodeId]:
    """Last nodes of the correct trajectories.

    Args:
        record: Record of a search of the problem.
        problem: The problem with what only an evaluation may see.
        run: Runs programs with hidden tests; None if there is no code task.
    """
    kind = kind_of(problem)
    return frozenset(
        each.node
        for each in record.candidates
        if kind.is_right(problem, each.answer, record.tree[each.node].execution, run)
    )


@dataclass(frozen=True, slots=True)
class PrefixOutcome:
    """Number of draws from or through a prefix, and of those that reached the correct answer."""

    right: int = 0
    total: int = 0

    def __add__(self, other: PrefixOutcome) -> PrefixOutcome:
        return PrefixOutcome(self.right + other.right, self.total + other.total)


def prefix_outcomes(record: Record, mode: Mode = "prose") -> dict[NodeId, PrefixOutcome]:
    """Outcomes of every node of a search by trajectories of one mode.

    A draw counts for its starting node and everything on its own way down, not for what lies above its
    start: draws from one prefix are no independent evidence about the question. A run without an answer
    is a failure, cut off by a limit or not: nothing is filtered.

    Args:
        record: Record of the search of a problem whose answer is known.
        mode: Mode of the trajectories.
    """
    right = right_nodes(record, record.started.problem)
    outcomes = {node.id: PrefixOutcome() for node in record.tree}
    for candidate in record.candidates:
        if record.tree[candidate.node].mode != mode:
            continue
        one = PrefixOutcome(int(candidate.node in right), 1)
        branch = record.tree[candidate.node].branch
        assert branch is not None, "only the root was not drawn"
        origin = record.branches[branch].parent
        at: NodeId | None = candidate.node
        while at is not None:
            outcomes[at] += one
            at = None if at == origin else record.tree[at].parent
    return outcomes
