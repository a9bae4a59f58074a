"""The numbers of a model that nobody fitted: posteriors of its votes, with a prior by its size.

Hidden states mean something else in every model, so none are read. What every model has are its size,
solutions that agree or do not, and the probability of its words (docs/research.md). Facts, calls of tools and
JSON objects have posteriors of their own kind.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ..answers.choosing import (
    PROFILES,
    AnswerGroup,
    Candidate,
    FieldEstimate,
    FinishedSearch,
    ModeProfile,
    supports,
)
from ..answers.posterior import STRENGTH, ModeState, posterior
from ..answers.weighing import OptionWeights
from ..kinds.structured import schema_of
from ..ports import AnswerEstimates, Prefix, QuestionEstimate, Uncalibrated
from ..tools.calls import NO_CALL, ToolRequest
from ..tools.equality import votes_by_field
from ..types import Estimate, Mode, NodeId, Problem
from .head import beta_quantiles
from .options import share_of_trust

# By published scores of instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
# logarithm of the parameters. The line goes through 27 models of .3 to 5 billion; 22 of 7 to 15 billion,
# which are no better than those of 3, say where it ends (``python -m bench.evidence.model_sizes``).
AT_ONE_BILLION = -0.16
RISE = 0.89
"""Logits for each factor of e."""
FROM = 0.34e9
"""Parameters where the line begins: those of the smallest model of the table.

With a prior below .12, prose and a program that agree would be likelier to share a mistake than to be right.
"""
UNTIL = 2.7e9
"""Parameters where it ends: there it reaches the mean of the larger models."""
SPREAD = 0.49
"""Logits that models lie off the line (standard deviation)."""

NEUTRAL_NATS = 30.0
"""Negative log-likelihood of a solution that speaks neither for its answer nor against it."""
POWER = 2.0
"""The odds of an answer fall with this power of its solutions' negative log-likelihood.

Fitted alone, each coder, set of questions and number of solutions has a power of 1.4 to 3.5 (one of sixteen
5.4) and a neutral point of 22 to 43 nats (``python -m bench.evidence.likelihood``).
"""
FEWEST_NATS, MOST_NATS = 10.0, 90.0
"""Bounds of it, so that no single one decides: most that were measured lie between them."""

NEUTRAL_FACT_NATS = 0.21
"""Negative log-likelihood of each token of a fact that speaks neither for it nor against it."""
FACT_POWER = 1.8
"""The odds of a fact fall with this power of it.

