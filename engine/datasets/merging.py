"""Equal continuations of one prefix become one, which has the outcomes of all.

A sampler draws the same step again and again. As rows of their own two equal prefixes would have two labels;
together they have one probability, from more draws.
"""

from __future__ import annotations

from dataclasses import replace

from ..search.outcomes import PrefixOutcome
from .sampled import SampledNode, SampledQuestion


def merge_equal(question: SampledQuestion) -> SampledQuestion:
    """The question with equal siblings merged; what is not counted is the first one's."""
    nodes: list[SampledNode] = []
    row_of: list[int] = []
    seen: dict[tuple[object, ...], int] = {}
    for node in question.nodes:
        parent = -1 if node.parent < 0 else row_of[node.parent]
        row = seen.setdefault((parent, node.text, node.mode, node.ended), len(nodes))
        if row == len(nodes):
            nodes.append(node.below(parent))
        else:
            nodes[row] = replace(nodes[row], outcome=_sum(nodes[row].outcome, node.outcome))
        row_of.append(row)
    return question if len(nodes) == len(question.nodes) else replace(question, nodes=tuple(nodes))


def _sum(one: PrefixOutcome | None, other: PrefixOutcome | None) -> PrefixOutcome | None:
    return one + other if one is not None and other is not None else one or other
