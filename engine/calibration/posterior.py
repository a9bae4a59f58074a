"""The posterior of a search's answers: one for every kind of question.

One of the answers is correct, or none is. Each mode has a rate of correct solutions, drawn from a
distribution around the prior. Wrong solutions of a mode spread over wrong answers by a Chinese restaurant
process, and two modes seldom make the same mistake. An answer's own solutions set its odds: by the likelihood
of their words, or by the estimates of a fitted head.

The kind of question supplies constants (``VOTES``, ``options.OPTIONS``), the model its size, a fit a head.
Hidden states differ between models, so without a head the posterior uses the model's size, the votes and the
likelihood of the words only (docs/research.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lgamma, log
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..answers.choosing import AnswerGroup, Candidate, FieldEstimate, FinishedSearch
from ..kinds import KINDS, kind_of
from ..kinds.structured import schema_of
from ..ports import AnswerEstimates, Prefix
from ..tools.calls import NO_CALL, ToolRequest
from ..tools.equality import votes_by_field
from ..types import PROGRAMS, Z90, Estimate, KindName, Mode, NodeId, Problem
from .options import OPTIONS, OWN_OPTIONS, OptionWeights

if TYPE_CHECKING:
    from .head import Calibration

Array = NDArray[np.float64]

Level = Literal["fitted", "prior"]
"""Source of a probability: a fit of this model, or published scores of models of its size."""

# By published scores of instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
# logarithm of the parameters. The line was fitted on 27 models of .3 to 5 billion. It ends where 22 models of
# 7 to 15 billion are no better (``python -m bench.evidence.model_sizes``).
AT_ONE_BILLION = -0.16
RISE = 0.89
"""Logits for each factor of e."""
FROM = 0.34e9
"""Parameters at the start of the line: the smallest model of the table.

