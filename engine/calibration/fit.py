"""Fits a calibration on finished solutions of questions; no search needs it.

The heads of a stage are fitted by cross-fitting: each fold of the questions is held out of one head, so there
are estimates that no head has seen. From those of the stages the answer's heads learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..answers.choosing import Candidate, FinishedSearch, choose, equal_answers
from ..types import Estimate, Mode, NodeId
from .features import (
    FINISHED,
    QUESTION,
    STAGES_OF,
    Observation,
    Stage,
    answer_observation,
)
from .head import (
    OUTPUTS,
    Calibration,
    Domain,
    HeadModel,
    Params,
    beta_loss,
    forward,
    quantiles_of,
    stack_states,
)
from .metrics import Predictions, count_groups
from .posterior import SPREADS, Array, logit, seating, sigmoid

_RATE = 0.02
"""Largest step length of Adam; it falls to zero along a half cosine."""

_DECAY = 10.0
"""Prior precision of a weight, in questions: with more of them it matters less."""

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


def predictions(model: HeadModel, examples: Sequence[Example]) -> Predictions:
    """Estimates of a model for examples, with their outcomes."""
    return Predictions(
        np.array([each.question for each in examples], int),
        model.quantiles([each.observation for each in examples]),
        np.array([each.right for each in examples], float),
        np.array([each.total for each in examples], float),
        independent=np.array([each.independent for each in examples], bool),
    )


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Settings of a fit.

    Attributes:
        components: Principal components of each block of states; 0 uses no states.
        folds: Heads of the ensemble, each fitted without one fold of the questions.
        steps: Steps of Adam, on all rows at once.
    """

    components: int = 64
    folds: int = 5
    steps: int = 400


