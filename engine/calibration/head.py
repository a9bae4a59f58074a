"""A fitted head: from evidence to an estimate, for each stage of a search and for its answer.

The states become principal components, and with the numbers a few standardised inputs. Linear
heads map these to two raw outputs, which are read as a Beta distribution of the success probability: the
logit of its mean, and the log of its concentration over ``PRIOR_KAPPA``. A calibration has a model for each
stage; the generator's state behind a question tells how far it is from those that were fitted, and out of
distribution intervals grow with the distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..answers.choosing import FinishedSearch
from ..answers.program import executed_answer
from ..ports import Prefix, QuestionEstimate
from ..types import Estimate, Mode
from .features import (
    FINISHED,
    QUESTION,
    Observation,
    Stage,
    States,
    answer_observation,
    observe,
)
from .posterior import Array, beta_quantiles, logit, sigmoid

_MIN_VARIANCE = 1e-8
_CLIP = 4.0
"""Standard deviations at which a component is clipped."""

_TEMPERING = 0.25
"""Tempering of the components that a head reads (``Projection.fit``); 0 and .5 are worse on the 1.5b."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """An affine map of states to standardised principal components, each scaled by its prior size.

    Attributes:
        matrix: ``[width, components]``, rounded to half precision, which an artefact keeps it in.
        bias: ``[components]``.
        size: ``[components]``, 1 for the largest, less for smaller ones.
    """

    matrix: States
    bias: Array
    size: Array

    @classmethod
    def fit(cls, states: States, weight: Array, components: int, tempering: float = 0.0) -> Projection:
        """Components of weighted ``[n, width]`` states; label-free.

        ``tempering`` is the power of its share of variance that a component keeps as its size. Whitening (0)
        trusts the smallest as much as the largest; plain components (.5) nearly ignore the small ones. Under
        weight decay the size is the prior.
        """
        x = states.astype(np.float64)
        mean = weight @ x / weight.sum()
        x -= mean
        covariance = (x * (weight / weight.sum())[:, None]).T @ x
        values, vectors = np.linalg.eigh(covariance)
        top = np.argsort(values)[::-1][:components]
        values = np.maximum(values[top], _MIN_VARIANCE)
        # The solver chooses a component's sign: it is fixed here, so that machines agree.
        vectors = vectors[:, top]
        vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(top))])
        # A direction without variance (few questions, or all the same) carries no information.
        matrix = np.where(values > _MIN_VARIANCE, vectors / np.sqrt(values), 0.0)
        matrix = matrix.astype(np.float16).astype(np.float32)
        return cls(matrix, -(mean @ matrix), (values / values[0]) ** tempering)

    def __call__(self, states: States) -> Array:
        """``[n, components]``."""
        z: Array = (states @ self.matrix).astype(np.float64) + self.bias
        return z.clip(-_CLIP, _CLIP) * self.size


PRIOR_KAPPA = 8.0
"""Concentration that a head starts from, and stays at where counts say nothing (arXiv 2605.15529)."""

OUTPUTS = 2

_SPAN = 4.0

Params = tuple[Array, Array]
"""Weights ``[features, OUTPUTS]`` and constants ``[OUTPUTS]``."""


def beta_loss(out: Array, right: Array, total: Array) -> tuple[Array, Array]:
    """Negative Beta-binomial likelihood of counts (BetaPRM, arXiv 2605.15529).

    One outcome teaches the mean alone; several from one prefix teach how far its probability may lie from it.

    Args:
        out: ``[n, OUTPUTS]`` raw outputs.
        right: ``[n]`` correct outcomes.
        total: ``[n]`` outcomes, at least one each.

    Returns:
        ``[n]`` losses and ``[n, OUTPUTS]`` gradients.
    """
    mean, kappa = _read(out)
    alpha, beta = mean * kappa, (1 - mean) * kappa
    loss = np.zeros_like(mean)
    d_alpha, d_beta, d_kappa = np.zeros_like(mean), np.zeros_like(mean), np.zeros_like(mean)
    for i in range(int(total.max())):
        for seen, value, slope, sign in (
            (right, alpha, d_alpha, -1.0),
            (total - right, beta, d_beta, -1.0),
            (total, kappa, d_kappa, 1.0),
        ):
            counts = seen > i
            loss = loss + sign * counts * np.log(value + i)
            slope += sign * counts / (value + i)
    d_mean = kappa * (d_alpha - d_beta)
    d_log_kappa = kappa * (mean * d_alpha + (1 - mean) * d_beta + d_kappa)
    d_log_kappa *= np.abs(out[:, 1]) < _SPAN
    return loss, np.column_stack([d_mean * mean * (1 - mean), d_log_kappa])


def quantiles_of(out: Array) -> Array:
    """``[n, 3]`` lower, mean and upper of ``[n, OUTPUTS]`` raw outputs.

    The mean stands in for the median, as it is what outcomes are compared with; no bound lies across it.
    """
    mean, kappa = _read(out)
    lower, _, upper = beta_quantiles(mean * kappa, (1 - mean) * kappa).T
    return np.column_stack([np.minimum(lower, mean), mean, np.maximum(upper, mean)])


def _read(out: Array) -> tuple[Array, Array]:
    """``[n]`` means and concentrations."""
    mean = np.clip(sigmoid(out[:, 0]), 1e-5, 1 - 1e-5)
    return mean, PRIOR_KAPPA * np.exp(np.clip(out[:, 1], -_SPAN, _SPAN))


def forward(params: Params, x: Array) -> Array:
    """``[n, OUTPUTS]`` raw outputs of ``[n, features]`` inputs."""
    weights, constants = params
    return x @ weights + constants


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """An ensemble of heads over one standardised row of inputs per prefix; their raw outputs are averaged.

    Attributes:
        names: Numbers that are read.
        moments: ``[4, numbers]``, the mean and the scale of each, and the range that was fitted: a small head
            must not extrapolate, say to sixteen equal answers from four.
        states: Projection of each block of states that is read, by its name.
        weights: ``[heads, inputs, OUTPUTS]``.
        constants: ``[heads, OUTPUTS]``.
    """

    names: tuple[str, ...]
    moments: Array
    states: Mapping[str, Projection]
    weights: Array
    constants: Array

    @classmethod
    def over(cls, observations: Sequence[Observation], weight: Array, components: int) -> HeadModel:
        """A model without heads of what observations have, standardised by weighted moments.

        States are read where ``components`` is not 0.
        """
        names, read = tuple(observations[0].numbers), observations[0].states if components else ()
        numbers, w = _numbers(observations, names), weight / weight.sum()
        mean = w @ numbers
        deviation = np.sqrt(w @ (numbers - mean) ** 2)
        # A number that was constant in fitting (say no step was ever cut off) must have no effect later.
        scale = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0)
        moments = np.stack([mean, scale, numbers.min(axis=0), numbers.max(axis=0)])
        states = {
            name: Projection.fit(stack_states(observations, name), weight, components, _TEMPERING)
            for name in read
        }
        return cls(names, moments, states, np.empty((0, 0, OUTPUTS)), np.empty((0, OUTPUTS)))

    @classmethod
    def constant(cls, rate: float) -> HeadModel:
        """A model that knows a base rate and reads nothing; its interval is wide (a concentration of 1)."""
        constants = np.array([[logit(np.array(rate)), -np.log(PRIOR_KAPPA)]])
        return cls((), np.empty((4, 0)), {}, np.empty((1, 0, OUTPUTS)), constants)

    def inputs(self, observations: Sequence[Observation]) -> Array:
        """``[n, numbers + blocks * components]``."""
        mean, scale, low, high = self.moments
        numbers = (_numbers(observations, self.names).clip(low, high) - mean) * scale
        parts = [project(stack_states(observations, name)) for name, project in self.states.items()]
        return np.concatenate([numbers, *parts], axis=1)

    def quantiles(self, observations: Sequence[Observation]) -> Array:
        """``[n, 3]`` lower, median and upper, in [0, 1] and in order."""
        if not observations:
            return np.empty((0, 3))
        x = self.inputs(observations)
        heads = zip(self.weights, self.constants, strict=True)
        out: Array = np.mean([forward(params, x) for params in heads], axis=0)
        out[:, 0] += [each.offset for each in observations]
        return quantiles_of(out)

    def estimate(self, found: Observation) -> Estimate:
        """The estimate of one prefix or answer."""
        return Estimate.of_quantiles(self.quantiles([found])[0])


def _numbers(observations: Sequence[Observation], names: Sequence[str]) -> Array:
    return np.array([[each.numbers[name] for name in names] for each in observations], float)


def stack_states(observations: Sequence[Observation], name: str) -> States:
    """``[n, width]`` states of this name."""
    return np.array([each.states[name] for each in observations], np.float32)


_COMPONENTS = 16
_QUESTIONS_PER_COMPONENT = 10
"""With fewer, the fitted questions lie closer to their own centre than any new one does."""
_SHARE = 0.99
"""Share of the fitted questions whose distance is at most 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Distance of a question from the fitted ones, over a threshold that 99 % of them keep.

    Attributes:
        projection: Maps states to standardised components.
        threshold: Root mean square component.
    """

    projection: Projection
    threshold: float

    @classmethod
    def fit(cls, states: States) -> Domain:
        """The domain of ``[questions, width]`` states."""
        components = max(1, min(_COMPONENTS, len(states) // _QUESTIONS_PER_COMPONENT))
        projection = Projection.fit(states, np.full(len(states), 1 / len(states)), components)
        distance = cls(projection, 1.0).distance(states)
        # Questions that all look the same would make everything else infinitely far.
        return cls(projection, max(float(np.quantile(distance, _SHARE, method="higher")), 1e-3))

    def distance(self, states: States) -> Array:
        """``[n]`` distances; above 1 is out of distribution."""
        distances: Array = np.sqrt((self.projection(states) ** 2).mean(axis=1)) / self.threshold
        return distances


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Models that were fitted on the generator itself; without one the posterior has votes and words alone.

    Attributes:
        stages: Model of each stage of its modes.
        answer: Model of a finished search's chosen answer.
        domains: Domain of the questions in each mode.
        spreads: Concentration of the wrong answers of each mode.
    """

    stages: Mapping[Stage, HeadModel]
    answer: HeadModel
    domains: Mapping[Mode, Domain]
    spreads: Mapping[Mode, float]

    @property
    def width(self) -> int:
        """Width of the states that it knows a question by."""
        return len(next(iter(self.domains.values())).projection.matrix)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that it knows."""
        return tuple(self.domains)

    def question(self, prefix: Prefix) -> QuestionEstimate:
        """Estimate for a question of which nothing is written yet."""
        assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
        found, distance = Observation({}, {"question": prefix.prompt.last}), self.distance(prefix)
        estimate = self.stages[QUESTION[prefix.mode]].estimate(found)
        return QuestionEstimate(widen(estimate, distance), distance > 1.0)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for a prefix with steps; a finished one has its own model."""
        is_unfinished = prefix.mode == "prose" and prefix.steps[-1].finish == "step"
        stage: Stage = "step" if is_unfinished else FINISHED[prefix.mode]
        answer = executed_answer(prefix.execution) if prefix.execution else None
        found = observe(prefix, reward, answer)
        return widen(self.stages[stage].estimate(found), self.distance(prefix))

    def of_answer(self, prefix: Prefix, finished: FinishedSearch) -> Estimate:
        """Estimate for the chosen answer."""
        return widen(self.answer.estimate(answer_observation(finished, self.spreads)), self.distance(prefix))

    def distance(self, prefix: Prefix) -> float:
        """Distance of the question from the fitted ones; above 1 is out of distribution."""
        assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
        return float(self.domains[prefix.mode].distance(prefix.prompt.last[None])[0])


def widen(estimate: Estimate, distance: float) -> Estimate:
    """Stretch the interval around the median, on the logit scale, for a question out of distribution."""
    if distance <= 1.0:
        return estimate
    low, middle, high = logit(np.array([estimate.lower, estimate.median, estimate.upper]))
    stretched = sigmoid(np.array([middle + distance * (low - middle), middle + distance * (high - middle)]))
    # ``logit`` clips near 0 and 1, so a bound that is already there would come back narrower.
    lower, upper = min(float(stretched[0]), estimate.lower), max(float(stretched[1]), estimate.upper)
    return Estimate(lower, estimate.median, upper, estimate.calibrated)