With a prior below .12, prose and a program that agree would be likelier to share a mistake than to be
correct.
"""
UNTIL = 2.7e9
"""Parameters at its end: there it reaches the mean of the larger models."""
OFF_THE_LINE = 0.49
"""Standard deviation of models from the line, in logits."""

SPREADS: Mapping[Mode, float] = {"prose": 6.0, "program": 2.5, "code": 2.5, "call": 2.5}
"""Default concentration of a mode's wrong answers (docs/research.md): the larger, the more rarely two
agree."""

STRENGTH = 3.0
"""Weight of the prior, in solutions; 2 and 5 were no better (docs/research.md)."""

_SAME_MISTAKE = 0.13
"""P(a wrong answer of one mode is also one of the other), by 40 fitting questions of the 1.5b at T .5."""

_MISS = 3.0
"""A solution without an answer counts as this many wrong ones, in fits too."""

_EPS = 0.01

_FREE, _FORCED = 0.70, 0.90
"""P(a call is correct) without option logits: after a tool's result, and if a call is required or no prompt
was read."""


UNUSED = 1.0
"""Log-odds that a solution loses if it omits a number of the question: fitted on the rollouts of both coders;
.5 and 1.5 are nearly as good (docs/research.md)."""


@dataclass(frozen=True, slots=True)
class WordOdds:
    """Odds of an answer by the likelihood of its solutions: (neutral / nats) ^ power.

    Attributes:
        neutral: Nats at which the odds are even.
        power: Strength of the evidence.
        fewest, most: Bounds of the nats, so that no single solution decides.
        by_token: True for the nats of each token of a solution instead of all.
        unused: Log-odds that a solution loses if it omits a number of the question.
    """

    neutral: float
    power: float
    fewest: float
    most: float
    by_token: bool = False
    unused: float = 0.0

    def of(self, solution: Candidate) -> float:
        """Log-odds; an unknown likelihood adds none."""
        nats, doubt = solution.nll, self.unused * solution.leaves_out
        if nats is None:
            return -doubt
        nats = nats / max(solution.tokens, 1) if self.by_token else nats
        return self.power * log(self.neutral / min(max(nats, self.fewest), self.most)) - doubt


@dataclass(frozen=True, slots=True)
class VoteWeights:
    """Weights of the votes of a kind.

    Attributes:
        prior: Prior accuracy for models of all sizes; None for the accuracy by size.
        easier: Logits by which the kind is easier than mathematics.
        spread: Concentration of wrong answers; None for the default of each mode.
        strength: Weight of the prior, in solutions: the smaller, the more questions are either always or
            never answered correctly.
        difficulty: Logits by which one question may be harder or easier than the prior, in all modes: the
            modes are not independent.
        failed: A program without an answer counts as this many wrong ones: a slip in its first line is weak
            evidence about programs that run.
        words: Odds by the likelihood of a solution's words; None to ignore it.
        greedy: Log-odds that the greedy solution adds to its answer.
        calls_right, calls_wrong: P(the model calls a tool) if a call is correct, and if it is not.
    """

    prior: float | None = None
    easier: float = 0.0
    spread: float | None = None
    strength: float = STRENGTH
    difficulty: float = 0.0
    failed: float = _MISS
    words: WordOdds | None = None
    greedy: float = 0.0
    calls_right: float = 0.5
    calls_wrong: float = 0.5


# Fits for one coder, set of questions and number of solutions have powers of 1.4 to 3.5 and neutral points of
# 22 to 43 nats (``python -m bench.evidence.likelihood``). With ``difficulty`` the power is lower, and lower
# still on questions of daily life (docs/research.md).
_SOLUTIONS = VoteWeights(
    difficulty=1.2,
    failed=0.5,
    words=WordOdds(neutral=30.0, power=1.3, fewest=10.0, most=90.0, unused=UNUSED),
)

VOTES: Mapping[KindName, VoteWeights] = {
    "value": _SOLUTIONS,
    "date": _SOLUTIONS,
    "code": _SOLUTIONS,
    # Wrong solutions often make one mistake (Sydney, for the capital of Australia), so their spread is small.
    # Fits for three models of .1 to 1.7 billion parameters have powers of 1.5 to 3.3 and neutral points of
    # .13 to .40 nats; neither rises with the size (``bench.evidence.facts``).
    "fact": VoteWeights(
        prior=0.65,
        spread=1.0,
        strength=2.0,
        words=WordOdds(neutral=0.21, power=1.8, fewest=0.01, most=3.0, by_token=True),
    ),
    # The 1.5b called a tool in 22 of 25 requests for which no call is correct. The other constants maximise
    # the likelihood of both coders' calls for 105 requests of BFCL (``bench.evidence.calls_table``).
    "call": VoteWeights(easier=1.0, spread=0.7, strength=0.6, calls_right=0.97, calls_wrong=0.85),
    # These maximise the likelihood of both coders' objects for 90 texts, BFCL's requests for fitting
    # (``bench.evidence.json_fields``).
    "json": VoteWeights(easier=1.2, spread=0.53, strength=0.74, greedy=1.4),
}
"""Constants of each kind whose answers are voted on."""


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Maps hidden states, rewards, votes and option logits to estimates, with a fit or without.

    Attributes:
        kind: Kind of question.
        prior: Prior accuracy of the model, in (0, 1); None if options decide, or without a calibration.
        votes: Weights of the votes.
        options: Weights of the options; None for a kind without options.
        head: Fitted estimates, which replace votes and words.
        level: Source of the probabilities.
    """

    kind: KindName = "value"
    prior: float | None = None
    votes: VoteWeights = _SOLUTIONS
    options: OptionWeights | None = None
    head: Calibration | None = None
    level: Level = "prior"

    @classmethod
    def of_model(
        cls,
        kind: KindName,
        parameters: float,
        sha256: str = "",
        head: Calibration | None = None,
        fitted: VoteWeights | None = None,
    ) -> Posterior:
        """The posterior of a model.

        Args:
            kind: Kind of question.
            parameters: Number of parameters of the generator; 0 if unknown.
            sha256: Digest of its file, which selects the option weights that were fitted on it.
            head: Fit for this kind.
            fitted: Fitted weights of its votes.
        """
        own, votes = OWN_OPTIONS.get(sha256, {}).get(kind), fitted or VOTES.get(kind, _SOLUTIONS)
        options = own or (OPTIONS[kind].of_size(parameters) if kind in OPTIONS else None)
        prior = None if KINDS[kind].has_options else votes.prior or rate_of_size(parameters)
        return cls(kind, prior, votes, options, head, "fitted" if head or own or fitted else "prior")

    @property
    def modes(self) -> Collection[Mode]:
        """Modes whose solutions it can estimate."""
        return KINDS[self.kind].modes if self.head is None else self.head.modes

    @property
    def unfitted(self) -> Posterior:
        """The same posterior without its head, for questions outside of the fit; itself if it has none."""
        if self.head is None or self.prior is None:
            return self
        return replace(self, head=None, level="prior")

    def is_out_of_distribution(self, prefix: Prefix) -> bool:
        """True if a question is unlike the questions of the fit."""
        return self.head is not None and self.head.distance(prefix) > 1.0

    def question(self, prefix: Prefix) -> Estimate | None:
        """Estimate for a question before its first solution.

        Without a head it is the prior, with the interval of the Beta distribution from which the posterior
        starts; None for calls and JSON, which are easier than the questions behind the prior.
        """
        if self.head is not None:
            return self.head.question(prefix)
        if self.prior is None or self.votes.easier:
            return None
        right, wrong = np.array([self.prior]) * STRENGTH, np.array([1.0 - self.prior]) * STRENGTH
        [[lower, _, upper]] = beta_quantiles(right, wrong).tolist()
        return Estimate(lower, self.prior, upper, calibrated=True)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for one scored prefix: without a head the reward, as a score that is no probability.

        For a question with options it is the rate of correct solutions, before this one chooses an option.
        """
        if self.head is not None:
            return self.head.estimate(prefix, reward)
        if self.options is None or not self.options.skill:
            return Estimate(reward, reward, reward, calibrated=False)
        skill = self.options.of_problem(prefix.problem).skill.get(prefix.mode, 0.0)
        p = skill + (1.0 - skill) / max(1, len(kind_of(prefix.problem).options(prefix.problem)))
        return Estimate(p, p, p, calibrated=True)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """Estimates for the answers; the first, for calls the largest, is the confidence of the search.

        They depend on the set of the solutions, not on their order. Without a head, lower and upper are the
        estimates for models that lie ``Z90`` standard deviations off the line of their size.
        """
        if KINDS[self.kind].has_options and self.options is not None and finished.option_logits:
            return self._of_options(self.options.of_problem(prefix.problem), finished)
        if self.head is None:
            return self._of_votes(prefix.problem, finished)
        own, voted = self.head.of_answer(finished), None
        if KINDS[self.kind].is_fitted:
            # A head cannot detect a mistake that all solutions share; votes cannot weigh a solution.
            voted = self._of_votes(prefix.problem, finished).confidence
        return AnswerEstimates(own if voted is None else _mean(own, voted))

    def _of_votes(self, problem: Problem, finished: FinishedSearch) -> AnswerEstimates:
        """Estimates by votes and words, for a prior at the model's level, below it and above it."""
        if self.prior is None:
            return AnswerEstimates(None)
        entry, revised = KINDS[self.kind], dict[NodeId, Estimate]()
        levels = [shifted(self.prior, off) for off in (-Z90 * OFF_THE_LINE, 0.0, Z90 * OFF_THE_LINE)]
        estimates = [replace(self, prior=level).of_answers(problem, finished) for level in levels]
        for group, chances in zip(finished.groups, zip(*estimates, strict=True), strict=False):
            lower, _, upper = sorted(chances)
            revised |= dict.fromkeys(group.nodes, Estimate(lower, chances[1], upper, calibrated=True))
        if entry.has_calls:
            likeliest = max(revised.values(), key=lambda each: each.median, default=None)
            p_call = self._call_chance(problem, finished) if finished.option_logits else None
            return AnswerEstimates(likeliest, revised, called=p_call)
        fields = self._of_fields(problem, finished) if entry.has_fields else {}
        return AnswerEstimates(revised[finished.groups[0].nodes[0]], revised, fields=fields)

    def _of_options(self, weights: OptionWeights, finished: FinishedSearch) -> AnswerEstimates:
        """Estimate of each option, by its logits and the solutions' choices; without an interval."""
        options, logits = tuple(finished.option_logits), tuple(finished.option_logits.values())
        answers = {each.node: each.answer for each in finished.candidates if each.answer is not None}
        modes = (each.mode for each in finished.candidates if each.answer is not None)
        votes = list(zip(map(options.index, answers.values()), modes, strict=True))
        p = dict(zip(options, weights.posterior(logits, votes), strict=True))
        estimates = {option: Estimate(each, each, each, calibrated=True) for option, each in p.items()}
        return AnswerEstimates(None, {node: estimates[answer] for node, answer in answers.items()}, p)

    def of_answers(self, problem: Problem, finished: FinishedSearch) -> Sequence[float]:
        """P(correct) of each answer, the chosen one first; then P(none is correct)."""
        if KINDS[self.kind].has_calls:
            return self._of_calls(problem, finished)
        if KINDS[self.kind].has_fields:
            fields = self._of_fields(problem, finished)
            return [min(each.probability for each in fields[g.nodes[0]].values()) for g in finished.groups]
        words = self.votes.words
        return self._voted(
            finished, {each.node: words.of(each) for each in finished.candidates} if words else {}
        )

    def _voted(self, finished: FinishedSearch, odds: Mapping[NodeId, float]) -> Sequence[float]:
        """``of_votes`` with the prior of the model and the constants of the kind."""
        assert self.prior is not None, "votes have a prior"
        weights, modes = self.votes, dict.fromkeys(each.mode for each in finished.candidates)
        spreads = {mode: weights.spread or SPREADS[mode] for mode in modes}
        priors = dict.fromkeys(modes, shifted(self.prior, weights.easier))
        return of_votes(finished, priors, odds, spreads, weights)

    def _of_calls(self, problem: Problem, finished: FinishedSearch) -> Sequence[float]:
        """P(a call is correct) times the posterior of this call among the replies with a call."""
        p_call = self._call_chance(problem, finished)
        groups = tuple(group for group in finished.groups if group.answer != NO_CALL)
        # A reply without an answer repeats a call that has a result: no evidence about new calls.
        calling = tuple(each for each in finished.candidates if each.answer not in (None, NO_CALL))
        chances = iter(self._voted(replace(finished, candidates=calling, groups=groups), {}))
        return [
            1.0 - p_call if group.answer == NO_CALL else p_call * next(chances) for group in finished.groups
        ]

    def _call_chance(self, problem: Problem, finished: FinishedSearch) -> float:
        """P(a call is correct), by option logits and votes of replies that were drawn with tools."""
        assert self.options is not None, "calls have weights"
        free = {each.node for each in finished.candidates if each.mode == "call"}
        votes = [group.answer for group in finished.groups for node in group.nodes if node in free]
        none = votes.count(NO_CALL)
        calls = len(votes) - none
        if finished.option_logits:
            prior = self.options.prior(tuple(finished.option_logits.values()))[0]
        else:
            request = ToolRequest.of(problem.details)
            prior = _FORCED if request.is_asked or request.choice == "required" else _FREE
        right, wrong = self.votes.calls_right, self.votes.calls_wrong
        ratio = calls * log(right / wrong) + none * log((1.0 - right) / (1.0 - wrong))
        return shifted(prior, ratio / self.options.repeated(calls + none))

    def _of_fields(
        self, problem: Problem, finished: FinishedSearch
    ) -> dict[NodeId, dict[str, FieldEstimate]]:
        """The fields of each answer by its first node, each with its votes; a scalar is one field.

        The whole object has the probability of its least likely field.
        """
        whole = {"": [group.nodes for group in finished.groups]}
        fields: dict[NodeId, dict[str, FieldEstimate]] = {group.nodes[0]: {} for group in finished.groups}
        greedy = {candidate.node for candidate in finished.candidates if candidate.greedy}
        for name, agreeing in (votes_by_field(finished.groups, schema_of(problem)) or whole).items():
            beside_greedy = (nodes for nodes in agreeing if not greedy.isdisjoint(nodes))
            odds = {node: self.votes.greedy for nodes in beside_greedy for node in nodes}
            groups = tuple(AnswerGroup("", nodes, 0.0, 0.0) for nodes in agreeing)
            chances = self._voted(replace(finished, groups=groups), odds)
            for nodes, p in zip(agreeing, chances, strict=False):
                for node in fields.keys() & set(nodes):
                    fields[node][name] = FieldEstimate(len(nodes), p)
        return fields


