"""Maps of evidence to quantiles: a head on the generator's states, or a map of the raw reward alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import Method, head
from .features import SCALARS, Array, Evidence, logit, sigmoid
from .head import PRIOR_KAPPA, BetaLoss, Loss, PinballLoss, mean_and_bounds
from .metrics import Predictions, count_groups
from .projection import Inputs, Projection

Arrays = Mapping[str, NDArray[np.floating[Any]]]

_SCALARS = ("mean", "scale", "low", "high")
_HEAD = ("head.3", "head.4")
"""Weights and constants. Older files have ``head.0`` to ``head.2`` as well, a hidden layer without units."""
_FEW = 2.0
"""Questions that are added to both outcomes of a model, so that no single solution weighs more than a few."""

_REWARD = SCALARS["step"].index("reward")
_LOSSES: Mapping[str, Loss] = {"beta": BetaLoss(), "quantile": PinballLoss()}


@dataclass(frozen=True, slots=True, eq=False)
class StageData:
    """Prefixes of one stage with their outcomes.

    Attributes:
        evidence: Of ``n`` prefixes.
        question: ``[n]`` index of each prefix's question.
        right, total: ``[n]`` outcomes.
        independent: ``[n]``, rows whose outcomes may be counted together; None for all.
        importance: ``[n]``, how much a row weighs beside others of its question; None for all alike.
    """

    evidence: Evidence
    question: NDArray[np.int64]
    right: Array
    total: Array
    independent: NDArray[np.bool_] | None = None
    importance: Array | None = None

    def take(self, rows: NDArray[np.bool_]) -> StageData:
        """The prefixes of these rows."""
        states = tuple(s[rows] for s in self.evidence.states)
        logits = (self.evidence.offset, self.evidence.most)
        offset, most = (np.broadcast_to(each, len(rows))[rows] for each in logits)
        evidence = Evidence(self.evidence.scalars[rows], states, offset, most)
        independent = None if self.independent is None else self.independent[rows]
        importance = None if self.importance is None else self.importance[rows]
        right, total = self.right[rows], self.total[rows]
        return StageData(evidence, self.question[rows], right, total, independent, importance)

    def weight(self) -> Array:
        """``[n]``, summing to one for every question where all rows are of the same importance."""
        _, index, counts = np.unique(self.question, return_inverse=True, return_counts=True)
        weights: Array = 1.0 / counts[index]
        return weights if self.importance is None else weights * self.importance

    def at_even_odds(self, models: NDArray[np.int64]) -> StageData:
        """The same rows, weighted so that all models count alike, and right outcomes of each like wrong ones.

        A head that is fitted on them learns what the evidence says, and not how often its models were right.

        Args:
            models: ``[questions]``, the model that drew each.
        """
        alone = replace(self, importance=None)
        model, weight, rate = models[self.question], alone.weight(), self.right / self.total
        right, wrong = (np.bincount(model, weight * share) + _FEW for share in (rate, 1 - rate))
        each = weight.sum() / len(np.unique(model)) / 2
        return replace(self, importance=(rate / right[model] + (1 - rate) / wrong[model]) * each)

    def predictions(self, quantiles: Array) -> Predictions:
        """``[n, 3]`` estimates beside the outcomes."""
        return Predictions(self.question, quantiles, self.right, self.total, independent=self.independent)


class StageModel(Protocol):
    """A fitted map of one stage."""

    @property
    def features(self) -> int:
        """Scalars that it reads, the first ones of those that there are."""

    def quantiles(self, evidence: Evidence) -> Array:
        """``[n, 3]`` lower, median and upper, in [0, 1] and in order."""

    def arrays(self) -> Arrays:
        """All its parameters by name, for an artefact."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """An ensemble of small heads over one set of inputs; their raw outputs are averaged.

    Attributes:
        inputs: Shared by all heads.
        ensemble: Parameters of each head.
        method: ``beta`` or ``quantile``: how outputs become quantiles.
    """

    inputs: Inputs
    ensemble: tuple[head.Params, ...]
    method: str

    @property
    def features(self) -> int:
        """See ``StageModel``."""
        return len(self.inputs.mean)

    def quantiles(self, evidence: Evidence) -> Array:
        """See ``StageModel``."""
        x = self.inputs(evidence)
        out: Array = np.mean([head.forward(params, x) for params in self.ensemble], axis=0)
        out[:, 0] = np.minimum(out[:, 0] + evidence.offset, evidence.most)
        return _LOSSES[self.method].quantiles(out)

    def arrays(self) -> Arrays:
        """See ``StageModel``."""
        arrays: dict[str, NDArray[np.floating[Any]]] = {
            f"scalar_{name}": getattr(self.inputs, name) for name in _SCALARS
        }
        for i, projection in enumerate(self.inputs.projections):
            arrays[f"projection.{i}.matrix"] = projection.matrix
            arrays[f"projection.{i}.bias"] = projection.bias
            arrays[f"projection.{i}.size"] = projection.size
        for name, part in zip(_HEAD, zip(*self.ensemble, strict=True), strict=True):
            arrays[name] = np.stack(part)
        return arrays

    @classmethod
    def of(cls, arrays: Arrays, method: str) -> HeadModel:
        """The inverse of ``arrays``.

        Raises:
            LookupError, ValueError: they are not those of a model.
        """
        blocks = sum(name.endswith(".matrix") for name in arrays)
        projections = tuple(
            Projection(
                arrays[f"projection.{i}.matrix"].astype(np.float32),
                arrays[f"projection.{i}.bias"].astype(np.float64),
                arrays[f"projection.{i}.size"].astype(np.float64),
            )
            for i in range(blocks)
        )
        if "head.0" in arrays and arrays["head.0"].size:
            raise ValueError("a linear head")
        weights, constants = (arrays[name].astype(np.float64) for name in _HEAD)
        ensemble = tuple(zip(weights, constants, strict=True))
        if not ensemble:
            raise ValueError(f"{_HEAD[0]} has no member")
        scalars = {name: arrays[f"scalar_{name}"].astype(np.float64) for name in _SCALARS}
        return cls(Inputs(projections, **scalars), ensemble, method)


@dataclass(frozen=True, slots=True, eq=False)
class RewardMap:
    """A monotone map of the raw reward, and one concentration around it.

    Attributes:
        knots: ``[k]`` logits of rewards, ascending.
        values: ``[k]`` probabilities; straight lines between, constant beyond.
        kappa: ``[1]`` concentration of the Beta whose 10 and 90 % quantiles are lower and upper.
    """

    knots: Array
    values: Array
    kappa: Array

    @property
    def features(self) -> int:
        """The reward alone."""
        return 1

    def quantiles(self, evidence: Evidence) -> Array:
        """See ``StageModel``."""
        return mean_and_bounds(sigmoid(_logits_of_map(evidence, self.knots, self.values)), self.kappa)

    def arrays(self) -> Arrays:
        """See ``StageModel``."""
        return {"knots": self.knots, "values": self.values, "kappa": self.kappa}

    @classmethod
    def of(cls, arrays: Arrays) -> RewardMap:
        """The inverse of ``arrays``."""
        return cls(*(arrays[name].astype(np.float64) for name in ("knots", "values", "kappa")))


def reward_logits(evidence: Evidence) -> Array:
    """``[n]`` logits of the raw rewards; zeros for questions, where nothing is written yet."""
    has = evidence.scalars.shape[1] > _REWARD
    return evidence.scalars[:, _REWARD] if has else np.zeros(len(evidence))


def _logits_of_map(evidence: Evidence, knots: Array, values: Array) -> Array:
    """``[n]`` logits of a map of the reward, offsets added, as far as they may go."""
    mean = np.clip(np.interp(reward_logits(evidence), knots, values), 1e-5, 1 - 1e-5)
    return np.minimum(logit(mean) + evidence.offset, evidence.most)


def fit_model(
    data: StageData,
    method: Method,
    config: head.HeadConfig,
    seed: int,
    base_rate: float = 0.5,
    models: NDArray[np.int64] | None = None,
) -> tuple[StageModel, Array]:
    """Fit one stage.

    Args:
        data: Its prefixes.
        method: A head, or a map of the reward.
        config: Of the heads.
        seed: Of the folds.
        base_rate: Estimate where fewer than two questions have such prefixes: a generator that answers in one
            step has no unfinished prefixes.
        models: ``[questions]``, the model that drew each, so that no base rate counts (``at_even_odds``);
            None where that of the one model does. Several that have such prefixes are held out one after
            the other; of one, ``config.folds`` of its questions at random.

    Returns:
        The model, and ``[n, 3]`` estimates of each prefix by models that never saw its question.
    """
    if len(np.unique(data.question)) < 2:
        constant = RewardMap(np.zeros(1), np.full(1, base_rate), np.ones(1))
        return constant, constant.quantiles(data.evidence)
    own = head.folds_of(data.question, config.folds, seed)
    # A model that answers in one step has no unfinished prefixes: the stage may be of fewer models.
    if models is not None and len(drawn_by := np.unique(models[data.question])) > 1:
        own = np.searchsorted(drawn_by, models[data.question])
    if models is not None:
        data = data.at_even_odds(models)
    if method in _LOSSES:
        return _fit_head(data, method, config, own)
    held_out = np.empty((len(data.right), 3))
    for fold in np.unique(own):
        seen = own != fold
        held_out[~seen] = _fit_map(data.take(seen)).quantiles(data.take(~seen).evidence)
    return _fit_map(data), held_out


def _fit_head(
    data: StageData, method: str, config: head.HeadConfig, folds: NDArray[np.int64]
) -> tuple[HeadModel, Array]:
    weight, loss = data.weight(), _LOSSES[method]
    inputs = Inputs.fit(data.evidence, weight, config.components)
    x, ensemble = inputs(data.evidence), []
    offset = np.broadcast_to(data.evidence.offset, len(x))
    rows = head.Rows(x, data.right, data.total, weight, offset)
    out = np.empty((len(data.right), loss.outputs))
    numbers = range(int(folds.max()) + 1)
    for fold in numbers:
        seen = folds != fold
        ensemble.append(head.fit(rows.take(seen), loss, config))
        out[~seen] = head.forward(ensemble[-1], x[~seen])
    out[:, 0] += offset
    if isinstance(loss, BetaLoss):
        # A head is too sure of questions that it was fitted on: held-out questions set the width.
        shift = np.array([0.0, _log_width(out, data, config.sureness)])
        ensemble = [(weights, constants + shift) for weights, constants in ensemble]
        # The width of a fold's own estimates must not know its counts either.
        widths = [
            _log_width(out[folds != fold], data.take(folds != fold), config.sureness) for fold in numbers
        ]
        out[:, 1] += np.array(widths)[folds]
    return HeadModel(inputs, tuple(ensemble), method), loss.quantiles(out)


def _fit_map(data: StageData) -> RewardMap:
    knots, values = _isotonic(_without_offset(data))
    logits = _logits_of_map(data.evidence, knots, values)
    out = np.column_stack([logits, np.zeros(len(logits))])
    return RewardMap(knots, values, np.array([PRIOR_KAPPA * np.exp(_log_width(out, data, np.inf))]))


def _without_offset(data: StageData) -> StageData:
    """Rows with zero offset, used to fit the isotonic map; all rows if every row has an offset."""
    alone = np.broadcast_to(data.evidence.offset, len(data.right)) == 0
    return data.take(alone) if alone.any() else data


def _isotonic(data: StageData) -> tuple[Array, Array]:
    """Pool adjacent violators on the weighted rates (Ayer et al. 1955)."""
    # Equal rewards are one point before anything is compared, or the order of rows would decide.
    x, index = np.unique(reward_logits(data.evidence), return_inverse=True)
    w = np.bincount(index, data.weight())
    y = np.bincount(index, data.weight() * data.right / data.total) / w
    blocks: list[tuple[float, float, float, float]] = []  # mean, weight, first knot, last knot
    for knot, rate, weight in zip(x, y, w, strict=True):
        blocks.append((float(rate), float(weight), float(knot), float(knot)))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (m1, w1, first, _), (m2, w2, _, last) = blocks.pop(-2), blocks.pop()
            blocks.append(((m1 * w1 + m2 * w2) / (w1 + w2), w1 + w2, first, last))
    knots = np.array([k for block in blocks for k in block[2:]])
    return knots, np.repeat([block[0] for block in blocks], 2)


def _log_width(out: Array, data: StageData, most: float) -> float:
    """Shift of the log concentrations that makes the grouped counts most likely, given the means.

    The mean log concentration is shifted to ``most`` at most.
    """
    groups = count_groups(data.question, data.total, data.independent)
    if not len(groups.rows):
        return 0.0
    w = data.weight()
    limit = most - float(w @ out[:, 1] / w.sum())
    loss, w = BetaLoss(), groups.weights(w)
    right, total = groups.sums(data.right), groups.sums(data.total)
    means, logs = logit(groups.mean(sigmoid(out[:, 0]))), groups.mean(out[:, 1])
    grid = np.linspace(-4, 4, 81)
    losses = [float(w @ loss(np.column_stack([means, logs + add]), right, total)[0]) for add in grid]
    return min(float(grid[int(np.argmin(losses))]), limit)
