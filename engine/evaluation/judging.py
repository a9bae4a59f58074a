"""The correct trajectories of a search, by the known answer or by tests that no search has seen."""

from __future__ import annotations

from ..kinds import kind_of
from ..kinds.base import Run
from ..search.record import Record
from ..types import NodeId, Problem


def right_nodes(record: Record, problem: Problem, run: Run | None) -> frozenset[NodeId]:
    """Last nodes of the trajectories that are right.

    Args:
        record: Of a search of the problem.
        problem: With what only an evaluation may see.
        run: Runs programs with hidden tests; None if there is no code task.
    """
    kind = kind_of(problem)
    return frozenset(
        each.node
        for each in record.candidates
        if kind.is_right(problem, each.answer, record.tree[each.node].execution, run)
    )
