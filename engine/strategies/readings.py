"""Readings of a text as JSON until they agree on each field: the rule for schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..search.tree import Tree
from ..types import ROOT, SelectRule
from .adaptive import Effort
from .base import Expand, Plan, whole_trajectories
from .vote_stopping import Sequential, all_drawn


@dataclass(frozen=True, slots=True)
class Readings(Sequential):
    """The greedy reading beside one sampled; more until ``votes`` agree on each field of one of them.

    Attributes:
        samples: Most readings, the greedy one among them.
        votes: Readings that have to agree on a field.
    """

    name: ClassVar[str] = "readings"
    select: ClassVar[SelectRule] = "likeliest"

    samples: int = 6
    votes: int = 2

    def plan(self, tree: Tree) -> Plan:
        """Judge one reading after the other."""
        greedy = Expand(ROOT, 1, until="answer", greedy=True, mode=self.modes[0])
        more = whole_trajectories(self.samples - 1, self.modes[:1], sure=1) if self.samples > 1 else []
        yield [greedy, *more]
        while not all_drawn(tree, self.samples):
            if _least_votes(tree) >= self.votes:
                return "confident"
            yield ()
        return "confident" if _least_votes(tree) >= self.votes else None


def _least_votes(tree: Tree) -> int:
    """Votes for that field of the leading reading that has the fewest; of other answers for the whole."""
    if not tree.groups:
        return 0
    if tree.problem.kind != "json":
        return len(tree.groups[0].nodes)
    from ..kinds.json_object import schema_of
    from ..tools.fields import votes_by_field

    leader = tree.groups[0].nodes[0]
    votes = votes_by_field(tree.groups, schema_of(tree.problem))
    sizes = [len(nodes) for agreeing in votes.values() for nodes in agreeing if leader in nodes]
    return min(sizes, default=len(tree.groups[0].nodes))


EFFORTS: Mapping[Effort, Readings] = {
    "low": Readings(samples=2),
    "medium": Readings(),
    "high": Readings(samples=9, votes=3),
    "max": Readings(samples=16, votes=4),
}
"""Readings of each effort: two that agree are enough for ``medium``."""
