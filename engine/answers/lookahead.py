"""What more search is worth: a posterior over the answer groups, and how the votes may still turn.

Each answer that was found may be the right one, or none of them. Where one is, a trajectory gives it with a
rate drawn from a distribution around the question's own calibrated estimate, and wrong trajectories spread
over wrong answers by a Chinese restaurant process; the mean estimate of an answer's trajectories sets its
odds.

We compute the posterior predictive vote counts after 1, 2, 4, 8 and 16 more trajectories. ``gain`` is the
largest rise of P(the leading answer is right) per trajectory; ``reach`` is the maximum of that probability.
The gain is small where an answer is safe, the reach where no right answer is likely to be found.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, lgamma, log
from operator import mul

from ..types import Estimate

AHEAD = (1, 2, 4, 8, 16)
"""Distances of the lookahead, in trajectories: a single one rarely turns a vote."""

_SPREAD = 6.0
"""Concentration of the wrong answers: the larger, the more rarely two agree (docs/LOG.md says why this)."""

_EPS = 0.01
_STRENGTH = 3.0
"""Of the prior, in trajectories: what the question's estimate is worth (docs/LOG.md, 2026-11-26)."""

_MISS = 3.0
"""Wrong trajectories that one without an answer counts as: where runs do not end, others are wrong."""

_NEGLIGIBLE = 1e-3
_TERMS = AHEAD[-1] + 1


@dataclass(frozen=True, slots=True)
class Support:
    """What an answer has behind it: its trajectories, and the mean ``log_odds`` of their estimates."""

    votes: int
    odds: float


@dataclass(frozen=True, slots=True)
class Lookahead:
    """What more trajectories would do to P(the leading answer is right).

    Attributes:
        gain: Most that it rises by for each trajectory, in [-1, 1]; below 0 where more would rather do harm.
        reach: Most that it rises to, in [0, 1].
    """

    gain: float
    reach: float


def log_odds(p: float) -> float:
    """``logit(p)``, p kept .01 away from 0 and 1: no single estimate may decide alone."""
    p = min(max(p, _EPS), 1.0 - _EPS)
    return log(p / (1.0 - p))


def look_ahead(question: Estimate, answers: Sequence[Support], finished: int, left: int) -> Lookahead:
    """Look ahead from the answers found so far.

    Args:
        question: Calibrated estimate that one trajectory is right.
        answers: Support of each answer found so far, the leading one first; empty without an answer.
        finished: Trajectories that have ended, those without an answer too.
        left: Trajectories that may still be drawn: what only more of them would win is out of reach. Below 1
            counts as 1: what one more would have done.
    """
    votes = [answer.votes for answer in answers]
    a, b = _beta(question, misses=finished - sum(votes))
    posterior = _posterior(answers, a, b, log_odds(question.median))
    now = posterior[0] if answers else 0.0
    distances = [more for more in AHEAD if more <= max(left, 1)]
    later = {more: _leader_is_right(more, posterior, votes, a, b) for more in distances}
    gain = max((p - now) / more for more, p in later.items())
    return Lookahead(gain, max(now, *later.values()))


def _beta(question: Estimate, misses: int) -> tuple[float, float]:
    """``alpha, beta`` of P(a trajectory is right), after ``misses`` trajectories without an answer."""
    mean = min(max(question.median, _EPS), 1.0 - _EPS)
    return mean * _STRENGTH, (1.0 - mean) * _STRENGTH + _MISS * misses


def _posterior(answers: Sequence[Support], a: float, b: float, prior: float) -> list[float]:
    """P(right) of each answer, and last the probability that none of them is right."""
    votes = [answer.votes for answer in answers]
    answered = sum(votes)
    logs = []
    for at, answer in enumerate(answers):
        wrong = votes[:at] + votes[at + 1 :]
        # Trajectories with one answer share what they are wrong about: their estimates count once.
        likely = _log_beta(a + answer.votes, b + answered - answer.votes) + answer.odds - prior
        logs.append(likely + _seating(wrong))
    logs.append(_log_beta(a, b + answered) + _seating(votes))
    most = max(logs)
    weights = [exp(x - most) for x in logs]
    return [w / sum(weights) for w in weights]


def _seating(wrong: Sequence[int]) -> float:
    """Log-probability that wrong trajectories fall into groups of these sizes."""
    groups = len(wrong) * log(_SPREAD) + sum(lgamma(votes) for votes in wrong)
    return groups + lgamma(_SPREAD) - lgamma(_SPREAD + sum(wrong))


def _leader_is_right(
    more: int, posterior: Sequence[float], votes: Sequence[int], a: float, b: float
) -> float:
    """P(the answer with most votes is right) after ``more`` trajectories."""
    total = 0.0
    for at, chance in enumerate(posterior):
        if chance < _NEGLIGIBLE:
            continue
        own = votes[at] if at < len(votes) else 0
        wrong = tuple(sorted([*votes[:at], *votes[at + 1 :]]))
        total += chance * _right_answer_wins(more, own, wrong, (a + own, b + sum(votes) - own))
    return total


def _right_answer_wins(more: int, own: int, wrong: tuple[int, ...], rates: tuple[float, float]) -> float:
    """P(the right answer has most votes): it gains a Beta-binomial share, wrong ones seat the rest.

    Among equals it is chosen half of the time.
    """
    won = 0.0
    for right in range(more + 1):
        votes = own + right
        if votes:
            below, upto = (
                _none_larger(wrong, votes - 1)[more - right],
                _none_larger(wrong, votes)[more - right],
            )
            won += _beta_binomial(right, more, *rates) * (below + upto) / 2
    return won


@functools.lru_cache(maxsize=1 << 16)
def _none_larger(tables: tuple[int, ...], most: int) -> tuple[float, ...]:
    """P(no table has more than ``most`` guests) after 0, 1, ... ``AHEAD[-1]`` more, in a Chinese restaurant.

    By exponential generating functions: a table with w guests is a truncated ``(1 - x) ** -w``, the new
    ones together are ``exp(spread * (x + x**2 / 2 + ... + x**most / most))``.
    """
    if max(tables, default=0) > most:
        return (0.0,) * _TERMS
    series = _new_tables(most)
    for guests in tables:
        series = _product(series, _old_table(guests, most))
    seated, total = [], 1.0  # rising factorial of (spread + guests) over n!, the sum without a limit
    for n, weight in enumerate(series):
        seated.append(weight / total)
        total *= (_SPREAD + sum(tables) + n) / (n + 1)
    return tuple(seated)


@functools.cache
def _old_table(guests: int, most: int) -> tuple[float, ...]:
    """``(1 - x) ** -guests`` up to the term that fills it: ``_TERMS`` coefficients."""
    terms, term = [], 1.0
    for more in range(_TERMS):
        terms.append(term if guests + more <= most else 0.0)
        term *= (guests + more) / (more + 1)
    return tuple(terms)


@functools.cache
def _new_tables(most: int) -> tuple[float, ...]:
    """``exp(spread * sum of x**l / l)``, l up to ``most``: ``_TERMS`` coefficients."""
    series = [1.0]
    for n in range(1, _TERMS):  # n * s[n] is the sum of spread * s[n - l] over table sizes l
        series.append(_SPREAD * sum(series[n - size] for size in range(1, min(most, n) + 1)) / n)
    return tuple(series)


def _product(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """Of two power series, ``_TERMS`` coefficients of each."""
    return tuple(sum(map(mul, a[: n + 1], b[n::-1])) for n in range(_TERMS))


def _beta_binomial(k: int, n: int, a: float, b: float) -> float:
    return comb(n, k) * exp(_log_beta(a + k, b + n - k) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
