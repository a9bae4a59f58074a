"""Value of more search: a posterior over the answer groups, and how the votes may still turn.

Each answer that was found may be the right one, or none of them. Where one is, a trajectory gives it with a
rate of its mode, drawn from a distribution around the question's own calibrated estimate in that mode. Wrong
trajectories of a mode spread over wrong answers by a Chinese restaurant process, and two modes seldom make
the same mistake. The mean estimate of an answer's trajectories sets its odds.

We compute the posterior predictive vote counts after 1, 2, 4, 8 and 16 more trajectories of each mode.
``gain`` is the largest rise of P(the leading answer is right) per trajectory; ``reach`` is the maximum of
that probability. The gain is small where an answer is safe, the reach where no right answer is likely to be
found.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, exp, lgamma, log
from operator import mul

from ..types import Estimate, Mode

AHEAD = (1, 2, 4, 8, 16)
"""Distances of the lookahead, in trajectories: a single one rarely turns a vote."""

_SAME_MISTAKE = 0.13
"""P(a wrong answer of one mode is one of the other's), of 40 fitting questions of the 1.5b at T .5."""

_EPS = 0.01
STRENGTH = 3.0
"""Weight of a value's estimate in the prior, in trajectories; 2 and 5 were no better (docs/research.md)."""

_MISS = 3.0
"""Wrong trajectories that one without an answer counts as: where runs do not end, others are wrong."""

_NEGLIGIBLE = 1e-3
_TERMS = AHEAD[-1] + 1


@dataclass(frozen=True, slots=True)
class ModeState:
    """Knowledge of one question in one mode.

    Attributes:
        question: Calibrated estimate that one trajectory is right.
        finished: Trajectories that have ended, those without an answer too.
        spread: Concentration of its wrong answers: the larger, the more rarely two agree.
        strength: Weight of the estimate, in trajectories: the smaller, the more questions are either always
            or never answered correctly.
    """

    question: Estimate
    finished: int
    spread: float
    strength: float = STRENGTH


@dataclass(frozen=True, slots=True)
class Support:
    """Support of an answer: its votes and their log-odds.

    Attributes:
        votes: Its trajectories, by mode.
        odds: Mean over them of the log-odds by which each speaks for it (``Calibrator.odds``).
    """

    votes: Mapping[Mode, int]
    odds: float

    @property
    def total(self) -> int:
        """Trajectories of all modes."""
        return sum(self.votes.values())


@dataclass(frozen=True, slots=True)
class Lookahead:
    """Effect of more trajectories of one mode on P(the leading answer is right).

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


def look_ahead(
    modes: Mapping[Mode, ModeState], answers: Sequence[Support], left: int
) -> dict[Mode, Lookahead]:
    """Look ahead from the answers found so far, by more trajectories of each mode.

    Args:
        modes: Modes that trajectories may reason in.
        answers: Support of each answer found so far, the leading one first; empty without an answer.
        left: Trajectories that may still be drawn: what only more of them would win is out of reach. Below 1
            counts as 1: what one more would have done.
    """
    chances = posterior(modes, answers)
    now = chances[0] if answers else 0.0
    distances = [more for more in AHEAD if more <= max(left, 1)]
    found = {}
    for mode, state in modes.items():
        later = {more: _leader_is_right(more, mode, state, answers, chances) for more in distances}
        gain = max((p - now) / more for more, p in later.items())
        found[mode] = Lookahead(gain, max(now, *later.values()))
    return found


def _beta(state: ModeState, answers: Sequence[Support], mode: Mode) -> tuple[float, float]:
    """``alpha, beta`` of P(a trajectory is right), after those without an answer."""
    mean = min(max(state.question.median, _EPS), 1.0 - _EPS)
    misses = state.finished - sum(answer.votes.get(mode, 0) for answer in answers)
    return mean * state.strength, (1.0 - mean) * state.strength + _MISS * misses


def posterior(modes: Mapping[Mode, ModeState], answers: Sequence[Support]) -> list[float]:
    """P(right) of each answer, and last the probability that none of them is right."""
    logs = []
    for at in range(len(answers) + 1):
        right = answers[at] if at < len(answers) else None
        wrong = [*answers[:at], *answers[at + 1 :]]
        # Trajectories with one answer share what they are wrong about: their estimates count once.
        likely = (right.odds if right is not None else 0.0) + _common_mistakes(wrong)
        for mode, state in modes.items():
            a, b = _beta(state, answers, mode)
            own = right.votes.get(mode, 0) if right is not None else 0
            votes = [n for answer in wrong if (n := answer.votes.get(mode, 0))]
            likely += _log_beta(a + own, b + sum(votes)) - _log_beta(a, b) + seating(votes, state.spread)
        logs.append(likely)
    most = max(logs)
    weights = [exp(x - most) for x in logs]
    total = sum(weights)
    return [w / total for w in weights]


def seating(wrong: Sequence[int], spread: float) -> float:
    """Log-probability that wrong trajectories of one mode fall into groups of these sizes."""
    groups = len(wrong) * log(spread) + sum(lgamma(votes) for votes in wrong)
    return groups + lgamma(spread) - lgamma(spread + sum(wrong))


def _common_mistakes(wrong: Sequence[Support]) -> float:
    """Log-probability that as many wrong answers of one mode are also the other's."""
    found_by = [{mode for mode, n in answer.votes.items() if n} for answer in wrong]
    both = sum(len(modes) > 1 for modes in found_by)
    each = [sum(mode in modes for modes in found_by) for mode in set().union(*found_by)]
    apart = min(each) - both if len(each) > 1 else 0
    return both * log(_SAME_MISTAKE) + apart * log(1.0 - _SAME_MISTAKE)


def _leader_is_right(
    more: int, mode: Mode, state: ModeState, answers: Sequence[Support], chances: Sequence[float]
) -> float:
    """P(the answer with most votes is right) after ``more`` trajectories of a mode.

    Args:
        more: Their number.
        mode: Their mode.
        state: Knowledge of it.
        answers: Found so far.
        chances: ``posterior``.
    """
    total = 0.0
    for at, chance in enumerate(chances):
        if chance >= _NEGLIGIBLE:
            total += chance * _right_answer_wins(more, at, mode, state, answers)
    return total


def _right_answer_wins(more: int, at: int, mode: Mode, state: ModeState, answers: Sequence[Support]) -> float:
    """P(answer ``at`` has most votes, being right).

    It gains a Beta-binomial share of the trajectories, and wrong answers seat the rest. Among equals it is
    chosen half of the time.
    """
    a, b = _beta(state, answers, mode)
    right = answers[at] if at < len(answers) else Support({}, 0.0)
    others = [*answers[:at], *answers[at + 1 :]]
    wrong = tuple(sorted((other.votes.get(mode, 0), other.total) for other in others))
    own = right.votes.get(mode, 0)
    against = sum(guests for guests, _ in wrong)
    won = 0.0
    for gained in range(more + 1):
        votes = right.total + gained
        if votes:
            below = _none_larger(wrong, votes - 1, state.spread)[more - gained]
            upto = _none_larger(wrong, votes, state.spread)[more - gained]
            won += _beta_binomial(gained, more, a + own, b + against) * (below + upto) / 2
    return won


@functools.lru_cache(maxsize=1 << 16)
def _none_larger(tables: tuple[tuple[int, int], ...], most: int, spread: float) -> tuple[float, ...]:
    """P(no table has more than ``most`` votes) after 0, 1, ... ``AHEAD[-1]`` more, in a Chinese restaurant.

    By exponential generating functions: a table with w guests is a truncated ``(1 - x) ** -w``, the new
    ones together are ``exp(spread * (x + x**2 / 2 + ... + x**most / most))``.

    Args:
        tables: Of each its guests, and its votes: votes of another mode attract no guests of this one.
        most: Votes.
        spread: Concentration.
    """
    if max((votes for _, votes in tables), default=0) > most:
        return (0.0,) * _TERMS
    series = _new_tables(most, spread)
    for guests, votes in tables:
        series = _product(series, _old_table(guests, most - votes))
    seated, total = [], 1.0  # rising factorial of (spread + guests) over n!, the sum without a limit
    everyone = spread + sum(guests for guests, _ in tables)
    for n, weight in enumerate(series):
        seated.append(weight / total)
        total *= (everyone + n) / (n + 1)
    return tuple(seated)


@functools.cache
def _old_table(guests: int, room: int) -> tuple[float, ...]:
    """``(1 - x) ** -guests`` up to the term that fills it: ``_TERMS`` coefficients."""
    terms, term = [], 1.0
    for more in range(_TERMS):
        terms.append(term if more <= room else 0.0)
        term *= (guests + more) / (more + 1)
    return tuple(terms)


@functools.cache
def _new_tables(most: int, spread: float) -> tuple[float, ...]:
    """``exp(spread * sum of x**l / l)``, l up to ``most``: ``_TERMS`` coefficients."""
    series = [1.0]
    for n in range(1, _TERMS):  # n * s[n] is the sum of spread * s[n - l] over table sizes l
        series.append(spread * sum(series[n - size] for size in range(1, min(most, n) + 1)) / n)
    return tuple(series)


def _product(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """Product of two power series, ``_TERMS`` coefficients of each."""
    return tuple(sum(map(mul, a[: n + 1], b[n::-1])) for n in range(_TERMS))


def _beta_binomial(k: int, n: int, a: float, b: float) -> float:
    return comb(n, k) * exp(_log_beta(a + k, b + n - k) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
