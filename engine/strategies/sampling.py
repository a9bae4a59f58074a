"""Whole trajectories from the question: a number of them, or until some agree or one passes the tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..kind_table import entry_of
from ..kinds import kind_of
from ..kinds.structured import schema_of
from ..search.tree import Tree
from ..tools.calls import NO_CALL
from ..tools.equality import votes_by_field
from ..types import ROOT, Mode, StopReason
from .base import Expand, Plan, Strategy, draw_until, gather, whole_trajectories
from .beam import InstanceAdaptive, chance_of_success, required_samples

_TIMES_LONGER, _LONGER = 3, 64
"""A reading ends at this multiple of the greedy one's tokens, and this many more: 1 to 2 % write a string
without end, and the others are at most 1.6 times as long."""

_NOT_WORTH_IT = 0.15
"""Probability that a call is right below which none is drawn."""


@dataclass(frozen=True, slots=True)
class Greedy(Strategy):
    """One trajectory of most likely tokens in each mode."""

    name = "greedy"

    @property
    def at_most(self) -> int:
        """One of each mode."""
        return len(self.modes)

    def plan(self, tree: Tree) -> Plan:
        """Draw it."""
        yield from gather(tree, whole_trajectories(self.at_most, self.modes, greedy=True))
        return None


@dataclass(frozen=True, slots=True)
class Vote(InstanceAdaptive):
    """Self-consistency (Wang et al., arXiv 2203.11171): the answer that most samples give.

    Attributes:
        samples: Number of trajectories; with ``adapt="n"`` the number that the question's lower estimate
            requires (arXiv 2506.09338: best-of-n with IAS), never more than this.
    """

    name = "vote"
    rules = ("n",)

    samples: int = 16

    def plan(self, tree: Tree) -> Plan:
        """Draw them all at once and wait for them."""
        samples, estimate = self.samples, tree[ROOT].estimate
        if self.adapt == "n" and estimate is not None:
            samples = min(samples, required_samples(estimate.lower, self.confidence))
        yield from gather(tree, whole_trajectories(samples, self.modes))
        return None


@dataclass(frozen=True, slots=True)
class BestOfN(Vote):
    """The answer of the sample with the highest estimate."""

    name = "best-of-n"
    select = "best"


@dataclass(frozen=True, slots=True)
class Readings(Strategy):
    """The greedy reading of a text as JSON, or the greedy answer of a fact, and others until enough agree.

    The others only measure how doubtful it is: they are right less often than it is (.71 and .82 of the
    fields with the 0.5b, .27 and .31 of the facts with the 1.5b).

    Attributes:
        samples: Most trajectories, the greedy one among them.
        votes: Trajectories that have to agree.
    """

    name = "readings"
    select = "first"
    stops_early = True

    samples: int = 6
    votes: int = 2

    def plan(self, tree: Tree) -> Plan:
        """Draw the greedy reading, as many as have to agree, then the others; none far longer than it."""

        def draws() -> Iterator[Sequence[Expand]]:
            greedy, first = whole_trajectories(1, self.modes[:1], greedy=True), min(self.votes, self.samples)
            yield greedy
            end = next(node.id for node in reversed(tree.nodes) if node.greedy)
            tokens = sum(len(step.token_ids) for step in tree.steps(end) if not step.is_thought)
            most = _TIMES_LONGER * tokens + _LONGER
            for n in first - 1, self.samples - first:
                batch = whole_trajectories(n, self.modes[:1])
                yield [replace(draw, max_tokens=most) for draw in batch]

        return draw_until(tree, draws(), lambda: "confident" if _least_votes(tree) >= self.votes else None)


def _least_votes(tree: Tree) -> int:
    """Votes for that field of the leading reading that has the fewest; of other answers for the whole."""
    if not tree.groups:
        return 0
    leader, size = tree.groups[0].nodes[0], len(tree.groups[0].nodes)
    if not entry_of(tree.problem).has_fields:
        return size
    votes = votes_by_field(tree.groups, schema_of(tree.problem))
    agreeing = [len(nodes) for values in votes.values() for nodes in values if leader in nodes]
    return min(agreeing, default=size)


@dataclass(frozen=True, slots=True)
class Agreement(Strategy):
    """Calls until enough agree, or one reply without any; option logits choose between the two.

    A greedy call stands beside sampled ones, and calls that agree are correct far more often than others: .66
    and .16 of calls with the 1.5b.

    Attributes:
        samples: Most trajectories, the greedy one among them.
        votes: Trajectories that have to agree.
    """

    name = "agreement"
    select = "likeliest"
    reads_options = True
    stops_early = True

    samples: int = 6
    votes: int = 2
    modes: tuple[Mode, ...] = field(default=("call", "prose"), kw_only=True)

    def plan(self, tree: Tree) -> Plan:
        """Draw calls until they agree; draw a reply if no call is likely to be correct."""
        enough = min(self.votes, self.samples)

        def chance() -> float:
            """P(a call is right), by the option logits and the draws so far; 1 if no options were read."""
            p_call = tree.standing.called
            return 1.0 if p_call is None else p_call

        def agreed() -> StopReason | None:
            now = tree.standing
            if now.finished >= 2 and now.votes >= enough:
                return "confident"
            return "exhausted" if now.finished >= self.samples else None

        def replied() -> StopReason | None:
            return "settled" if any(group.answer == NO_CALL for group in tree.groups) else None

        is_worth_it = "call" in self.modes and chance() >= _NOT_WORTH_IT
        if is_worth_it:
            greedy = Expand(ROOT, 1, "answer", greedy=True, mode="call")
            first = [greedy, *whole_trajectories(enough - 1, ("call",))]
            yield from draw_until(tree, [first, whole_trajectories(self.samples - enough, ("call",))], agreed)
        is_called = bool(tree.groups) and chance() >= 0.5
        if "prose" not in self.modes or is_called or replied():
            return agreed()
        return (yield from draw_until(tree, [whole_trajectories(1, ("prose",), greedy=True)], replied))


@dataclass(frozen=True, slots=True)
class Passing(Strategy):
    """A greedy program, then sampled ones side by side, up to the first that passes every given test.

    Among models of this size nothing that selects, votes or repairs beats the first sample that passes; what
    remains to be decided is when to give up.  Without a test nothing separates a second program from
    the first, so one is drawn.

    Attributes:
        samples: Most programs, the greedy one among them.
        hopeless: It gives up when P(one of the programs left passes) is below this, in [0, 1]; read only if
            the question has a calibrated estimate.
    """

    name = "passing"
    select = "passing"
    stops_early = True

    samples: int = 8
    hopeless: float = 0.15
    modes: tuple[Mode, ...] = field(default=("code",), kw_only=True)

    def plan(self, tree: Tree) -> Plan:
        """Draw the greedy program, and samples if it does not pass."""

        def verdict() -> StopReason | None:
            question, now = tree[ROOT].estimate, tree.standing
            if any(node.execution is not None and node.execution.passes for node in tree):
                return "confident"
            if not now.finished:
                return None
            if not kind_of(tree.problem).tests(tree.problem):
                return "exhausted"
            if question is None or not question.calibrated:
                return None
            chance = chance_of_success(question, now.finished, self.samples - now.finished)
            return "hopeless" if chance < self.hopeless else None

        greedy = whole_trajectories(1, self.modes, greedy=True)
        return draw_until(tree, [greedy, whole_trajectories(self.samples - 1, self.modes)], verdict)
