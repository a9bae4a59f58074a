"""Answers of a search: finished solutions, groups of equal answers, and the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..codec import omitted
from ..types import Estimate, Mode, NodeId, Same, SelectRule, StopReason, probability_of
from .equality import same_answer, simplicity


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished solution.

    Attributes:
        node: Its last.
        answer: The answer that was found in it (``Kind.answer``), or None.
        estimate: Estimate of that node.
        mode: Mode that its answer counts in (``Tree.mode_as_evidence``).
        passed: Number of tests that its program passes.
        nll: Negative log-likelihood of its tokens, in nats; None if unknown, and behind a thought.
        tokens: Number of its tokens.
        greedy: It took the most likely token every time.
        leaves_out: It does not use a number that the question gives.
    """

    node: NodeId
    answer: str | None
    estimate: Estimate
    mode: Mode = "prose"
    passed: int = 0
    nll: float | None = None
    tokens: int = 0
    greedy: bool = False
    leaves_out: bool = False


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """Candidates whose answers are the same.

    Attributes:
        answer: The simplest of its spellings; among equally simple ones, the best candidate's.
        nodes: Terminal nodes, best estimate first.
        share: Share of all candidates with an answer, in (0, 1].
        weight: Sum of the median estimates.
    """

    answer: str
    nodes: tuple[NodeId, ...]
    share: float
    weight: float


@dataclass(frozen=True, slots=True)
class FinishedSearch:
    """Solutions that have ended so far, and their answers.

    Attributes:
        questions: Estimate for the question itself, in each mode that has one.
        candidates: All finished solutions, those without an answer too.
        groups: Answer groups, the chosen one first.
        option_logits: Log-probability of each option, by its name; empty if none were read.
    """

    questions: Mapping[Mode, Estimate]
    candidates: tuple[Candidate, ...]
    groups: tuple[AnswerGroup, ...]
    option_logits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldEstimate:
    """How sure a field of an answer in JSON is.

    Attributes:
        votes: Solutions that have the same.
        probability: P(it is correct), in [0, 1].
    """

    votes: int
    probability: float


DOUBTFUL = 0.8
"""Probability below which a field is marked as doubtful."""


UNLIKELY = 0.2
"""A calibrated probability below which an answer is a guess, however it came about, and below which many
solutions side by side end a search sooner than few do (docs/research.md)."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search, and while it runs the standing that a strategy stops by.

    Attributes:
        answer: The answer that leads; None while no solution has one.
        confidence: Estimate for it; uncalibrated until a calibration exists.
        groups: Answer groups, the chosen one first.
        best: Terminal node of the solution that is shown; None when nothing finished, and for an option
            that no solution has chosen.
        stop_reason: Why the search ended; None while it runs.
        options: Probability of each option of a question whose options were read; empty for others. The
            likeliest is the answer, whether a solution has chosen it or not.
        fields: Fields of an answer in JSON, with their votes; empty for others, and without a calibration.
        finished: Number of solutions that have ended, cut ones included.
        replies: Number of solutions that can be shown: with an answer, or ended by themselves.
        called: P(a call is right) of a request with tools, if it was read.
    """

    answer: str | None
    confidence: Estimate | None
    groups: tuple[AnswerGroup, ...]
    best: NodeId | None
    stop_reason: StopReason | None = omitted(None)
    options: Mapping[str, float] = omitted({})
    fields: Mapping[str, FieldEstimate] = omitted({})
    finished: int = 0
    replies: int = 0
    called: float | None = omitted(None)

    @property
    def votes(self) -> int:
        """Number of solutions with the answer."""
        return max((len(group.nodes) for group in self.groups if group.answer == self.answer), default=0)

    @property
    def second(self) -> int:
        """Number of solutions with the most frequent other answer."""
        return max((len(group.nodes) for group in self.groups if group.answer != self.answer), default=0)

    @property
    def has_reply(self) -> bool:
        """True if there is something to show: a solution, an option that was read, or a computed value."""
        return self.best is not None or self.answer is not None

    @property
    def is_in_doubt(self) -> bool:
        """True once a solution has ended, if its answer is rather wrong: a search goes on wide from there.

        Without a probability it is in doubt once two solutions do not support it.
        """
        if self.answer is None:
            return self.finished > 0
        p = probability_of(self.confidence)
        return self.finished > self.votes + 1 if p is None else p < UNLIKELY

    @property
    def is_guess(self) -> bool:
        """True if the answer is not known: the search gave up, or its probability is below ``UNLIKELY``."""
        p = probability_of(self.confidence) if self.answer is not None else None
        return self.stop_reason == "hopeless" or (p is not None and p < UNLIKELY)


