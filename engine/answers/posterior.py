"""Posterior over the answers that a search has found, by the votes of each mode.

Each answer may be the right one, or none of them. Where one is, a trajectory gives it with a rate of its
mode, drawn from a distribution around the question's own estimate in that mode. Wrong trajectories of a mode
spread over wrong answers by a Chinese restaurant process, and two modes seldom make the same mistake. The
mean estimate of an answer's trajectories sets its odds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

from ..types import Estimate, Mode

_SAME_MISTAKE = 0.13
"""P(a wrong answer of one mode is one of the other's), of 40 fitting questions of the 1.5b at T .5."""

_EPS = 0.01
STRENGTH = 3.0
"""Weight of a value's estimate in the prior, in trajectories; 2 and 5 were no better (docs/research.md)."""

_MISS = 3.0
"""Wrong trajectories that one without an answer counts as: where runs do not end, others are wrong."""


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
        odds: Mean over them of the log-odds by which each speaks for it.
    """

    votes: Mapping[Mode, int]
    odds: float

    @property
    def total(self) -> int:
        """Trajectories of all modes."""
        return sum(self.votes.values())


def log_odds(p: float) -> float:
    """``logit(p)``, p kept .01 away from 0 and 1: no single estimate may decide alone."""
    p = min(max(p, _EPS), 1.0 - _EPS)
    return log(p / (1.0 - p))


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


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