def fit_stage(
    examples: Sequence[Example], config: HeadConfig, seed: int, base_rate: float = 0.5
) -> tuple[HeadModel, Predictions]:
    """Fit one stage.

    Args:
        examples: Its examples, all with the same numbers and states.
        config: Settings.
        seed: Seed of the folds; all examples of a question share one.
        base_rate: Estimate if fewer than two questions have such prefixes, as with a model that answers in
            one step.

    Returns:
        The model, and held-out estimates of the examples.
    """
    constant = HeadModel.constant(base_rate)
    data, observations = predictions(constant, examples), [each.observation for each in examples]
    names, index, counts = np.unique(data.question, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return constant, data
    weight = 1.0 / counts[index]
    folds = (np.random.default_rng(seed).permutation(len(names)) % config.folds)[index]
    model = HeadModel.over(observations, weight, config.components)
    x, offset = model.inputs(observations), np.array([each.offset for each in observations])
    without = [folds != fold for fold in range(int(folds.max()) + 1)]
    ensemble: list[Params] = []
    out = np.empty((len(data.right), OUTPUTS))
    for seen in without:
        ensemble.append(fit(data, x, offset, weight, seen, config))
        out[~seen] = forward(ensemble[-1], x[~seen])
    out[:, 0] += offset
    # A head is too sure on questions that it was fitted on: held-out questions set the width.
    shift = np.array([0.0, _log_width(data, out, weight, np.full(len(out), True))])
    weights, constants = (np.stack(part) for part in zip(*ensemble, strict=True))
    # The width of a fold's estimates must not depend on its own outcomes either.
    widths = [_log_width(data, out, weight, seen) for seen in without]
    out[:, 1] += np.array(widths)[folds]
    model = replace(model, weights=weights, constants=constants + shift)
    return model, replace(data, quantiles=quantiles_of(out))


def fit(
    data: Predictions, x: Array, offset: Array, weight: Array, seen: NDArray[np.bool_], config: HeadConfig
) -> Params:
    """Minimise the weighted loss plus decay by Adam (Kingma and Ba, arXiv 1412.6980).

    Args:
        data: Outcomes of all rows.
        x: ``[n, features]``, roughly standardised.
        offset: ``[n]`` logits that are added.
        weight: ``[n]``, summing to the number of questions.
        seen: ``[n]``, True for the rows to fit on.
        config: Settings.
    """
    right, total = data.right[seen], data.total[seen]
    x, offset, weight = x[seen], offset[seen], weight[seen]
    constants = np.zeros(OUTPUTS)
    params = np.zeros((x.shape[1], OUTPUTS)), constants
    questions = weight.sum()
    # The constant starts at the base rate, which may be far away for short steps.
    constants[0] = logit((weight @ (right / total) + 0.5) / (questions + 1))
    decays = _DECAY / questions, _DECAY / questions * _SHRUNK
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


def _log_width(data: Predictions, out: Array, weight: Array, seen: NDArray[np.bool_]) -> float:
    """Maximum-likelihood shift of the log concentrations on the grouped counts seen, given the means."""
    raw = np.column_stack([sigmoid(out[:, 0]), out[:, 1]])
    independent = None if data.independent is None else data.independent[seen]
    groups = count_groups(
        Predictions(
            data.question[seen], raw[seen], data.right[seen], data.total[seen], weight[seen], independent
        )
    )
    if not len(groups.right):
        return 0.0
    assert groups.weight is not None, "groups have weights"
    means, logs = groups.quantiles.T
    grid = np.linspace(-4, 4, 81)
    outs = (np.column_stack([logit(means), logs + add]) for add in grid)
    losses = [float(groups.weight @ beta_loss(each, groups.right, groups.total)[0]) for each in outs]
    return float(grid[int(np.argmin(losses))])


_SUBSETS = 4
"""Searches of each size that are replayed from the solutions of one question."""

_SPREADS = np.geomspace(0.5, 50.0, 81)

_PRIOR_PAIRS = 10.0
"""Pseudo-pairs of wrong solutions that agree at the mode's default rate."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An independent finished solution.

    Attributes:
        row: Its row among the finished solutions of its mode.
        answer: Its answer, if it has one.
        right: 1 if it is correct, or 0.
        mode: How it reasons.
    """

    row: int
    answer: str | None
    right: float
    mode: Mode = "prose"


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Data to fit a calibration on.

    Attributes:
        stages: Examples of each stage; in the question stages, the i-th is of question i.
        samples: Finished solutions of each question, from which searches are replayed.
    """

    stages: Mapping[Stage, Sequence[Example]]
    samples: Sequence[Sequence[Sample]]


def fit_calibration(
    training: Training, config: HeadConfig, seed: int
) -> tuple[Calibration, dict[str, Predictions]]:
    """Fit all stages and domains, and the answer on the held-out estimates of the stages.

    Returns:
        The calibration, and held-out estimates by stage: by heads that did not see the question. The
        principal components of the states are fitted on all questions, without labels.
    """
    stages: dict[Stage, HeadModel] = {}
    held_out: dict[str, Predictions] = {}
    domains, spreads = {}, {}
    for mode in (mode for mode, stage in FINISHED.items() if stage in training.stages):
        spreads[mode] = mode_spread(training.samples, mode)
        questions = training.stages[QUESTION[mode]]
        domains[mode] = Domain.fit(stack_states([each.observation for each in questions], "question"))
        base_rate = float(np.mean([each.right / each.total for each in questions]))
        for stage in STAGES_OF[mode]:
            stages[stage], held_out[stage] = fit_stage(training.stages[stage], config, seed, base_rate)
    answers = [*answer_examples(training.samples, held_out, spreads, seed)]
    answer, held_out["answer"] = fit_stage(answers, HeadConfig(components=0, folds=config.folds), seed)
    return Calibration(stages, answer, domains, spreads), held_out


def mode_spread(questions: Sequence[Sequence[Sample]], mode: Mode) -> float:
    """The maximum-likelihood spread of the wrong answers of a mode.

    Adds pseudo-pairs at the default agreement rate, since few questions may show no agreement at all.
    """
    wrong = [[s.answer for s in each if s.mode == mode and s.right < 0.5] for each in questions]
    tables = [[len(places) for places in equal_answers(answers)] for answers in wrong]
    usual = SPREADS[mode]
    likelihoods = [
        sum(seating(sizes, spread) for sizes in tables)
        + _PRIOR_PAIRS * (seating([2], spread) + usual * seating([1, 1], spread)) / (1.0 + usual)
        for spread in _SPREADS
    ]
    return float(_SPREADS[int(np.argmax(likelihoods))])


def answer_examples(
    samples: Sequence[Sequence[Sample]],
    estimates: Mapping[str, Predictions],
    spreads: Mapping[Mode, float],
    seed: int,
) -> Iterator[Example]:
    """Searches of every size, replayed from the solutions of each question, with their outcomes.

    Each gives an example with the answer by votes, and another with that of the best estimate if it differs.
    A search has the question's estimates of its own modes only.

    Args:
        samples: Solutions of each question.
        estimates: Estimates of questions and finished solutions, by stage; modes without any are left out.
        spreads: Concentration of the wrong answers of each mode.
        seed: Seed of the choice of solutions.
    """
    rng = np.random.default_rng(seed)
    modes = [mode for mode, stage in QUESTION.items() if stage in estimates]
    for question, own_samples in enumerate(samples):
        known = [sample for sample in own_samples if sample.mode in modes]
        candidates = []
        for at, sample in enumerate(known):
            quantiles = estimates[FINISHED[sample.mode]].quantiles[sample.row]
            estimate = Estimate.of_quantiles(quantiles)
            candidates.append(Candidate(NodeId(at), sample.answer, estimate, sample.mode))
        asked = {mode: Estimate.of_quantiles(estimates[QUESTION[mode]].quantiles[question]) for mode in modes}
        for places in _subsets(len(known), rng):
            chosen = tuple(candidates[at] for at in places)
            own = {mode: asked[mode] for mode in modes if any(c.mode == mode for c in chosen)}
            by_rule = [choose(chosen, rule).groups for rule in ("vote", "best")]
            if by_rule[0] and by_rule[0][0].answer == by_rule[1][0].answer:
                del by_rule[1]
            for groups in filter(None, by_rule):
                right = known[groups[0].nodes[0]].right
                # Larger searches reuse the same solutions, which would be counted several times.
                alone = len(chosen) == 1
                found = answer_observation(FinishedSearch(own, chosen, groups), spreads)
                yield Example(found, question, right, independent=alone)


def _subsets(count: int, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    for size in range(1, count + 1):
        if size == 1 or comb(count, size) <= _SUBSETS:  # each alone once: those are independent
            yield from combinations(range(count), size)
        else:
            for _ in range(_SUBSETS):
                yield tuple(int(i) for i in np.sort(rng.choice(count, size, replace=False)))
