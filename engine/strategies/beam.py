"""Step-level beam search guided by estimates."""

from __future__ import annotations

from collections.abc import Sequence

from ..tree import Tree
from ..types import ROOT, NodeId
from .base import Command, Cut, Expand, Plan, SearchParams, Strategy, gather, open_nodes, top_k


def beam_search(tree: Tree, params: SearchParams) -> Plan:
    """Keep the ``beam_width`` best prefixes, draw ``branching`` steps below each, repeat.

    The first level draws as many steps as a full beam would. A finished trajectory takes one place of
    the beam, so the search ends after ``beam_width`` answers (as in Snell et al., arXiv 2408.03314).
    """
    width, dropped = params.beam_width, list[NodeId]()
    expand: Sequence[Command] = [Expand(ROOT, params.beam_width * params.branching)]
    while expand:
        cut = [Cut(tuple(dropped), "outside the beam")] if dropped else []
        children = yield from gather(tree, [*cut, *expand])
        alive = open_nodes(tree, children)
        width = max(0, width - (len(children) - len(alive)))
        kept = top_k(tree, alive, width)
        dropped = [node for node in alive if node not in kept]
        expand = [Expand(node, params.branching) for node in kept]
    if dropped:
        yield [Cut(tuple(dropped), "the beam is full of answers")]


BEAM = Strategy(
    "beam",
    beam_search,
    select="best",
    width=lambda params: params.beam_width * params.branching,
    used=("beam_width", "branching"),
)
