"""A fitted head: from evidence to an estimate, for each stage of a search and for its answer.

The states become principal components, and with the numbers a few standardised inputs. Linear
heads map these to two raw outputs, which are read as a Beta distribution of the success probability: the
logit of its mean, and the log of its concentration over ``PRIOR_KAPPA``. A calibration has a model for each
stage. By the generator's state behind a question it measures the distance from the fitted questions; a search
that is out of distribution does without the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..answers.choosing import FinishedSearch
from ..ports import Prefix
from ..types import Estimate, Mode
from .features import QUESTION_STAGES, Observation, Stage, States, answer_observation, observe, stage_of
from .posterior import Array, beta_quantiles, sigmoid

_MIN_VARIANCE = 1e-8
_CLIP = 4.0
"""Standard deviations at which a component is clipped."""

_COMPONENTS = 64
"""Principal components of each block of states that a head reads."""

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
"""Concentration at the start of a fit, and its result without evidence (arXiv 2605.15529)."""

_SPAN = 4.0
"""Bound of the logarithm of a concentration over ``PRIOR_KAPPA``."""


def quantiles_of(logits: Array, widths: Array) -> Array:
    """``[n, 3]`` lower, mean and upper of ``[n]`` logits of means, and logarithms of concentrations.

    The mean stands in for the median, as it is what outcomes are compared with; no bound lies across it.
    """
    mean = np.clip(sigmoid(logits), 1e-5, 1 - 1e-5)
    kappa = PRIOR_KAPPA * np.exp(np.clip(widths, -_SPAN, _SPAN))
    lower, _, upper = beta_quantiles(mean * kappa, (1 - mean) * kappa).T
    return np.column_stack([np.minimum(lower, mean), mean, np.maximum(upper, mean)])


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """An ensemble of heads over one standardised row of inputs per prefix; their raw outputs are averaged.

    Attributes:
        names: Numbers that are read.
        moments: ``[4, numbers]``, the mean and the scale of each, and the range that was fitted: a small head
            must not extrapolate, say to sixteen equal answers from four.
        states: Projection of each block of states that is read, by its name.
        weights: ``[heads, inputs, 2]``, for the logit of the mean and the logarithm of the concentration.
        constants: ``[heads, 2]``.
    """

    names: tuple[str, ...]
    moments: Array
    states: Mapping[str, Projection]
    weights: Array
    constants: Array

    @classmethod
    def over(cls, observations: Sequence[Observation], weight: Array) -> HeadModel:
        """A model without heads of what observations have, standardised by weighted moments."""
        names = tuple(observations[0].numbers)
        numbers, w = _numbers(observations, names), weight / weight.sum()
        mean = w @ numbers
        deviation = np.sqrt(w @ (numbers - mean) ** 2)
        # A number that was constant in fitting (say no step was ever cut off) must have no effect later.
        scale = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0)
        moments = np.stack([mean, scale, numbers.min(axis=0), numbers.max(axis=0)])
        states = {
            name: Projection.fit(stack_states(observations, name), weight, _COMPONENTS, _TEMPERING)
            for name in observations[0].states
        }
        return cls(names, moments, states, np.empty((0, 0, 2)), np.empty((0, 2)))

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
        out = self.inputs(observations) @ self.weights.mean(axis=0) + self.constants.mean(axis=0)
        return quantiles_of(out[:, 0] + [each.offset for each in observations], out[:, 1])

    def estimate(self, observation: Observation) -> Estimate:
        """The estimate of one prefix or answer."""
        return Estimate.of_quantiles(self.quantiles([observation])[0])


def _numbers(observations: Sequence[Observation], names: Sequence[str]) -> Array:
    return np.array([[each.numbers[name] for name in names] for each in observations], float)


def stack_states(observations: Sequence[Observation], name: str) -> States:
    """``[n, width]`` states of this name."""
    return np.array([each.states[name] for each in observations], np.float32)


_OF_A_QUESTION = 16
_QUESTIONS_PER_COMPONENT = 10
"""With fewer, the fitted questions lie closer to their own centre than any new one does."""
_SHARE = 0.99
"""Share of the fitted questions whose distance is at most 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """The questions that were fitted in one mode.

    Attributes:
        projection: Maps states behind a question to standardised components.
        threshold: Root mean square component that 99 % of the fitted questions keep.
        spread: Concentration of wrong answers.
    """

    projection: Projection
    threshold: float
    spread: float

    @classmethod
    def fit(cls, states: States, spread: float) -> Domain:
        """The domain of ``[questions, width]`` states."""
        components = max(1, min(_OF_A_QUESTION, len(states) // _QUESTIONS_PER_COMPONENT))
        projection = Projection.fit(states, np.full(len(states), 1 / len(states)), components)
        distance = cls(projection, 1.0, spread).distance(states)
        # Questions that all look the same would make everything else infinitely far.
        return cls(projection, max(float(np.quantile(distance, _SHARE, method="higher")), 1e-3), spread)

    def distance(self, states: States) -> Array:
        """``[n]`` distances from the fitted questions; above 1 is out of distribution."""
        distances: Array = np.sqrt((self.projection(states) ** 2).mean(axis=1)) / self.threshold
        return distances


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Models that were fitted on the generator itself; without one the posterior has votes and words alone.

    Attributes:
        models: Model of each stage of its modes, and of an answer.
        domains: The fitted questions of each mode.
    """

    models: Mapping[Stage, HeadModel]
    domains: Mapping[Mode, Domain]

    @property
    def width(self) -> int:
        """Width of the hidden states behind a question."""
        return len(next(iter(self.domains.values())).projection.matrix)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The fitted modes."""
        return tuple(self.domains)

    @property
    def spreads(self) -> Mapping[Mode, float]:
        """Concentration of the wrong answers of each mode."""
        return {mode: domain.spread for mode, domain in self.domains.items()}

    def question(self, prefix: Prefix) -> Estimate:
        """Estimate for a question before its first solution."""
        assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
        observation = Observation({}, {"question": prefix.prompt.last})
        return self.models[QUESTION_STAGES[prefix.mode]].estimate(observation)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Estimate for a prefix with steps; a finished one has its own model."""
        return self.models[stage_of(prefix)].estimate(observe(prefix, reward))

    def of_answer(self, finished: FinishedSearch) -> Estimate:
        """Estimate for the chosen answer."""
        return self.models["answer"].estimate(answer_observation(finished, self.spreads))

    def distance(self, prefix: Prefix) -> float:
        """Distance of the question from the fitted ones; above 1 is out of distribution."""
        assert prefix.prompt is not None, "the generator's state behind the prompt was not kept"
        return float(self.domains[prefix.mode].distance(prefix.prompt.last[None])[0])