UNCALIBRATED = Posterior()
"""Shows the raw reward as a score that is no probability."""


def rate_of_size(parameters: float) -> float:
    """Prior accuracy of a model by its number of parameters, .25 to .67; .5 if the number is 0."""
    if parameters <= 0:
        return 0.5
    return shifted(0.5, AT_ONE_BILLION + RISE * log(min(max(parameters, FROM), UNTIL) / 1e9))


def shifted(p: float, logits: float) -> float:
    """The probability after a shift of its logit."""
    return 1.0 / (1.0 + (1.0 - p) / p * math.exp(-logits))


def _mean(a: Estimate, b: Estimate) -> Estimate:
    """The mean of two estimates in log-odds."""
    logits = [logit(np.array([each.lower, each.median, each.upper])) for each in (a, b)]
    return Estimate.of_quantiles(sigmoid((logits[0] + logits[1]) / 2.0))


def log_odds(p: float) -> float:
    """``logit(p)`` with p in [.01, .99], so that no single estimate decides."""
    p = min(max(p, _EPS), 1.0 - _EPS)
    return log(p / (1.0 - p))


def of_votes(
    finished: FinishedSearch,
    priors: Mapping[Mode, float],
    odds: Mapping[NodeId, float],
    spreads: Mapping[Mode, float],
    weights: VoteWeights = VoteWeights(),
) -> list[float]:
    """P(correct) of each answer, and last P(none is correct); docs/method.md has the formulas.

    Args:
        finished: The solutions and their answers.
        priors: P(a solution is correct), by mode; solutions of other modes do not vote.
        odds: Log-odds that each solution adds to its answer.
        spreads: Concentration of wrong answers, by mode.
        weights: Supply strength, difficulty and the weight of failed programs.
    """
    mode_of = {candidate.node: candidate.mode for candidate in finished.candidates}
    ended = Counter(mode_of.values())
    answers = [Counter(mode_of[node] for node in group.nodes) for group in finished.groups]
    # Solutions with the same answer share their mistakes: their evidence counts once.
    evidence = [fmean(odds.get(node, 0.0) for node in group.nodes) for group in finished.groups]
    misses = {mode: ended[mode] - sum(answer[mode] for answer in answers) for mode in priors}

    def of_counts(mode: Mode, right: int, wrong: int, offset: float) -> float:
        """Log-likelihood of a mode's counts at this difficulty: its rate has a Beta distribution."""
        mean = min(max(shifted(priors[mode], offset), _EPS), 1.0 - _EPS)
        miss = weights.failed if mode in PROGRAMS else _MISS
        a, b = mean * weights.strength, (1.0 - mean) * weights.strength + miss * misses[mode]
        return _log_beta(a + right, b + wrong) - _log_beta(a, b)

    def likelihood(at: int) -> float:
        """Log-likelihood of the votes if answer ``at`` is correct (the last: none), over difficulties."""
        right: Counter[Mode] = answers[at] if at < len(answers) else Counter()
        wrong = [*answers[:at], *answers[at + 1 :]]
        votes = {mode: [n for answer in wrong if (n := answer[mode])] for mode in priors}
        groups = _common_mistakes(wrong) + sum(seating(votes[mode], spreads[mode]) for mode in priors)
        rates = [
            sum(of_counts(mode, right[mode], sum(votes[mode]), offset) for mode in priors)
            for offset in (-weights.difficulty, 0.0, weights.difficulty)
        ]
        return groups + float(np.logaddexp.reduce(rates))

    logs = [own + likelihood(at) for at, own in enumerate([*evidence, 0.0])]
    shares: list[float] = np.exp(logs - np.logaddexp.reduce(logs)).tolist()
    return shares


