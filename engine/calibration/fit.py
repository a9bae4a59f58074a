"""Fits a calibration on finished solutions of questions, and measures one on others; no search needs it.

The heads of a stage are fitted by cross-fitting: each fold of the questions is held out of one head, so there
are estimates that no head has seen. From those of the stages the answer's heads learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..answers.choosing import Candidate, FinishedSearch, choose, equal_answers
from ..types import Estimate, Mode, NodeId
from .features import (
    ANSWER_FEATURES,
    FINISHED,
    QUESTION,
    STAGES,
    STAGES_OF,
    Evidence,
    Observation,
    Stage,
    answer_observation,
)
from .head import OUTPUTS, Calibration, Domain, HeadModel, Params, beta_loss, forward, quantiles_of
from .metrics import Predictions, count_groups
from .posterior import SPREADS, Array, logit, seating, sigmoid

_RATE = 0.02
"""Largest step length of Adam; it falls to zero along a half cosine."""

_DECAY = 10.0
"""Prior precision of a weight, in questions: with more of them it matters less."""

_SURFACE = ("steps", "tokens", "step_tokens", "cut_off")
"""Numbers of a prefix that nothing of the model is needed for."""

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
        folds: Heads of the ensemble, each fitted without one fold of the questions.
        steps: Steps of Adam, on all rows at once.
    """

    components: int = 64
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
    model = HeadModel.over(data.evidence, weight, config.components)
    x = model.inputs(data.evidence)
    without = [folds != fold for fold in range(int(folds.max()) + 1)]
    ensemble: list[Params] = []
    out = np.empty((len(data.right), OUTPUTS))
    for seen in without:
        ensemble.append(fit(data, x, weight, seen, config))
        out[~seen] = forward(ensemble[-1], x[~seen])
    out[:, 0] += data.evidence.offset
    # A head is too sure on questions that it was fitted on: held-out questions set the width.
    shift = np.array([0.0, _log_width(data, out, weight, np.full(len(out), True))])
    weights, constants = (np.stack(part) for part in zip(*ensemble, strict=True))
    # The width of a fold's estimates must not depend on its own outcomes either.
    widths = [_log_width(data, out, weight, seen) for seen in without]
    out[:, 1] += np.array(widths)[folds]
    return replace(model, weights=weights, constants=constants + shift), quantiles_of(out)


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


def _log_width(data: StageData, out: Array, weight: Array, seen: NDArray[np.bool_]) -> float:
    """Maximum-likelihood shift of the log concentrations on the grouped counts seen, given the means."""
    raw = np.column_stack([sigmoid(out[:, 0]), out[:, 1]])[seen]
    rows = data.question[seen], raw, data.right[seen], data.total[seen], weight[seen], data.independent[seen]
    groups = count_groups(Predictions(*rows))
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
    """Data to fit or measure a calibration on.

    Attributes:
        stages: Prefixes of each stage; in the question stages, row i is question i.
        samples: Finished solutions of each question, from which searches are replayed.
    """

    stages: Mapping[Stage, StageData]
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
        domains[mode] = Domain.fit(questions.evidence.states["question"])
        base_rate = float(np.mean(questions.right / questions.total))
        for stage in STAGES_OF[mode]:
            data = training.stages[stage]
            stages[stage], quantiles = fit_stage(data, config, seed, base_rate)
            held_out[stage] = data.predictions(quantiles)
    read = partial(answer_observation, spreads=spreads)
    answers = StageData.stack([*answer_examples(training.samples, held_out, read, seed)], ANSWER_FEATURES)
    answer, quantiles = fit_stage(answers, HeadConfig(components=0, folds=config.folds), seed)
    held_out["answer"] = answers.predictions(quantiles)
    return Calibration(stages, answer, domains, spreads), held_out


def measure(calibration: Calibration, training: Training, seed: int) -> dict[str, Predictions]:
    """Estimates of a calibration on other questions, by stage.

    Args:
        calibration: Its modes are measured.
        training: The questions.
        seed: Seed of the replayed searches.
    """
    found: dict[str, Predictions] = {
        stage: data.predictions(calibration.stages[stage].quantiles(data.evidence))
        for stage, data in training.stages.items()
        if stage in calibration.stages
    }
    searches = [*answer_examples(training.samples, found, calibration.answer_observation, seed)]
    answers = StageData.stack(searches, calibration.answer.names)
    found["answer"] = answers.predictions(calibration.answer.quantiles(answers.evidence))
    return found


def surface_estimates(training: Training) -> dict[str, Predictions]:
    """Held-out estimates by a fit of length and format alone, of each stage that has steps."""
    found: dict[str, Predictions] = {}
    for stage, data in training.stages.items():
        seen = data.evidence
        if "steps" not in STAGES[stage].numbers or not len(seen):
            continue
        # A failed program is known to be wrong whatever its length; a wrong sum is neither of the two.
        offset = np.zeros(len(seen)) if STAGES[stage].mode == "prose" else seen.offset
        surface = Evidence(_SURFACE, seen.columns(_SURFACE), {}, offset)
        _, quantiles = fit_stage(replace(data, evidence=surface), HeadConfig(components=0), seed=0)
        found[stage] = data.predictions(quantiles)
    return found


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
    read: Callable[[FinishedSearch], Observation],
    seed: int,
) -> Iterator[Example]:
    """Searches of every size, replayed from the solutions of each question, with their outcomes.

    Each gives an example with the answer by votes, and another with that of the best estimate if it differs.
    A search has the question's estimates of its own modes only.

    Args:
        samples: Solutions of each question.
        estimates: Estimates of questions and finished solutions, by stage; modes without any are left out.
        read: Reads a finished search.
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
                found = read(FinishedSearch(own, chosen, groups))
                yield Example(found, question, right, independent=alone)


def _subsets(count: int, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    for size in range(1, count + 1):
        if size == 1 or comb(count, size) <= _SUBSETS:  # each alone once: those are independent
            yield from combinations(range(count), size)
        else:
            for _ in range(_SUBSETS):
                yield tuple(int(i) for i in np.sort(rng.choice(count, size, replace=False)))
