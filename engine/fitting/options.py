"""Fits the calibration of questions with options: the ``OptionWeights`` of a kind and a model.

By maximum likelihood: the weights of the look on looks alone, those of solutions on votes in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..answers.weighing import OptionWeights, Vote
from ..types import Mode
from .metrics import Predictions

PROGRAM_MERIT = 0.6
"""``merit`` of programs, which no fitting question has: about their share of correct answers on GSM8K."""

_GRID = 24
_ROUNDS = 4
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class OptionExample:
    """A question with options whose answer is known.

    Attributes:
        look: Log-probability of each option.
        votes: Options that solutions have chosen, in the order in which these began.
        right: Index of the correct option.
    """

    look: tuple[float, ...]
    votes: tuple[Vote, ...]
    right: int


def fit_weights(examples: Sequence[OptionExample], *, leans: bool) -> OptionWeights:
    """The maximum-likelihood weights.

    Args:
        examples: The questions.
        leans: Fit ``lean`` too, because all questions have the same first option, such as yes.
    """
    merit: dict[Mode, float] = {"prose": 0.3, "program": PROGRAM_MERIT}
    weights = OptionWeights(1.0, 0.0, merit, 1.0, 0.3)
    numbers: dict[str, tuple[float, float]] = {"trust": (0.02, 4.0)}
    if leans:
        numbers["lean"] = (-3.0, 3.0)
    weights = _minimise(weights, numbers, lambda tried: _loss(tried, examples, ahead=False))
    with_votes = [each for each in examples if each.votes]
    if not with_votes:
        return weights
    numbers = {"prose": (0.01, 0.95), "habit": (0.0, 3.0), "overlap": (0.0, 3.0)}
    return _minimise(weights, numbers, lambda tried: _loss(tried, with_votes, ahead=True))


def _minimise(
    weights: OptionWeights,
    numbers: Mapping[str, tuple[float, float]],
    loss: Callable[[OptionWeights], float],
) -> OptionWeights:
    """Coordinate descent on a grid that narrows around the best value in each round."""
    for turn in range(_ROUNDS):
        for name, (low, high) in numbers.items():
            reach = (high - low) / 3.0**turn
            now = weights.merit[name] if name == "prose" else getattr(weights, name)  # type: ignore[index]
            tried = np.clip(now + np.linspace(-reach, reach, _GRID + 1), low, high)
            weights = min([weights, *(_with(weights, name, float(each)) for each in tried)], key=loss)
    return weights


def _with(weights: OptionWeights, name: str, number: float) -> OptionWeights:
    if name == "prose":
        return replace(weights, merit={**weights.merit, "prose": number})
    changed: OptionWeights = replace(weights, **{name: number})  # type: ignore[arg-type]
    return changed


def _loss(weights: OptionWeights, examples: Sequence[OptionExample], *, ahead: bool) -> float:
    """Mean negative log-probability of the correct option, before and after each vote."""
    total = 0.0
    for each in examples:
        counts = range(1, len(each.votes) + 1) if ahead else (0,)
        for votes in counts:
            p = weights.posterior(each.look, each.votes[:votes])[each.right]
            total -= math.log(p) / len(counts)
    return total / len(examples)


def predictions(weights: OptionWeights, examples: Sequence[OptionExample], *, votes: bool) -> Predictions:
    """Probabilities of the likeliest option, with or without votes, and whether it is correct."""
    return _predictions([_leading(weights, each, each.votes if votes else ()) for each in examples])


def held_out(examples: Sequence[OptionExample], *, leans: bool) -> tuple[Predictions, Predictions]:
    """Cross-validated probabilities of the likeliest option.

    Returns:
        By the looks alone, and with all votes.
    """
    order = np.random.default_rng(0).permutation(len(examples))
    looks: list[tuple[float, bool]] = [(0.0, False)] * len(examples)
    answers = [*looks]
    for fold in range(_FOLDS):
        away = set(order[fold::_FOLDS].tolist())
        weights = fit_weights([each for at, each in enumerate(examples) if at not in away], leans=leans)
        for at in away:
            looks[at] = _leading(weights, examples[at], ())
            answers[at] = _leading(weights, examples[at], examples[at].votes)
    return _predictions(looks), _predictions(answers)


def _leading(weights: OptionWeights, example: OptionExample, votes: Sequence[Vote]) -> tuple[float, bool]:
    p = weights.posterior(example.look, votes)
    return max(p), p.index(max(p)) == example.right


def _predictions(found: Sequence[tuple[float, bool]]) -> Predictions:
    p, right = np.array([each for each, _ in found]), np.array([float(each) for _, each in found])
    rows = np.arange(len(found), dtype=np.int64)
    return Predictions(rows, np.column_stack([p, p, p]), right, np.ones_like(right))