Fitted alone, greedy answers of three models from .1 to 1.7 billion parameters have powers of 1.5 to 3.3 and
neutral points of .13 to .40 nats, and neither rises with the size (``python -m bench.evidence.facts``).
"""
FEWEST_FACT_NATS, MOST_FACT_NATS = 0.01, 3.0
"""Bounds of that, beyond which nothing was measured."""

Z90 = 1.2816
"""90 % quantile of a standard normal."""


def rate_of_size(parameters: float) -> float:
    """Prior accuracy of a model of so many parameters, .25 to .67; even odds where the count is 0."""
    if parameters <= 0:
        return 0.5
    return shifted(0.5, AT_ONE_BILLION + RISE * math.log(min(max(parameters, FROM), UNTIL) / 1e9))


def shifted(p: float, logits: float) -> float:
    """A probability, so many logits away."""
    return 1.0 / (1.0 + (1.0 - p) / p * math.exp(-logits))


@dataclass(frozen=True, slots=True)
class _Posterior(Uncalibrated, ABC):
    """Judges answers by their votes and a prior; a step or a lone solution keeps its reward as a score.

    Attributes:
        prior: Prior accuracy of the model, in (0, 1).
    """

    is_rough = True

    prior: float

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """The posterior of each answer, which is that of its solutions; the chosen answer has the first.

        Lower and upper are those of models of this size that are right less and more often than 80 % of them.
        """
        below, above = (shifted(self.prior, logits) for logits in (-Z90 * SPREAD, Z90 * SPREAD))
        found = [self.of_answers(prefix, finished, prior) for prior in (below, self.prior, above)]
        revised: dict[NodeId, Estimate] = {}
        for group, chances in zip(finished.groups, zip(*found, strict=True), strict=False):
            lower, _, upper = sorted(chances)
            estimate = Estimate(lower, chances[1], upper, calibrated=True)
            revised |= dict.fromkeys(group.nodes, estimate)
        return AnswerEstimates(revised[finished.groups[0].nodes[0]], revised)

    @abstractmethod
    def of_answers(self, prefix: Prefix, finished: FinishedSearch, prior: float) -> Sequence[float]:
        """P(it is correct) of each answer, the chosen one first, by this prior."""


@dataclass(frozen=True, slots=True)
class VotePosterior(_Posterior):
    """Implements ``engine.ports.Calibrator`` for values.

    P(an answer is correct) is that of ``answers.posterior``, with the spreads of ``PROFILES`` and odds by the
    negative log-likelihood of its solutions: one that is long, or of unlikely words, is more often wrong.
    """

    def question(self, prefix: Prefix) -> QuestionEstimate:
        """The prior, with the interval of the Beta that the posterior begins from."""
        right, wrong = np.array([self.prior]) * STRENGTH, np.array([1.0 - self.prior]) * STRENGTH
        [[lower, _, upper]] = beta_quantiles(right, wrong).tolist()
        return QuestionEstimate(
            Estimate(min(lower, self.prior), self.prior, max(upper, self.prior), calibrated=True)
        )

    def odds(self, finished: FinishedSearch) -> dict[NodeId, float]:
        """Odds by the negative log-likelihood of each; even odds where it is not known."""
        return {each.node: _odds_of(each.nll) for each in finished.candidates}

    def of_answers(self, prefix: Prefix, finished: FinishedSearch, prior: float) -> Sequence[float]:
        """By the spreads of the modes."""
        return _of_votes(finished, prior, self.odds(finished), self.profiles)


def _odds_of(nll: float | None) -> float:
    if nll is None:
        return 0.0
    return POWER * math.log(NEUTRAL_NATS / min(max(nll, FEWEST_NATS), MOST_NATS))


def _of_votes(
    finished: FinishedSearch,
    prior: float,
    odds: Mapping[NodeId, float],
    profiles: Mapping[Mode, ModeProfile] = PROFILES,
    spread: float | None = None,
    strength: float = STRENGTH,
) -> list[float]:
    """P(it is correct) of each answer by ``posterior``; ``spread`` None is that of each mode's profile."""
    ended = Counter(candidate.mode for candidate in finished.candidates)
    asked = Estimate(prior, prior, prior, calibrated=True)
    states = {
        mode: ModeState(asked, n, spread or profiles[mode].spread, strength) for mode, n in ended.items()
    }
    return posterior(states, supports(finished, odds))


@dataclass(frozen=True, slots=True)
class FactPosterior(VotePosterior):
    """Implements ``engine.ports.Calibrator`` for facts: how likely a model finds its words tells nearly all.

    Wrong solutions often make one mistake (Sydney, for the capital of Australia), so their spread is small.

    Attributes:
        prior: Prior accuracy; even odds, whatever the size of the model.
    """

    profiles: ClassVar[Mapping[Mode, ModeProfile]] = {"prose": ModeProfile(spread=1.0, tokens=15.0)}

    prior: float = 0.5

    def odds(self, finished: FinishedSearch) -> dict[NodeId, float]:
        """Odds by the negative log-likelihood of each token; even odds where it is not known."""
        return {each.node: _odds_of_fact(each) for each in finished.candidates}


def _odds_of_fact(candidate: Candidate) -> float:
    if candidate.nll is None or not candidate.tokens:
        return 0.0
    nats = min(max(candidate.nll / candidate.tokens, FEWEST_FACT_NATS), MOST_FACT_NATS)
    return FACT_POWER * math.log(NEUTRAL_FACT_NATS / nats)


