"""A greedy trajectory beside sampled ones, until some agree: the rule for calls of tools and for JSON.

Those that agree are right far more often than others: .66 and .16 of calls with the 1.5b.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ..answers.choosing import Standing
from ..search.tree import Tree
from ..tools.calls import NO_CALL
from ..types import ROOT, Mode, SelectRule
from .base import Expand, Plan, Strategy, gather, whole_trajectories

_TIMES_LONGER, _LONGER = 3, 64
"""Length of a reading over that of the greedy one at which it ends: 1 to 2 % write a string without end, and
the others are at most 1.6 times as long."""

_NOT_WORTH_IT = 0.15
"""Probability that a call is right below which none is drawn."""


@dataclass(frozen=True, slots=True)
class _UntilAgreed(Strategy):
    """A greedy trajectory and sampled ones, until ``votes`` agree.

    Attributes:
        samples: Most trajectories, the greedy one among them.
        votes: Trajectories that have to agree.
    """

    stops_early: ClassVar[bool] = True

    samples: int = 6
    votes: int = 2


@dataclass(frozen=True, slots=True)
class Readings(_UntilAgreed):
    """The greedy reading of a text as JSON, and others until enough agree with it on each field.

    The others only say which of its fields to doubt: they are right less often than it is (.71 and
    .82 of the fields with the 0.5b).
    """

    name: ClassVar[str] = "readings"
    select: ClassVar[SelectRule] = "first"

    def plan(self, tree: Tree) -> Plan:
        """Draw the greedy reading, as many as have to agree, then the others; none far longer than it."""
        mode = self.modes[0]
        yield from gather(tree, [Expand(ROOT, 1, "answer", greedy=True, mode=mode)])
        most = _TIMES_LONGER * _greedy_tokens(tree) + _LONGER
        first = min(self.votes, self.samples) - 1
        if first:
            yield from gather(tree, [Expand(ROOT, first, "answer", mode=mode, max_tokens=most)])
        if _least_votes(tree) < self.votes:
            yield [Expand(ROOT, self.samples - 1 - first, "answer", mode=mode, max_tokens=most)]
        while _least_votes(tree) < self.votes:
            yield ()
        return "confident"


def _greedy_tokens(tree: Tree) -> int:
    """Tokens of the greedy trajectory so far, its thoughts left out."""
    end = next(node.id for node in reversed(tree.nodes) if node.greedy)
    return sum(len(step.token_ids) for step in tree.steps(end) if not step.is_thought)


def _least_votes(tree: Tree) -> int:
    """Votes for that field of the leading reading that has the fewest; of other answers for the whole."""
    if not tree.groups:
        return 0
    if tree.problem.kind != "json":
        return len(tree.groups[0].nodes)
    from ..kinds.structured import schema_of
    from ..tools.equality import votes_by_field

    leader = tree.groups[0].nodes[0]
    votes = votes_by_field(tree.groups, schema_of(tree.problem))
    sizes = [len(nodes) for agreeing in votes.values() for nodes in agreeing if leader in nodes]
    return min(sizes, default=len(tree.groups[0].nodes))


@dataclass(frozen=True, slots=True)
class Agreement(_UntilAgreed):
    """Calls until enough agree, or one reply without any; a look says which to try."""

    name: ClassVar[str] = "agreement"
    select: ClassVar[SelectRule] = "likeliest"
    looks_ahead: ClassVar[bool] = True

    modes: tuple[Mode, ...] = field(default=("call", "prose"), kw_only=True)

    def plan(self, tree: Tree) -> Plan:
        """Draw calls until they agree, and a reply where none is likelier to be right."""
        if "call" in self.modes and _call_chance(tree) >= _NOT_WORTH_IT:
            first = min(self.votes, self.samples)
            greedy = Expand(ROOT, 1, "answer", greedy=True, mode="call")
            yield from gather(tree, [greedy, *whole_trajectories(first - 1, ("call",))])
            if not self._is_agreed(tree.standing):
                yield whole_trajectories(self.samples - first, ("call",))
            while not (self._is_agreed(tree.standing) or tree.finished >= self.samples):
                yield ()
        if self._wants_reply(tree):
            yield whole_trajectories(1, ("prose",), greedy=True)
            while not _has_reply(tree):  # calls may end before it
                yield ()
            return "settled"
        return "confident" if self._is_agreed(tree.standing) else None

    def _wants_reply(self, tree: Tree) -> bool:
        """True if calls are settled, and none is likelier to be right than a reply without one."""
        call = _call_chance(tree)
        is_called = bool(tree.groups) and call >= 0.5
        if "prose" not in self.modes or is_called or _has_reply(tree):
            return False
        is_over = call < _NOT_WORTH_IT or tree.finished >= self.samples
        return is_over or "call" not in self.modes or self._is_agreed(tree.standing)

    def _is_agreed(self, now: Standing | None) -> bool:
        return now is not None and now.finished >= 2 and now.votes >= min(self.votes, self.samples)


def _call_chance(tree: Tree) -> float:
    """P(a call is right), by the look and what was drawn; 1 where nothing was read."""
    options = {} if tree.standing is None else tree.standing.options
    return next(iter(options.values()), 1.0)


def _has_reply(tree: Tree) -> bool:
    return any(group.answer == NO_CALL for group in tree.groups)
