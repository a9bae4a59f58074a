"""Fits the heads of one stage by cross-fitting: each fold of the questions is held out of one head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibration.features import Array, Evidence, Observation, logit, sigmoid
from ..calibration.head import OUTPUTS, HeadModel, Params, beta_loss, forward, quantiles_of
from ..calibration.projection import Inputs
from .metrics import Predictions, count_groups

_RATE = 0.02
"""Largest step length of Adam; it falls to zero along a half cosine."""

_SHRUNK = np.array([0.0, 0.1])
"""``[OUTPUTS]``, share of the weight decay that pulls each constant to zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One observation with its outcomes.

    Attributes:
        observation: Evidence about it.
        question: Index of its question.
        right: Number of correct outcomes.
        total: Number of outcomes.
        independent: True if its outcomes may be counted together with others (``count_groups``).
    """

    observation: Observation
    question: int
    right: float
    total: float = 1.0
    independent: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class StageData:
    """Examples of one stage as arrays.

    Attributes:
        evidence: ``n`` observations.
        question: ``[n]`` index of each one's question.
        right, total: ``[n]`` outcomes.
        independent: ``[n]``, as in ``Example``.
    """

    evidence: Evidence
    question: NDArray[np.int64]
    right: Array
    total: Array
    independent: NDArray[np.bool_]

    @classmethod
    def stack(
        cls, examples: Sequence[Example], numbers: Sequence[str], states: Sequence[str] = ()
    ) -> StageData:
        """Arrays of examples, with the named numbers and states."""
        return cls(
            Evidence.stack([each.observation for each in examples], numbers, states),
            np.array([each.question for each in examples], int),
            np.array([each.right for each in examples], float),
            np.array([each.total for each in examples], float),
            np.array([each.independent for each in examples], bool),
        )

    def weight(self) -> Array:
        """``[n]``, summing to one for every question."""
        _, index, counts = np.unique(self.question, return_inverse=True, return_counts=True)
        weight: Array = 1.0 / counts[index]
        return weight

    def folds(self, count: int, seed: int) -> NDArray[np.int64]:
        """``[n]`` fold of each row, one of ``count`` at random; all rows of a question share one."""
        names, index = np.unique(self.question, return_inverse=True)
        return (np.random.default_rng(seed).permutation(len(names)) % count)[index]

    def predictions(self, quantiles: Array) -> Predictions:
        """``[n, 3]`` estimates with the outcomes."""
        return Predictions(self.question, quantiles, self.right, self.total, independent=self.independent)


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Settings of a fit.

    Attributes:
        components: Principal components of each block of states; 0 uses no states.
        decay: Prior precision of a weight, in questions: with more of them it matters less.
        folds: Heads of the ensemble, each fitted without one fold of the questions.
        steps: Steps of Adam, on all rows at once.
    """

    components: int = 64
    decay: float = 10.0
    folds: int = 5
    steps: int = 400


def fit_stage(
    data: StageData, config: HeadConfig, seed: int, base_rate: float = 0.5
) -> tuple[HeadModel, Array]:
    """Fit one stage.

    Args:
        data: Its examples.
        config: Settings.
        seed: Seed of the folds.
        base_rate: Estimate if fewer than two questions have such prefixes, as with a model that answers in
            one step.

    Returns:
        The model, and ``[n, 3]`` held-out estimates of the rows.
    """
    if len(np.unique(data.question)) < 2:
        constant = HeadModel.constant(base_rate)
        return constant, constant.quantiles(data.evidence)
    weight, folds = data.weight(), data.folds(config.folds, seed)
    inputs = Inputs.fit(data.evidence, weight, config.components)
    x = inputs(data.evidence)
    without = [folds != fold for fold in range(int(folds.max()) + 1)]
    ensemble: list[Params] = []
    out = np.empty((len(data.right), OUTPUTS))
    for seen in without:
        ensemble.append(fit(data, x, weight, seen, config))
        out[~seen] = forward(ensemble[-1], x[~seen])
    out[:, 0] += data.evidence.offset
    # A head is too sure on questions that it was fitted on: held-out questions set the width.
    shift = np.array([0.0, _log_width(data, out, weight, np.full(len(out), True))])
    ensemble = [(weights, constants + shift) for weights, constants in ensemble]
    # The width of a fold's estimates must not depend on its own outcomes either.
    widths = [_log_width(data, out, weight, seen) for seen in without]
    out[:, 1] += np.array(widths)[folds]
    return HeadModel(inputs, tuple(ensemble)), quantiles_of(out)


def fit(data: StageData, x: Array, weight: Array, seen: NDArray[np.bool_], config: HeadConfig) -> Params:
    """Minimise the weighted loss plus decay by Adam (Kingma and Ba, arXiv 1412.6980).

    Args:
        data: Outcomes of all rows.
        x: ``[n, features]``, roughly standardised.
        weight: ``[n]``, summing to the number of questions.
        seen: ``[n]``, True for the rows to fit on.
        config: Settings.
    """
    x, right, total, offset = x[seen], data.right[seen], data.total[seen], data.evidence.offset[seen]
    weight = weight[seen]
    constants = np.zeros(OUTPUTS)
    params = np.zeros((x.shape[1], OUTPUTS)), constants
    questions = weight.sum()
    # The constant starts at the base rate, which may be far away for short steps.
    constants[0] = logit((weight @ (right / total) + 0.5) / (questions + 1))
    decays = config.decay / questions, config.decay / questions * _SHRUNK
    weight = weight / questions
    moments = [(np.zeros_like(param), np.zeros_like(param)) for param in params]
    for step in range(1, config.steps + 1):
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        out = forward(params, x)
        out[:, 0] += offset
        slope = beta_loss(out, right, total)[1] * weight[:, None]
        gradients = x.T @ slope, slope.sum(axis=0)
        for param, gradient, decay, (first, second) in zip(params, gradients, decays, moments, strict=True):
            gradient = gradient + decay * param
            first[:] = 0.9 * first + 0.1 * gradient
            second[:] = 0.99 * second + 0.01 * gradient**2
            scale = np.sqrt(second / (1 - 0.99**step)) + 1e-8
            param -= rate * first / (1 - 0.9**step) / scale
    return params


def _log_width(data: StageData, out: Array, weight: Array, seen: NDArray[np.bool_]) -> float:
    """Maximum-likelihood shift of the log concentrations on the grouped counts seen, given the means."""
    out = out[seen]
    groups = count_groups(data.question[seen], data.total[seen], data.independent[seen])
    if not len(groups.rows):
        return 0.0
    w = groups.weights(weight[seen])
    right, total = groups.sums(data.right[seen]), groups.sums(data.total[seen])
    means, logs = logit(groups.mean(sigmoid(out[:, 0]))), groups.mean(out[:, 1])
    grid = np.linspace(-4, 4, 81)
    losses = [float(w @ beta_loss(np.column_stack([means, logs + add]), right, total)[0]) for add in grid]
    return float(grid[int(np.argmin(losses))])
