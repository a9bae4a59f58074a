"""Fits a calibration on finished solutions of questions; no search needs it.

The heads of a stage are fitted by cross-fitting: each fold of the questions is held out of one head, so there
are held-out estimates of every example. The answer's heads are fitted on those of the stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..answers.choosing import Candidate, FinishedSearch, choose
from ..types import Estimate, Mode, NodeId
from .features import FINISHED, QUESTION_STAGES, STAGES_OF, Observation, Stage, answer_observation
from .head import PRIOR_KAPPA, Calibration, Domain, HeadModel, quantiles_of, stack_states
from .metrics import Predictions
from .posterior import SPREADS, Array, logit, sigmoid
from .votes import replayed

_DECAY = 10.0
"""Prior precision of a weight, in questions: with more of them it matters less."""

_FOLDS = 5
"""Heads of the ensemble, each fitted without one fold of the questions."""

_STEPS = 400
"""Steps of a regression, on all rows at once."""

_NARROWEST, _WIDEST = 0.0025, 0.85
"""Bounds of the share of variance that outcomes of a question have in common."""


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


def predictions(model: HeadModel | None, examples: Sequence[Example]) -> Predictions:
    """Estimates of a model for examples, with their outcomes; zeros without a model."""
    observations = [each.observation for each in examples]
    return Predictions(
        np.array([each.question for each in examples], int),
        model.quantiles(observations) if model else np.zeros((len(examples), 3)),
        np.array([each.right for each in examples], float),
        np.array([each.total for each in examples], float),
        independent=np.array([each.independent for each in examples], bool),
    )


def fit_stage(examples: Sequence[Example], seed: int) -> tuple[HeadModel, Predictions]:
    """Fit one stage.

    Args:
        examples: Its examples, all with the same numbers and states, of two questions or more.
        seed: Seed of the folds; all examples of a question share one.

    Returns:
        The model, and held-out estimates of the examples.
    """
    data, observations = predictions(None, examples), [each.observation for each in examples]
    names, index, counts = np.unique(data.question, return_inverse=True, return_counts=True)
    weight = 1.0 / counts[index]
    folds = (np.random.default_rng(seed).permutation(len(names)) % _FOLDS)[index]
    others = [weight * (folds != fold) for fold in range(int(folds.max()) + 1)]
    model = HeadModel.over(observations, weight)
    rows = np.column_stack([model.inputs(observations), np.ones(len(observations))])
    offset = np.array([each.offset for each in observations])
    heads = np.stack([fit(data, rows, offset, each) for each in others])
    logits = (rows @ heads.T)[np.arange(len(rows)), folds] + offset
    # A head is too sure on questions that it was fitted on: held-out questions set the width. The width of a
    # fold's estimates must not depend on its own outcomes either.
    width, *widths = (_log_width(data, logits, each) for each in (weight, *others))
    model = replace(
        model,
        weights=np.stack([heads[:, :-1], np.zeros_like(heads[:, :-1])], axis=-1),
        constants=np.column_stack([heads[:, -1], np.full(len(heads), width)]),
    )
    return model, replace(data, quantiles=quantiles_of(logits, np.array(widths)[folds]))


def fit(data: Predictions, rows: Array, offset: Array, weight: Array) -> Array:
    """``[features]``, a logistic regression of the outcomes with a normal prior.

    Each step takes the largest curvature there can be (Boehning and Lindsay 1988), so none goes too far.

    Args:
        data: Outcomes.
        rows: ``[n, features]``, roughly standardised, the last one constant.
        offset: ``[n]`` logits that are added.
        weight: ``[n]``, summing to the number of questions; 0 for rows that are held out.
    """
    # The prior of the constant is the base rate, which may be far from even for short steps.
    rate = (weight @ (data.right / data.total) + 0.5) / (weight.sum() + 1)
    prior, precision = np.zeros(rows.shape[1]), np.full(rows.shape[1], _DECAY)
    prior[-1], precision[-1] = logit(rate), 0.1
    bound = np.linalg.inv((rows * (weight * data.total)[:, None]).T @ rows / 4.0 + np.diag(precision))
    params = prior
    for _ in range(_STEPS):
        miss = data.total * sigmoid(rows @ params + offset) - data.right
        params = params - bound @ (rows.T @ (weight * miss) + precision * (params - prior))
    return params


def _log_width(data: Predictions, logits: Array, weight: Array) -> float:
    """Log of the concentration over ``PRIOR_KAPPA``, by how much outcomes of one question have in common.

    Pairs of them have the covariance ``mean (1 - mean) / (concentration + 1)`` beyond the means. A question
    with one outcome has no pair.

    Args:
        data: Outcomes.
        logits: ``[n]`` of the means.
        weight: ``[n]``, 0 for rows that are left out.
    """
    question = np.unique(data.question, return_inverse=True)[1]
    mean, right, wrong = sigmoid(logits), data.right, data.total - data.right
    deviation = np.sqrt(mean * (1.0 - mean))
    mask = (weight > 0) & (True if data.independent is None else data.independent)

    def pairs(sums: Array, squares: Array) -> float:
        """Sum of products of different outcomes of a question, over all questions."""
        return float((np.bincount(question, sums * mask) ** 2 - np.bincount(question, squares * mask)).sum())

    common = pairs(right - data.total * mean, right * (1.0 - mean) ** 2 + wrong * mean**2)
    most = pairs(data.total * deviation, data.total * deviation**2)
    share = min(max(common / most, _NARROWEST), _WIDEST) if most > 0 else 1.0 / (PRIOR_KAPPA + 1.0)
    return float(np.log((1.0 / share - 1.0) / PRIOR_KAPPA))


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


def fit_calibration(training: Training, seed: int) -> tuple[Calibration, dict[str, Predictions]]:
    """Fit all stages and domains, and the answer on the held-out estimates of the stages.

    Returns:
        The calibration, and held-out estimates by stage: by heads that did not see the question. The
        principal components of the states are fitted on all questions, without labels.
    """
    models: dict[Stage, HeadModel] = {}
    held_out: dict[str, Predictions] = {}
    domains: dict[Mode, Domain] = {}
    for mode in (mode for mode, stage in FINISHED.items() if stage in training.stages):
        questions = training.stages[QUESTION_STAGES[mode]]
        states = stack_states([each.observation for each in questions], "question")
        domains[mode] = Domain.fit(states, SPREADS[mode])
        for stage in STAGES_OF[mode]:
            if len({example.question for example in training.stages[stage]}) > 1:
                models[stage], held_out[stage] = fit_stage(training.stages[stage], seed)
    models.setdefault("step", models["finished"])  # of a model that answers in one step
    answers = [*answer_examples(training.samples, held_out, SPREADS, seed)]
    models["answer"], held_out["answer"] = fit_stage(answers, seed)
    return Calibration(models, domains), held_out


def answer_examples(
    samples: Sequence[Sequence[Sample]],
    estimates: Mapping[str, Predictions],
    spreads: Mapping[Mode, float],
    seed: int,
) -> Iterator[Example]:
    """Searches of every size, replayed from the solutions of each question, with their outcomes.

    Each gives an example with the answer by votes, and another with the best estimate's answer if it differs.
    A search has the question's estimates of its own modes only.

    Args:
        samples: Solutions of each question.
        estimates: Estimates of questions and finished solutions, by stage.
        spreads: Concentration of the wrong answers of each mode.
        seed: Seed of the choice of solutions.
    """
    rng = np.random.default_rng(seed)

    def estimate(stage: Stage, row: int) -> Estimate:
        return Estimate.of_quantiles(estimates[stage].quantiles[row])

    for question, solutions in enumerate(samples):
        candidates = [
            Candidate(NodeId(at), each.answer, estimate(FINISHED[each.mode], each.row), each.mode)
            for at, each in enumerate(solutions)
        ]
        for subset in (*((each,) for each in candidates), *replayed(candidates, rng)):
            modes = {candidate.mode for candidate in subset}
            own = {
                mode: estimate(QUESTION_STAGES[mode], question) for mode in QUESTION_STAGES if mode in modes
            }
            groups = {rule: choose(subset, rule).groups for rule in ("best", "vote")}
            by_answer = {group[0].answer: group for group in groups.values() if group}
            for group in by_answer.values():
                seen = answer_observation(FinishedSearch(own, subset, group), spreads)
                # Larger searches reuse the same solutions, which would be counted several times.
                alone = len(subset) == 1
                yield Example(seen, question, solutions[group[0].nodes[0]].right, independent=alone)
