"""Whole trajectories from the question: a number of them, or until some agree or one passes the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..answers.choosing import Standing
from ..errors import UsageError, setting
from ..kinds import kind_of
from ..search.tree import Tree
from ..tools.calls import NO_CALL
from ..types import ROOT, Mode, NodeId, SelectRule
from .base import Expand, Plan, Strategy, gather, whole_trajectories
from .beam import Adapt, InstanceAdaptive, chance_of_success, required_samples


@dataclass(frozen=True, slots=True)
class Greedy(Strategy):
    """One trajectory of most likely tokens in each mode."""

    name: ClassVar[str] = "greedy"

    @property
    def at_most(self) -> int:
        """One of each mode."""
        return len(self.modes)

    def plan(self, tree: Tree) -> Plan:
        """Draw it."""
        yield from gather(tree, whole_trajectories(self.at_most, self.modes, greedy=True))
        return None


@dataclass(frozen=True, slots=True)
class _IndependentSamples(InstanceAdaptive):
    """Independent trajectories.

    Attributes:
        samples: Number of trajectories; with ``adapt="n"`` the number that the question's lower estimate
            requires (arXiv 2506.09338: best-of-n with IAS), never more than this.
    """

    rules: ClassVar[tuple[Adapt, ...]] = ("n",)

    samples: int = 16

    def plan(self, tree: Tree) -> Plan:
        """Draw them all at once and wait for them."""
        commands = whole_trajectories(self.samples, self.modes)
        estimate = tree[ROOT].estimate
        if self.adapt == "n" and estimate is not None:
            required = required_samples(estimate.lower, self.confidence)
            granted = whole_trajectories(min(required, self.samples), self.modes)
            commands = [replace(each, required=required) for each in granted]
        yield from gather(tree, commands)
        return None


@dataclass(frozen=True, slots=True)
class Vote(_IndependentSamples):
    """Self-consistency (Wang et al., arXiv 2203.11171): the answer that most samples give."""

    name: ClassVar[str] = "vote"


@dataclass(frozen=True, slots=True)
class BestOfN(_IndependentSamples):
    """The answer of the sample with the highest estimate."""

    name: ClassVar[str] = "best-of-n"
    select: ClassVar[SelectRule] = "best"


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
        yield whole_trajectories(self.samples, self.modes)
        while tree.standing is None or tree.standing.votes - tree.standing.second < self.lead:
            yield ()
        return "confident"


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


@dataclass(frozen=True, slots=True)
class Passing(Strategy):
    """A greedy program, then sampled ones side by side, up to the first that passes every given test.

    Without a test there is nothing to tell a second program from the first, so one is drawn.

    Attributes:
        samples: Most programs, the greedy one among them.
        hopeless: It gives up when P(one of the programs left passes) is below this, in [0, 1]; read only if
            the question has a calibrated estimate.
    """

    name: ClassVar[str] = "passing"
    select: ClassVar[SelectRule] = "passing"
    stops_early: ClassVar[bool] = True

    samples: int = 8
    hopeless: float = 0.15
    modes: tuple[Mode, ...] = field(default=("code",), kw_only=True)

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            UsageError: no program, or a mode of more than one step.
        """
        Strategy.__post_init__(self)
        if "prose" in self.modes:
            raise UsageError(
                "passing judges whole programs, and prose has steps", hint=setting("mode", "program")
            )

    def plan(self, tree: Tree) -> Plan:
        """Draw the greedy program, and samples where it does not pass."""
        scored: Sequence[NodeId] = yield from gather(tree, whole_trajectories(1, self.modes, greedy=True))
        samples = whole_trajectories(self.samples - 1, self.modes)
        while not _any_passes(tree, scored):
            if not kind_of(tree.problem).tests(tree.problem):
                return None
            if self._is_hopeless(tree):
                return "hopeless"
            scored = yield samples
            samples = []
        return "confident"

    def _is_hopeless(self, tree: Tree) -> bool:
        question, standing = tree[ROOT].estimate, tree.standing
        if question is None or not question.calibrated or standing is None:
            return False
        left = self.samples - standing.finished
        return chance_of_success(question, standing.finished, left) < self.hopeless


def _any_passes(tree: Tree, nodes: Iterable[NodeId]) -> bool:
    executions = [tree[node].execution for node in nodes]
    return any(execution is not None and execution.passes for execution in executions)
