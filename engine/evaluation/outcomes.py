"""What became of every prefix of a search: how many independent draws below it, and how many were right."""

from __future__ import annotations

from dataclasses import dataclass

from ..answers.equality import is_right
from ..search.record import Record
from ..types import NodeId


@dataclass(frozen=True, slots=True)
class PrefixOutcome:
    """Draws at or above a prefix that went through it, and how many of them ended in the right answer."""

    right: int = 0
    total: int = 0

    def __add__(self, other: PrefixOutcome) -> PrefixOutcome:
        return PrefixOutcome(self.right + other.right, self.total + other.total)


def prefix_outcomes(record: Record) -> dict[NodeId, PrefixOutcome]:
    """Outcomes of every node of a search whose problem's answer is known.

    A draw counts for its starting node and everything on its own way down, not for what lies above its
    start: draws from one prefix are no independent evidence about the question. A run without an answer
    is a failure, cut off by a limit or not: nothing is filtered.
    """
    gold = record.started.problem.answer
    assert gold is not None, "outcomes need the right answer"
    outcomes = {node.id: PrefixOutcome() for node in record.tree}
    for candidate in record.candidates:
        one = PrefixOutcome(int(is_right(candidate.answer, gold=gold)), 1)
        branch = record.tree[candidate.node].branch
        assert branch is not None, "only the root was not drawn"
        origin = record.branches[branch].parent
        at: NodeId | None = candidate.node
        while at is not None:
            outcomes[at] += one
            at = None if at == origin else record.tree[at].parent
    return outcomes