# Calls of tools, measured on 75 requests of one coder (docs/research.md), shifted by the size of others.


@dataclass(frozen=True, slots=True)
class CallWeights:
    """How far a model's look, and its calls, are to be trusted; ``bench.evidence.calls_table`` fits them.

    Attributes:
        trust: Power of the look's probabilities.
        lean: Log-odds added to a call.
        overlap: How much replies repeat each other in that they call or do not.
        calls_right: Chance that the model calls where a call is right.
        calls_wrong: Chance that it calls where none is.
        easier: Logits by which a call is easier than a question of mathematics.
        spread: Concentration of wrong calls, as that of a ``ModeState``.
        strength: Weight of the prior, as that of a ``ModeState``.
    """

    trust: float
    lean: float
    overlap: float
    calls_right: float
    calls_wrong: float
    easier: float
    spread: float
    strength: float


CALL_WEIGHTS = CallWeights(
    trust=2.5,
    lean=-2.6,
    overlap=0.5,
    calls_right=0.97,
    calls_wrong=0.85,
    easier=1.0,
    spread=0.7,
    strength=0.6,
)
"""The first five fit 22 looks of the 1.5b: P(yes) was .69 to .93 where a call is right (13), else .57 to .80
(9); it called in 22 of 25 requests where none is right. The others are the likeliest of both coders' calls
for 105 requests of BFCL: a model can make a call or it cannot, so votes tell more than for a value."""

_UNREAD = 0.85
"""Log-odds of a call where the look says nothing: two of three requests want one."""

_FREE, _FORCED = 0.70, 0.90
"""P(a call is right) where nothing was read: behind a result, where a reply in words is as likely as it is
before, and where a call is required or no look was taken."""


@dataclass(frozen=True, slots=True)
class CallPosterior(_Posterior):
    """Implements ``engine.ports.Calibrator`` for requests with tools, which are looked at first.

    Attributes:
        prior: Prior accuracy of the model on mathematics.
        fitted: Weights of the look and of the calls.
    """

    fitted: CallWeights = CALL_WEIGHTS

    @property
    def weights(self) -> OptionWeights:
        """Weights of the look."""
        fitted = self.fitted
        return OptionWeights(fitted.trust, fitted.lean, merit={}, habit=1.0, overlap=fitted.overlap)

    @classmethod
    def of_size(cls, prior: float, parameters: float) -> Self:
        """The posterior of a model of so many parameters, whose look says the less the smaller it is."""
        share = share_of_trust(parameters)
        lean = share * CALL_WEIGHTS.lean + (1.0 - share) * _UNREAD
        return cls(prior, replace(CALL_WEIGHTS, trust=share * CALL_WEIGHTS.trust, lean=lean))

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """The posterior of each answer, and that of calling at all; the likeliest one leads."""
        revised = _Posterior.judge(self, prefix, finished).revised
        options = {}
        if finished.look:
            call, none = finished.look
            p = self._call_chance(prefix.problem, finished)
            options = {call: p, none: 1.0 - p}
        return AnswerEstimates(max(revised.values(), key=lambda each: each.median), revised, options)

    def _call_chance(self, problem: Problem, finished: FinishedSearch) -> float:
        """P(a call is right), by the look and the votes; a reply that was drawn without tools is none."""
        free = {each.node for each in finished.candidates if each.mode == "call"}
        votes = [group.answer for group in finished.groups for node in group.nodes if node in free]
        none = votes.count(NO_CALL)
        calls = len(votes) - none
        if finished.look:
            prior = self.weights.prior(tuple(finished.look.values()))[0]
        else:
            request = ToolRequest.of(problem.details)
            prior = _FORCED if request.is_asked or request.choice == "required" else _FREE
        right, wrong = self.fitted.calls_right, self.fitted.calls_wrong
        ratio = calls * math.log(right / wrong) + none * math.log((1.0 - right) / (1.0 - wrong))
        repeated = 1.0 + self.fitted.overlap * max(0, calls + none - 1)
        return shifted(prior, ratio / repeated)

    def of_answers(self, prefix: Prefix, finished: FinishedSearch, prior: float) -> Sequence[float]:
        """P(a call is right) times the posterior of the votes for this one among those that call."""
        p_call = self._call_chance(prefix.problem, finished)
        groups = tuple(group for group in finished.groups if group.answer != NO_CALL)
        # One without an answer has repeated a call whose result is known, which says nothing of new ones.
        calling = tuple(each for each in finished.candidates if each.answer not in (None, NO_CALL))
        even = dict.fromkeys((each.node for each in calling), 0.0)
        calls = replace(finished, candidates=calling, groups=groups)
        merit = shifted(prior, self.fitted.easier)
        found = iter(_of_votes(calls, merit, even, spread=self.fitted.spread, strength=self.fitted.strength))
        return [
            1.0 - p_call if group.answer == NO_CALL else p_call * next(found) for group in finished.groups
        ]


