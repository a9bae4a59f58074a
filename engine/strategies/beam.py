"""Step-level beam search guided by estimates, and the paper's two rules for its size."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ..search.tree import Tree
from ..types import ROOT, NodeId
from .allocation import prefixes_to_keep, required_samples, samples_of_each
from .base import Command, Cut, Expand, Plan, SearchParams, Strategy, gather, lowers, open_nodes, top_k


def beam_search(tree: Tree, params: SearchParams) -> Plan:
    """Keep the ``beam_width`` best prefixes, draw ``branching`` steps below each, repeat.

    The first level draws as many steps as a full beam would. A finished trajectory takes one place of
    the beam, so the search ends after ``beam_width`` answers (as in Snell et al., arXiv 2408.03314).
    With ``prune_every`` above 1 every prefix writes that many steps before the next pruning.
    """
    width, dropped = params.beam_width, list[NodeId]()
    expand: Sequence[Expand] = [Expand(ROOT, params.beam_width * params.branching)]
    while expand:
        alive, finished = yield from _steps(tree, dropped, expand, params.prune_every)
        width = max(0, width - finished)
        kept = _kept(tree, alive, width, params)
        dropped = [node for node in alive if node not in kept]
        expand = _children(tree, kept, params)
    if dropped:
        yield [Cut(tuple(dropped), "the beam is full of answers")]
    return None


def _steps(
    tree: Tree, dropped: Sequence[NodeId], expand: Sequence[Expand], steps: int
) -> Generator[Sequence[Command], Sequence[NodeId], tuple[list[NodeId], int]]:
    """Draw a level and let each child write ``steps`` steps; returns the open ends and how many finished."""
    commands: list[Command] = [Cut(tuple(dropped), "outside the beam")] if dropped else []
    commands += expand
    alive, finished = list[NodeId](), 0
    for _ in range(steps):
        children = yield from gather(tree, commands)
        alive = open_nodes(tree, children)
        finished += len(children) - len(alive)
        commands = [Expand(node) for node in alive]
    return alive, finished


def _kept(tree: Tree, alive: Sequence[NodeId], width: int, params: SearchParams) -> list[NodeId]:
    """The best by median; with IAS-of-K as many of them as their lower estimates ask for."""
    if width and alive and "k" in params.adapt:
        width = prefixes_to_keep(lowers(tree, alive), params.branching, params.confidence, width)
    return top_k(tree, alive, width)


def _children(tree: Tree, kept: Sequence[NodeId], params: SearchParams) -> list[Expand]:
    """``branching`` children of each; with IAS-of-M as many as the worst of them asks for."""
    if params.adapt == "none" or not kept:
        return [Expand(node, params.branching) for node in kept]
    found = lowers(tree, kept)
    each = params.branching
    if "m" in params.adapt:
        each = samples_of_each(found, params.beam_width, params.branching, params.confidence)
    return [
        Expand(node, each, lower=lower, required=required_samples(lower, params.confidence))
        for node, lower in zip(kept, found, strict=True)
    ]


def dvts(tree: Tree, params: SearchParams) -> Plan:
    """Diverse verifier tree search: ``beam_width`` independent trees, each keeping its best child alone.

    From Hugging Face's "Scaling test-time compute with open models" (2024); a tree ends with its answer.
    """
    count, size = params.beam_width, params.branching
    commands: Sequence[Command] = [Expand(ROOT, count * size)]
    homes: dict[NodeId, int] = {}
    while commands:
        children = yield from gather(tree, commands)
        for at, node in enumerate(children):
            parent = tree[node].parent
            assert parent is not None, "only the root has no parent"
            homes[node] = at // size if parent == ROOT else homes[parent]
        best = [top_k(tree, [node for node in children if homes[node] == home], 1) for home in range(count)]
        kept = open_nodes(tree, [node for nodes in best for node in nodes])
        dropped = tuple(node for node in open_nodes(tree, children) if node not in kept)
        commands = [Expand(node, size) for node in kept]
        if dropped:
            commands = [Cut(dropped, "not the best of its tree"), *commands]
    return None


BEAM = Strategy(
    "beam",
    beam_search,
    select="best",
    width=lambda params: params.beam_width * params.branching,
    used=("beam_width", "branching", "prune_every"),
    adapts=("k", "m", "km"),
)
DVTS = Strategy(
    "dvts",
    dvts,
    select="best",
    width=lambda params: params.beam_width * params.branching,
    used=("beam_width", "branching"),
)
