"""Fits how far votes are to be trusted: the level of one model, and the odds of its words.

No state of the model is read, so one behind a server can have a fit. Weights are the likeliest of a grid, by
the probability of the answers that searches would choose. They stay near the usual ones unless questions say
otherwise, so that few questions do no harm.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product, zip_longest
from math import exp
from statistics import fmean

import numpy as np

from ..answers.choosing import Candidate, FinishedSearch, choose
from ..ports import Prefix
from ..types import Problem
from .metrics import Predictions
from .posterior import Array, Posterior, VoteWeights, shifted

_LEVELS, _ODDS = np.linspace(-3, 3, 13), [*product(np.linspace(-2, 2, 9), np.linspace(-3, 3, 7))]
"""The grid, in standard deviations of weights around the usual ones: levels, and odds by their power and
neutral point."""

_LEVEL, _POWER, _NEUTRAL = 0.7, 0.5, 0.3
"""Such deviations: logits, share of the power, logarithm of the neutral point. Models of one size differ by
``OFF_THE_LINE``, questions by as much; odds that were fitted alone lie as far apart."""

_ORDERS, _FOLDS = 2, 5

_ASKED = Prefix(Problem("", ""))
"""Votes are judged whatever was asked."""


Solved = Sequence[tuple[Candidate, bool]]
"""Solutions of a question that count, and if each is right; equal answers are spelled alike."""


def fit_votes(searches: Sequence[Solved], usual: Posterior, seed: int) -> tuple[VoteWeights, Predictions]:
    """Fit the weights of a model.

    Args:
        searches: One of each question, with an answer.
        usual: The posterior without a fit.
        seed: Seed of the orders and of the folds.

    Returns:
        The weights, and estimates of answers by weights that were fitted without their questions. Where no
        likelihood is known, the odds are the usual ones, which say nothing there.
    """
    words, level = usual.votes.words, usual.prior
    assert words is not None, "a solution has odds by its words"
    assert level is not None, "every model has a level"
    levels = [shifted(level, _LEVEL * float(at)) for at in _LEVELS]
    odds = [
        replace(words, power=words.power * (1.0 + _POWER * power), neutral=words.neutral * exp(_NEUTRAL * at))
        for power, at in _ODDS
    ]
    penalty = np.add.outer(_LEVELS**2, [power**2 + at**2 for power, at in _ODDS]) / 2.0
    blind = replace(usual, votes=replace(usual.votes, words=None))

    def loss(finished: FinishedSearch, is_right: bool) -> Array:
        """``[levels, odds]`` log-loss of the answer that is chosen."""
        by_node = {each.node: each for each in finished.candidates}
        groups = [[by_node[node] for node in group.nodes] for group in finished.groups]
        evidence = [[*(fmean(map(each.of, group)) for group in groups), 0.0] for each in odds]
        votes = [blind.of_answers(_ASKED.problem, finished, each) for each in levels]
        logs = np.log(np.maximum(votes, 1e-300))[:, None] + np.array(evidence)
        p: Array = np.exp(logs[..., 0] - np.logaddexp.reduce(logs, axis=-1))
        return -np.log(np.maximum(p if is_right else 1.0 - p, 1e-3))

    rng = np.random.default_rng(seed)
    replayed = [[*_replayed(each, rng)] for each in searches]
    losses = np.array([np.mean([loss(*each) for each in own], axis=0) for own in replayed])
    folds, judged = rng.permutation(len(searches)) % _FOLDS, []
    for fold in range(_FOLDS + 1):  # the last one is empty
        total = losses[folds != fold].sum(axis=0) + penalty
        at, best = np.unravel_index(int(np.argmin(total)), total.shape)
        weights = replace(usual.votes, prior=levels[at], words=odds[best])
        judge = replace(usual, prior=weights.prior, votes=weights)
        for question in np.flatnonzero(folds == fold):
            for finished, is_right in replayed[question]:
                p = judge.judge(_ASKED, finished).confidence
                assert p is not None, "it has an answer"
                judged.append((question, p.lower, p.median, p.upper, is_right))
    data = np.array(judged, float)
    return weights, Predictions(data[:, 0].astype(int), data[:, 1:4], data[:, 4], np.ones(len(data)))


def _replayed(solved: Solved, rng: np.random.Generator) -> Iterator[tuple[FinishedSearch, bool]]:
    """Searches that end sooner, and if their answer is correct.

    Their solutions are the first ones in a random order, in which programs and prose take turns.
    """
    right = {each.node for each, is_right in solved if is_right}
    for _ in range(_ORDERS):
        order = [solved[at][0] for at in rng.permutation(len(solved))]
        turns = ([each for each in order if each.mode == mode] for mode in ("program", "prose"))
        drawn = tuple(each for turn in zip_longest(*turns) for each in turn if each is not None)
        for size in {*range(2, len(drawn), 2), len(drawn)}:
            if groups := choose(drawn[:size], "weighted", operator.eq).groups:
                yield FinishedSearch({}, drawn[:size], groups), groups[0].nodes[0] in right
