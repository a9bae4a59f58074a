"""A small head in numpy: a linear map and, if wanted, a hidden layer beside it; docs/LOG.md has what won."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .logits import Array, logit
from .losses import Loss

Params = list[Array]
"""``[features, hidden]``, ``[hidden]``, ``[hidden, outputs]``, ``[features, outputs]``, ``[outputs]``."""


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """How a head is fitted.

    Attributes:
        hidden: Units of the hidden layer; 0 for a linear head.
        components, tempering: Of the states (``Projection.fit``).
        decay: Prior precision of a weight, in questions: it fades as there are more of them.
        folds: Heads of the ensemble, each fitted without one fold of the questions.
        steps, rate: Of Adam, on all rows at once.
    """

    hidden: int = 0
    components: int = 64
    tempering: float = 0.25
    decay: float = 10.0
    folds: int = 5
    steps: int = 400
    rate: float = 0.02


def forward(params: Params, x: Array) -> tuple[Array, Array]:
    """``[n, hidden]`` activations and ``[n, outputs]`` raw outputs: a linear map plus a hidden layer."""
    w1, b1, w2, linear, bias = params
    hidden = np.tanh(x @ w1 + b1)
    return hidden, hidden @ w2 + x @ linear + bias


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a head is fitted on.

    Attributes:
        x: ``[n, features]``, about standardised.
        right: ``[n]`` right outcomes.
        total: ``[n]`` outcomes.
        weight: ``[n]``, summing to the number of questions.
        offset: ``[n]``, added to the first output.
    """

    x: Array
    right: Array
    total: Array
    weight: Array
    offset: Array

    def take(self, rows: NDArray[np.bool_]) -> Rows:
        """Some of them."""
        return Rows(self.x[rows], self.right[rows], self.total[rows], self.weight[rows], self.offset[rows])


def fit(rows: Rows, loss: Loss, config: HeadConfig, seed: int) -> Params:
    """Minimise the weighted loss plus decay by Adam (Kingma and Ba, arXiv 1412.6980).

    Args:
        rows: Inputs and outcomes.
        loss: Of the outputs.
        config: Sizes and step lengths.
        seed: Of the first weights.
    """
    rng = np.random.default_rng(seed)
    features = rows.x.shape[1]
    params: Params = [
        rng.standard_normal((features, config.hidden)) / np.sqrt(features),
        np.zeros(config.hidden),
        np.zeros((config.hidden, loss.outputs)),
        np.zeros((features, loss.outputs)),
        np.zeros(loss.outputs),
    ]
    questions = rows.weight.sum()
    # The constant starts at the base rate: steps are short, and it may lie far out.
    params[4][0] = logit((rows.weight @ (rows.right / rows.total) + 0.5) / (questions + 1))
    decay = config.decay / questions
    decays = [decay, 0.0, decay, decay, decay * loss.shrunk]
    rows = replace(rows, weight=rows.weight / questions)
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    for step in range(1, config.steps + 1):
        gradients = _gradients(params, rows, loss)
        rate = config.rate * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        for i, gradient in enumerate(gradients):
            gradient = gradient + decays[i] * params[i]
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.99 * second[i] + 0.01 * gradient**2
            scale = np.sqrt(second[i] / (1 - 0.99**step)) + 1e-8
            params[i] = params[i] - rate * first[i] / (1 - 0.9**step) / scale
    return params


def _gradients(params: Params, rows: Rows, loss: Loss) -> list[Array]:
    _, _, w2, _, _ = params
    hidden, out = forward(params, rows.x)
    out[:, 0] += rows.offset
    _, slope = loss(out, rows.right, rows.total)
    slope = slope * rows.weight[:, None]
    back = (slope @ w2.T) * (1 - hidden**2)
    return [rows.x.T @ back, back.sum(axis=0), hidden.T @ slope, rows.x.T @ slope, slope.sum(axis=0)]


def folds_of(question: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """``[n]`` fold of each row; all rows of a question share one."""
    names, index = np.unique(question, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % folds)[index]