NOTHING_YET = SearchResult(None, None, (), None)
"""The standing of a search of which nothing has ended."""


def group_answers(
    candidates: Sequence[Candidate], same: Same = same_answer, *, by_estimate: bool = True
) -> list[AnswerGroup]:
    """Groups of equal answers, most votes first; of equal votes the one whose first answer was drawn first.

    Args:
        candidates: In the order in which they were drawn, which decides between equals.
        same: Equality of two answers.
        by_estimate: The best candidate of a group stands for it; otherwise its first one.
    """
    answers = [candidate.answer for candidate in candidates]
    groups = [[candidates[at] for at in places] for places in equal_answers(answers, same)]
    total = sum(len(group) for group in groups)
    return [_group(sorted(group, key=_rank) if by_estimate else group, total) for group in groups]


def equal_answers(answers: Sequence[str | None], same: Same = same_answer) -> list[list[int]]:
    """Places of equal answers, most votes first; of equal votes the first to come. None is no answer."""
    groups: list[tuple[str, list[int]]] = []
    for at, answer in enumerate(answers):
        if answer is None:
            continue
        for first, places in groups:
            if same(first, answer):
                places.append(at)
                break
        else:
            groups.append((answer, [at]))
    return sorted((places for _, places in groups), key=len, reverse=True)


def _rank(candidate: Candidate) -> float:
    return -candidate.estimate.median


def _group(ranked: Sequence[Candidate], total: int) -> AnswerGroup:
    return AnswerGroup(
        answer=max((candidate.answer or "" for candidate in ranked), key=simplicity),
        nodes=tuple(c.node for c in ranked),
        share=len(ranked) / total,
        weight=sum(c.estimate.median for c in ranked),
    )


def choose(
    candidates: Sequence[Candidate],
    rule: SelectRule,
    same: Same = same_answer,
    mode_of: Callable[[NodeId], Mode] = lambda node: "prose",
) -> SearchResult:
    """Pick the answer: by votes, plain or weighted with estimates, by one estimate, or by tests that pass.

    Without any readable answer the best finished solution is shown, with ``answer=None``.

    Args:
        candidates: Finished solutions, in the order in which they were drawn.
        rule: How to pick.
        same: Equality of two answers.
        mode_of: Mode in which a node was written: of the winner the best solution in prose is shown, which
            people read, or without any the best.
    """
    groups = group_answers(candidates, same, by_estimate=rule != "first")
    by_estimate, estimates = sorted(candidates, key=_rank), {each.node: each for each in candidates}
    if not groups:
        best = by_estimate[0] if by_estimate else None
        return SearchResult(None, best.estimate if best else None, (), best.node if best else None)
    if rule == "weighted":
        groups.sort(key=lambda g: -g.weight)
    elif rule in ("best", "first"):
        in_order = by_estimate if rule == "best" else candidates
        first = next(c.node for c in in_order if c.answer is not None)
        groups.sort(key=lambda g: first not in g.nodes)
    elif rule == "passing":
        groups.sort(key=lambda g: -estimates[g.nodes[0]].passed)
    winner = groups[0]
    node = min(winner.nodes, key=lambda node: mode_of(node) != "prose")
    return SearchResult(winner.answer, estimates[winner.nodes[0]].estimate, tuple(groups), node)


def likeliest(
    result: SearchResult, estimates: Mapping[NodeId, Estimate], options: Mapping[str, float]
) -> SearchResult:
    """The result with its answers by their probability, of equals that with more votes first.

    Args:
        result: Result of ``choose``.
        estimates: Probability of the answer of each solution; without any, the order of the votes stands.
        options: Probability of each answer there can be; the likeliest leads, also if nobody has chosen it.
    """
    if estimates:
        groups = sorted(result.groups, key=lambda group: -estimates[group.nodes[0]].median)
        first = groups[0].nodes[0]
        result = SearchResult(groups[0].answer, estimates[first], tuple(groups), first)
    if options and (answer := max(options, key=lambda option: options[option])) != result.answer:
        p = options[answer]
        result = replace(result, answer=answer, confidence=Estimate(p, p, p, calibrated=True), best=None)
    return result
