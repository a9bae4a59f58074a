"""Fits how far votes are to be trusted: the level of one model, and the odds of its words.

No state of the model is read, so one behind a server can have a fit. Weights are the likeliest of a grid, by
the probability of the answers that searches would choose. A penalty keeps them near the usual ones, so that
few questions do no harm.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product, zip_longest

import numpy as np

from ..answers.choosing import Candidate, FinishedSearch, choose
from ..ports import Prefix
from ..types import Problem
from .metrics import Predictions
from .posterior import Posterior, VoteWeights, shifted

_GRID = [*product(np.linspace(-3, 3, 13), np.linspace(-2, 2, 5))]
"""Levels, and powers of the odds, in standard deviations around the usual ones."""

_LEVEL, _POWER = 0.7, 0.5
"""Such deviations: logits, and share of the power. Models of one size differ by ``OFF_THE_LINE``, questions
by as much; odds that were fitted alone lie as far apart. Their neutral point never moved."""

_ORDERS, _FOLDS = 2, 5

_PROMPT = Prefix(Problem("", ""))
"""An empty question: the judgement of votes does not depend on it."""


Solved = Sequence[tuple[Candidate, bool]]
"""Solutions of a question that count, and if each is right; equal answers are spelled alike."""


def fit_votes(searches: Sequence[Solved], usual: Posterior, seed: int) -> tuple[VoteWeights, Predictions]:
    """Fit the weights of a model.

    Args:
        searches: One of each question, with an answer.
        usual: The posterior without a fit.
        seed: Seed of the orders and of the folds.

    Returns:
        The weights, and estimates of answers by weights that were fitted without their questions. Without
        likelihoods the odds stay the usual ones, which then have no effect.
    """
    words, level = usual.votes.words, usual.prior
    assert words is not None, "a solution has odds by its words"
    assert level is not None, "every model has a level"

    def judge(level_off: float, power_off: float) -> Posterior:
        prior = shifted(level, _LEVEL * level_off)
        own = replace(words, power=words.power * (1.0 + _POWER * power_off))
        return replace(usual, prior=prior, votes=replace(usual.votes, prior=prior, words=own))

    judges = [judge(*offs) for offs in _GRID]
    rng, losses, rows = np.random.default_rng(seed), [], []
    replays = [[*_searched(each, rng)] for each in searches]
    for own in replays:
        p = [[judge.of_answers(_PROMPT.problem, each)[0] for each, _ in own] for judge in judges]
        right = np.array([is_right for _, is_right in own])
        losses.append(-np.log(np.maximum(np.where(right, p, 1.0 - np.array(p)), 1e-3)).mean(axis=1))
    penalty = (np.array(_GRID) ** 2).sum(axis=1) / 2.0
    folds = rng.permutation(len(searches)) % _FOLDS
    for fold in range(_FOLDS + 1):  # the last one is empty
        best = judges[int(np.argmin(np.sum(np.array(losses)[folds != fold], axis=0) + penalty))]
        for question in np.flatnonzero(folds == fold):
            for finished, is_right in replays[question]:
                estimate = best.judge(_PROMPT, finished).confidence
                assert estimate is not None, "it has an answer"
                rows.append((question, estimate.lower, estimate.median, estimate.upper, is_right))
    data = np.array(rows, float)
    return best.votes, Predictions(data[:, 0].astype(int), data[:, 1:4], data[:, 4], np.ones(len(data)))


def _searched(solved: Solved, rng: np.random.Generator) -> Iterator[tuple[FinishedSearch, bool]]:
    """Searches that end sooner, and if their answer is correct."""
    right = {each.node for each, is_right in solved if is_right}
    for subset in replayed([each for each, _ in solved], rng):
        if groups := choose(subset, "weighted", operator.eq).groups:
            yield FinishedSearch({}, subset, groups), groups[0].nodes[0] in right


def replayed(solutions: Sequence[Candidate], rng: np.random.Generator) -> Iterator[tuple[Candidate, ...]]:
    """The first two, the first four and all solutions of a question in random orders.

    Programs and prose take turns.
    """
    for _ in range(_ORDERS):
        order = [solutions[at] for at in rng.permutation(len(solutions))]
        turns = ([each for each in order if each.mode == mode] for mode in ("program", "prose"))
        ordered = tuple(each for turn in zip_longest(*turns) for each in turn if each is not None)
        yield from (ordered[:size] for size in sorted({2, 4, len(ordered)}) if 1 < size <= len(ordered))
