"""Step-level tree search guided by estimates: beams with the paper's two rules for their size."""

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
    gather,
    lowers,
    open_nodes,
    top_k,
)


@dataclass(frozen=True, slots=True)
class Beam(InstanceAdaptive):
    """Keep the best prefixes, draw steps below each, repeat.

    The first level draws as many steps as a full beam would. A finished trajectory takes one place of
    the beam, so the search ends after ``beams`` answers (as in Snell et al., arXiv 2408.03314).

    Attributes:
        beams: Prefixes that are kept; with IAS-of-K (``adapt="k"``) the number that their lower estimates
            ask for.
        branching: Children of each; with IAS-of-M (``"m"``) the number that the worst of them asks for.
        prune_every: Steps between two prunings; in between each prefix goes on alone.
    """

    name: ClassVar[str] = "beam"
    select: ClassVar[SelectRule] = "best"
    grows_steps: ClassVar[bool] = True
    rules: ClassVar[tuple[Adapt, ...]] = ("k", "m", "km")

    beams: int = 4
    branching: int = 4
    prune_every: int = 1

    @property
    def at_most(self) -> int:
        """A full level: where ``f`` of its trajectories finish, the next has ``(beams - f) * branching``."""
        return self.beams * self.branching

    def plan(self, tree: Tree) -> Plan:
        """Draw a level, prune it, expand the kept prefixes."""
        left, dropped = self.beams, list[NodeId]()
        expand: Sequence[Expand] = [Expand(ROOT, self.beams * self.branching)]
        while expand:
            alive, finished = yield from self._level(tree, dropped, expand)
            left = max(0, left - finished)
            kept = self._best(tree, alive, left)
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

    def _best(self, tree: Tree, alive: Sequence[NodeId], most: int) -> list[NodeId]:
        """Prefixes to keep: the best by median, as many as the rule asks for."""
        if most and alive and "k" in self.adapt:
            most = prefixes_to_keep(lowers(tree, alive), self.branching, self.confidence, most)
        return top_k(tree, alive, most)

    def _children(self, tree: Tree, kept: Sequence[NodeId]) -> list[Expand]:
        if self.adapt == "none" or not kept:
            return [Expand(node, self.branching) for node in kept]
        lower_estimates = lowers(tree, kept)
        each = self.branching
        if "m" in self.adapt:
            each = samples_of_each(lower_estimates, self.beams, self.branching, self.confidence)
        return [
            Expand(node, each, required=required_samples(lower, self.confidence))
            for node, lower in zip(kept, lower_estimates, strict=True)
        ]