def seating(wrong: Sequence[int], spread: float) -> float:
    """Log-probability of these group sizes of wrong solutions (Chinese restaurant process)."""
    groups = len(wrong) * log(spread) + sum(lgamma(votes) for votes in wrong)
    return groups + lgamma(spread) - lgamma(spread + sum(wrong))


def _common_mistakes(wrong: Sequence[Mapping[Mode, int]]) -> float:
    """Log-probability of the number of wrong answers that both modes share."""
    both = sum(len(modes) > 1 for modes in wrong)
    each = [sum(mode in modes for modes in wrong) for mode in set().union(*wrong)]
    apart = min(each) - both if len(each) > 1 else 0
    return both * log(_SAME_MISTAKE) + apart * log(1.0 - _SAME_MISTAKE)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


# Beta distributions

LEVELS = (0.1, 0.5, 0.9)
"""Quantile levels of an estimate: lower, median, upper."""

_GRID = np.linspace(-12.0, 12.0, 769)


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))`` without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def logit(p: Array) -> Array:
    """The inverse of ``sigmoid``, with p clipped to [1e-6, 1 - 1e-6]."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def beta_quantiles(alpha: Array, beta: Array) -> Array:
    """``[n, 3]`` quantiles at ``LEVELS`` of Beta distributions, to about 1e-3.

    By the trapezoid rule over the logit, in which the density is smooth and has one peak.
    """
    quantiles = []
    for a, b in zip(alpha, beta, strict=True):
        # The variance of the logit is trigamma(a) + trigamma(b), here by its first two terms.
        x = np.log(a) - np.log(b) + np.sqrt(1 / a + 0.5 / a**2 + 1 / b + 0.5 / b**2) * _GRID
        log_density = -a * np.logaddexp(0.0, -x) - b * np.logaddexp(0.0, x)
        density = np.exp(log_density - log_density.max())
        below = np.cumsum(density) - 0.5 * density
        quantiles.append(np.interp(LEVELS, below / (below[-1] + 0.5 * density[-1]), x))
    return sigmoid(np.array(quantiles).reshape(-1, len(LEVELS)))
