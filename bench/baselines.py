"""Rules that ``adaptive`` and ``beam`` are compared with; ``register_baselines`` makes them known.

Usage: ``python -m bench.baselines eval -m MODEL SET.jsonl --strategies margin:2/both+redraw,adaptive``, which
is ``adascale`` that knows them.

The product has the rules that people search with. These stand beside them in evaluations only: their gain
over each other is measured, and no default is built on them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.errors import UsageError
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import STRATEGIES, Cut, Expand, Plan, Strategy, gather
from adascale.engine.strategies.base import Command, draw_until, top_k, whole_trajectories
from adascale.engine.types import ROOT, Mode, NodeId, SelectRule, StopReason

_MAJORITY = 0.95
"""Posterior that ends a vote."""


@dataclass(frozen=True, slots=True)
class VoteUntil(Strategy):
    """Draw until the votes satisfy a rule."""

    stops_early: ClassVar[bool] = True

    samples: int = 16

    @abstractmethod
    def is_satisfied(self, standing: SearchResult, answers: Sequence[str | None]) -> bool:
        """True if the votes satisfy the rule.

        Args:
            standing: Votes so far.
            answers: The answer of each trajectory, in the order in which they finished.
        """

    def plan(self, tree: Tree) -> Plan:
        """Draw them side by side."""
        return (yield from self._draw(tree, self.samples))

    def _draw(self, tree: Tree, samples: int) -> Plan:
        finished: list[NodeId] = []
        finished += yield whole_trajectories(samples, self.modes)
        while tree.standing is None or not self.is_satisfied(tree.standing, _answers(tree, finished)):
            finished += yield ()
        return "confident"


def _answers(tree: Tree, nodes: Sequence[NodeId]) -> list[str | None]:
    """The answers of those nodes that end a trajectory."""
    by_node = {node: group.answer for group in tree.groups for node in group.nodes}
    return [by_node.get(node) for node in nodes if tree[node].status == "terminal"]


@dataclass(frozen=True, slots=True)
class AdaptiveConsistency(VoteUntil):
    """Draw until the posterior of the majority is clear (Aggarwal et al., arXiv 2305.11860)."""

    name: ClassVar[str] = "adaptive-consistency"

    def is_satisfied(self, standing: SearchResult, answers: Sequence[str | None]) -> bool:
        """True if the leader keeps the majority with a probability of .95."""
        return standing.votes > 0 and majority_confidence(standing.votes, standing.second) >= _MAJORITY


def majority_confidence(first: int, second: int) -> float:
    """P(the leading answer is drawn more often than its rival), from their votes under a uniform prior.

    ``P(X > 1/2)`` for ``X ~ Beta(first + 1, second + 1)``: the rule of adaptive consistency.
    """
    draws = first + second + 1
    at_most_first = sum(math.comb(draws, i) for i in range(first + 1))
    return float(at_most_first / 2**draws)


@dataclass(frozen=True, slots=True)
class FirstTo(VoteUntil):
    """Draw until one answer has a number of votes.

    Attributes:
        votes: Number of votes that ends the search.
    """

    name: ClassVar[str] = "first-to"
    size: ClassVar[str] = "votes"

    votes: int = 3

    def is_satisfied(self, standing: SearchResult, answers: Sequence[str | None]) -> bool:
        """True if the leader has the votes."""
        return standing.votes >= self.votes


@dataclass(frozen=True, slots=True)
class Margin(Strategy):
    """Draw until one answer is a number of votes ahead of every other: the plainest rule that stops early.

    Attributes:
        samples: Most trajectories.
        lead: Lead in votes that ends the search.
    """

    name: ClassVar[str] = "margin"
    size: ClassVar[str] = "lead"
    stops_early: ClassVar[bool] = True

    samples: int = 16
    lead: int = 2

    def plan(self, tree: Tree) -> Plan:
        """Draw them side by side."""

        def verdict() -> StopReason | None:
            now = tree.standing
            return "confident" if now is not None and now.votes - now.second >= self.lead else None

        return draw_until(tree, [whole_trajectories(self.samples, self.modes)], verdict)


@dataclass(frozen=True, slots=True)
class EarlyStopping(VoteUntil):
    """Draw window after window until all answers of one are the same (ESC; Li et al., arXiv 2401.10480).

    Attributes:
        window: Trajectories of a window.
    """

    name: ClassVar[str] = "esc"
    size: ClassVar[str] = "window"

    window: int = 4

    def is_satisfied(self, standing: SearchResult, answers: Sequence[str | None]) -> bool:
        """True if a window has just ended with one answer."""
        if not answers or len(answers) % self.window:
            return False
        return answers[-1] is not None and len(set(answers[-self.window :])) == 1


@dataclass(frozen=True, slots=True)
class ProseAndProgram(AdaptiveConsistency):
    """A greedy solution and a greedy program; if they differ, more of both by turns until a vote is clear.

    CPFF of Hawasly et al. (arXiv 2604.17433), with the rule of adaptive consistency after it.
    """

    name: ClassVar[str] = "cpff"

    modes: tuple[Mode, ...] = field(default=("prose", "program"), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse fewer samples than modes.

        Raises:
            UsageError: the samples are too few.
        """
        Strategy.__post_init__(self)
        if self.samples < len(self.modes):
            raise UsageError(f"{self.name} draws at least one of each mode")

    def plan(self, tree: Tree) -> Plan:
        """Draw the two greedy ones, then more of both by turns."""
        yield from gather(tree, whole_trajectories(len(self.modes), self.modes, greedy=True))
        if tree.standing is not None and tree.standing.votes == len(self.modes):
            return "confident"
        return (yield from self._draw(tree, self.samples - len(self.modes)))


