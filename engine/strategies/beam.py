"""Step-level tree search guided by estimates: beams with the paper's two rules for their size, and DVTS."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..search.tree import Tree
from ..types import ROOT, NodeId, SelectRule
from .allocation import prefixes_to_keep, required_samples, samples_of_each
from .base import (
    Adapt,
    Command,
    Cut,
    Expand,
    InstanceAdaptive,
    Plan,
    Strategy,
    gather,
    lowers,
    open_nodes,
    top_k,
)


@dataclass(frozen=True, slots=True)
class Beam(InstanceAdaptive):
    """Keep the best prefixes, draw steps below each, repeat.

    The first level draws as many steps as a full beam would. A finished trajectory takes one place of
    the beam, so the search ends after ``width`` answers (as in Snell et al., arXiv 2408.03314).

    Attributes:
        width: Prefixes that are kept; with IAS-of-K (``adapt="k"``) the number that their lower estimates
            ask for.
        branching: Children of each; with IAS-of-M (``"m"``) the number that the worst of them asks for.
        prune_every: Steps between two prunings; in between each prefix goes on alone.
    """

    name: ClassVar[str] = "beam"
    select: ClassVar[SelectRule] = "best"
    grows_steps: ClassVar[bool] = True
    rules: ClassVar[tuple[Adapt, ...]] = ("k", "m", "km")

    width: int = 4
    branching: int = 4
    prune_every: int = 1

    @property
    def at_most(self) -> int:
        """A full level: where ``f`` of its trajectories finish, the next has ``(width - f) * branching``."""
        return self.width * self.branching

    def plan(self, tree: Tree) -> Plan:
        """Draw a level, prune it, expand the kept prefixes."""
        width, dropped = self.width, list[NodeId]()
        expand: Sequence[Expand] = [Expand(ROOT, self.width * self.branching)]
        while expand:
            alive, finished = yield from self._level(tree, dropped, expand)
            width = max(0, width - finished)
            kept = self._best(tree, alive, width)
            dropped = [node for node in alive if node not in kept]
            expand = self._children(tree, kept)
        if dropped:
            yield [Cut(tuple(dropped), "the beam is full of answers")]
        return None

    def _level(
        self, tree: Tree, dropped: Sequence[NodeId], expand: Sequence[Expand]
    ) -> Generator[Sequence[Command], Sequence[NodeId], tuple[list[NodeId], int]]:
        """Cut, draw a level, let it write on until it is pruned; returns open ends and how many finished."""
        commands: list[Command] = [Cut(tuple(dropped), "outside the beam")] if dropped else []
        commands += expand
        alive, finished = list[NodeId](), 0
        for _ in range(self.prune_every):
            children = yield from gather(tree, commands)
            alive = open_nodes(tree, children)
            finished += len(children) - len(alive)
            commands = [Expand(node) for node in alive]
        return alive, finished

    def _best(self, tree: Tree, alive: Sequence[NodeId], width: int) -> list[NodeId]:
        """Prefixes to keep: the best by median, as many as the rule asks for."""
        if width and alive and "k" in self.adapt:
            width = prefixes_to_keep(lowers(tree, alive), self.branching, self.confidence, width)
        return top_k(tree, alive, width)

    def _children(self, tree: Tree, kept: Sequence[NodeId]) -> list[Expand]:
        if self.adapt == "none" or not kept:
            return [Expand(node, self.branching) for node in kept]
        lower_estimates = lowers(tree, kept)
        each = self.branching
        if "m" in self.adapt:
            each = samples_of_each(lower_estimates, self.width, self.branching, self.confidence)
        return [
            Expand(node, each, lower=lower, required=required_samples(lower, self.confidence))
            for node, lower in zip(kept, lower_estimates, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class DVTS(Strategy):
    """Diverse verifier tree search: independent trees, each of which keeps its best child alone.

    From Hugging Face's "Scaling test-time compute with open models" (2024); a tree ends with its answer.

    Attributes:
        width: Number of trees.
        branching: Children of each kept prefix.
    """

    name: ClassVar[str] = "dvts"
    select: ClassVar[SelectRule] = "best"
    grows_steps: ClassVar[bool] = True

    width: int = 4
    branching: int = 4

    @property
    def at_most(self) -> None:
        """Unknown: not only the best child may finish on every level."""
        return None

    @property
    def branches(self) -> int:
        """One level of all trees."""
        return self.width * self.branching

    def plan(self, tree: Tree) -> Plan:
        """Draw a level of all trees, keep the best of each, go on from those that are open."""
        commands: Sequence[Command] = [Expand(ROOT, self.width * self.branching)]
        homes: dict[NodeId, int] = {}
        while commands:
            children = yield from gather(tree, commands)
            for at, node in enumerate(children):
                parent = tree[node].parent
                assert parent is not None, "only the root has no parent"
                homes[node] = at // self.branching if parent == ROOT else homes[parent]
            trees = ([n for n in children if homes[n] == home] for home in range(self.width))
            best = [node for nodes in trees for node in top_k(tree, nodes, 1)]
            kept = open_nodes(tree, best)
            dropped = tuple(node for node in open_nodes(tree, children) if node not in kept)
            commands = [Expand(node, self.branching) for node in kept]
            if dropped:
                commands = [Cut(dropped, "not the best of its tree"), *commands]
        return None