@dataclass(frozen=True, slots=True)
class FieldWeights:
    """How far readings of a text are to be trusted; ``bench.evidence.json_fields`` fits them.

    Attributes:
        easier: Logits by which a field is easier than a question of mathematics.
        greedy: Log-odds by which the greedy reading speaks for its fields.
        spread: Concentration of wrong values, as that of a ``ModeState``.
        strength: Weight of the prior, as that of a ``ModeState``.
    """

    easier: float
    greedy: float
    spread: float
    strength: float


FIELD_WEIGHTS = FieldWeights(easier=1.2, greedy=1.4, spread=0.53, strength=0.74)
"""The likeliest of both coders' readings of 90 texts (BFCL's requests for fitting)."""


@dataclass(frozen=True, slots=True)
class FieldPosterior(_Posterior):
    """Implements ``engine.ports.Calibrator`` for JSON: each field is voted on, and the least is that of all.

    Attributes:
        prior: Prior accuracy of the model on mathematics.
        fitted: Weights of the readings.
    """

    fitted: FieldWeights = FIELD_WEIGHTS

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """The posterior of each answer, and of each of its fields."""
        judged = _Posterior.judge(self, prefix, finished)
        return replace(judged, fields=self._of_fields(prefix, finished, self.prior))

    def of_answers(self, prefix: Prefix, finished: FinishedSearch, prior: float) -> Sequence[float]:
        """By the field that is least likely."""
        fields = self._of_fields(prefix, finished, prior)
        return [min(each.probability for each in fields[g.nodes[0]].values()) for g in finished.groups]

    def _of_fields(
        self, prefix: Prefix, finished: FinishedSearch, prior: float
    ) -> dict[NodeId, dict[str, FieldEstimate]]:
        """The fields of each answer, by its first node; one without fields is a single one."""
        votes = votes_by_field(finished.groups, schema_of(prefix.problem))
        whole = {"": [group.nodes for group in finished.groups]}
        fields: dict[NodeId, dict[str, FieldEstimate]] = {group.nodes[0]: {} for group in finished.groups}
        merit = shifted(prior, self.fitted.easier)
        greedy = {candidate.node for candidate in finished.candidates if candidate.greedy}
        for name, agreeing in (votes or whole).items():
            groups = tuple(AnswerGroup("", nodes, 0.0, 0.0) for nodes in agreeing)
            odds: dict[NodeId, float] = {}
            for nodes in agreeing:
                odds |= dict.fromkeys(nodes, 0.0 if greedy.isdisjoint(nodes) else self.fitted.greedy)
            voted = replace(finished, groups=groups)
            of_groups = _of_votes(
                voted, merit, odds, spread=self.fitted.spread, strength=self.fitted.strength
            )
            known = {
                node: FieldEstimate(len(nodes), p)
                for nodes, p in zip(agreeing, of_groups, strict=False)
                for node in nodes
            }
            for node, own in fields.items():
                own[name] = known[node]
        return fields