@dataclass(frozen=True, slots=True)
class DVTS(Strategy):
    """Diverse verifier tree search: independent trees, each of which keeps its best child alone.

    From Hugging Face's "Scaling test-time compute with open models" (2024); a tree ends with its answer.

    Attributes:
        beams: Number of trees.
        branching: Children of each kept prefix.
    """

    name: ClassVar[str] = "dvts"
    select: ClassVar[SelectRule] = "best"
    grows_steps: ClassVar[bool] = True

    beams: int = 4
    branching: int = 4

    @property
    def at_most(self) -> None:
        """Unknown: not only the best child may finish on every level."""
        return None

    @property
    def branches(self) -> int:
        """One level of all trees."""
        return self.beams * self.branching

    def plan(self, tree: Tree) -> Plan:
        """Draw a level of all trees, keep the best of each, go on from those that are open."""
        commands: Sequence[Command] = [Expand(ROOT, self.beams * self.branching)]
        homes: dict[NodeId, int] = {}
        while commands:
            children = yield from gather(tree, commands)
            for at, node in enumerate(children):
                parent = tree[node].parent
                assert parent is not None, "only the root has no parent"
                homes[node] = at // self.branching if parent == ROOT else homes[parent]
            trees = ([n for n in children if homes[n] == home] for home in range(self.beams))
            best = [node for nodes in trees for node in top_k(tree, nodes, 1)]
            kept = [node for node in best if tree[node].status == "open"]
            dropped = tuple(n for n in children if tree[n].status == "open" and n not in kept)
            commands = [Expand(node, self.branching) for node in kept]
            if dropped:
                commands = [Cut(dropped, "not the best of its tree"), *commands]
        return None


def register_baselines() -> None:
    """Make all of them known to ``STRATEGIES``, so that evaluations find them by name."""
    for each in (AdaptiveConsistency, FirstTo, Margin, EarlyStopping, ProseAndProgram, DVTS):
        STRATEGIES[each.name] = each


if __name__ == "__main__":
    from adascale.cli.app import main

    register_baselines()
    main()
