"""A greedy call beside sampled ones, until some agree: the rule for requests with tools.

One look, with nothing generated, says whether to call at all. Calls that agree are right four times as often
as others (docs/research/LOG.md); where they do not, more are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..search.tree import Tree
from ..tools.tool import NO_CALL
from ..types import ROOT, Mode, SelectRule
from .adaptive import Effort
from .base import Expand, Plan, gather, whole_trajectories
from .vote_stopping import Sequential, all_drawn

_NEVER = 1e-9
"""Share of a mode that is never awaited."""

_NOT_WORTH_IT = 0.15
"""Probability that a call is right below which none is drawn."""


@dataclass(frozen=True, slots=True)
class Agreement(Sequential):
    """The greedy call beside one sampled; if they differ, more until ``votes`` agree.

    Attributes:
        samples: Most trajectories in the mode ``call``, the greedy one among them.
        votes: Trajectories that have to agree.
    """

    name: ClassVar[str] = "agreement"
    select: ClassVar[SelectRule] = "likeliest"
    looks_ahead: ClassVar[bool] = True

    samples: int = 6
    votes: int = 2
    modes: tuple[Mode, ...] = field(default=("call", "prose"), kw_only=True)

    def shares(self, tree: Tree) -> Mapping[Mode, float]:
        """Calls are judged in order, and never wait for the one reply in prose."""
        return {mode: 1.0 if mode == self.modes[0] else _NEVER for mode in self.modes}

    def plan(self, tree: Tree) -> Plan:
        """Draw calls until they agree, and a reply where none is likelier to be right."""
        if "call" in self.modes and _call_chance(tree) >= _NOT_WORTH_IT:
            greedy = Expand(ROOT, 1, until="answer", greedy=True, mode="call")
            yield [greedy, *whole_trajectories(self.samples - 1, ("call",), sure=1)]
            while not (self._is_agreed(tree) or all_drawn(tree, self.samples)):
                yield ()
        is_called = bool(tree.groups) and _call_chance(tree) >= 0.5
        if self.modes == ("call",) or is_called or _has_reply(tree):
            return "confident" if self._is_agreed(tree) else None
        if tree.standing is None or not tree.standing.finished:
            yield from gather(tree, whole_trajectories(1, ("prose",), greedy=True))
        else:  # calls that run ahead may still end
            yield whole_trajectories(1, ("prose",), greedy=True)
            while not _has_reply(tree):
                yield ()
        return "settled"

    def _is_agreed(self, tree: Tree) -> bool:
        standing = tree.standing
        return (
            standing is not None
            and standing.finished >= 2
            and standing.votes >= min(self.votes, self.samples)
        )


def _call_chance(tree: Tree) -> float:
    """P(a call is right), by the look and what was drawn; 1 where nothing was read."""
    options = {} if tree.standing is None else tree.standing.options
    return next(iter(options.values()), 1.0)


def _has_reply(tree: Tree) -> bool:
    return any(group.answer == NO_CALL for group in tree.groups)


EFFORTS: Mapping[Effort, Agreement] = {
    "low": Agreement(samples=2),
    "medium": Agreement(),
    "high": Agreement(samples=9, votes=3),
    "max": Agreement(samples=16, votes=4),
}
"""Calls of each effort: two that agree are enough for ``medium``."""
