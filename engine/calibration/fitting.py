"""From rollouts to a calibration, with estimates for every prefix by models that never saw its outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np

from ..answers.votes import choose
from ..types import AnswerGroup, Candidate, Estimate, FinishedSearch, NodeId
from . import Method
from .calibration import Calibration, Domain
from .features import STAGES, Array, Stage, answer_evidence, sigmoid
from .head import HeadConfig
from .metrics import Predictions
from .models import StageData, StageModel, fit_model, reward_logits

_SUBSETS = 4
"""Searches of each size that are played back from the samples of one question."""

_ANSWER_CONFIG = HeadConfig(hidden=0, components=0)


@dataclass(frozen=True, slots=True)
class QuestionSamples:
    """The independent finished samples of one question.

    Attributes:
        question: Its index.
        rows: Row of each sample among the finished prefixes.
        answers: Answer of each, None where there was none.
        right: Whether each is right.
    """

    question: int
    rows: tuple[int, ...]
    answers: tuple[str | None, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Data that a calibration is fitted on, or measured on.

    Attributes:
        stages: Prefixes of each stage; row i of ``question`` is question i.
        samples: For the answer's own probability.
    """

    stages: Mapping[Stage, StageData]
    samples: Sequence[QuestionSamples]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFit:
    """A calibration, and estimates of its own training prefixes by heads that never saw their outcomes.

    The principal components of the states are fitted on all questions, without labels.
    """

    calibration: Calibration
    held_out: Mapping[str, Predictions]


def fit_calibration(training: Training, method: Method, config: HeadConfig, seed: int) -> CalibrationFit:
    """Fit all stages, the domain, and the answer on the stages' estimates of held-out questions."""
    models: dict[Stage, StageModel] = {}
    held_out: dict[str, Predictions] = {}
    questions = training.stages["question"]
    base_rate = float(np.mean(questions.right / questions.total))
    for stage in STAGES:
        data = training.stages[stage]
        models[stage], quantiles = fit_model(data, method, config, seed, base_rate)
        held_out[stage] = data.predictions(quantiles)
    answers = answer_data(training, held_out["question"].quantiles, held_out["finished"].quantiles, seed)
    answer, quantiles = fit_model(answers, "beta", replace(_ANSWER_CONFIG, folds=config.folds), seed)
    held_out["answer"] = answers.predictions(quantiles)
    domain = Domain.fit(training.stages["question"].evidence.states[0])
    return CalibrationFit(Calibration(models, answer, domain), held_out)


def measure(calibration: Calibration | None, training: Training, seed: int) -> dict[str, Predictions]:
    """Estimates of an existing calibration for questions it was not fitted on; None takes the raw rewards."""
    if calibration is None:
        written = {stage: data for stage, data in training.stages.items() if stage != "question"}
        return {stage: raw_predictions(data) for stage, data in written.items()}
    predictions: dict[str, Predictions] = {
        stage: data.predictions(calibration.stages[stage].quantiles(data.evidence))
        for stage, data in training.stages.items()
    }
    answers = answer_data(
        training, predictions["question"].quantiles, predictions["finished"].quantiles, seed
    )
    predictions["answer"] = answers.predictions(calibration.answer.quantiles(answers.evidence))
    return predictions


def raw_predictions(data: StageData) -> Predictions:
    """The raw reward itself, read as if it were a probability."""
    p: Array = sigmoid(reward_logits(data.evidence))
    return data.predictions(np.column_stack([p, p, p]))


def answer_data(training: Training, question: Array, finished: Array, seed: int) -> StageData:
    """Searches of every size, played back from the samples of each question, and whether they were right.

    Each chooses by votes, and once more by the best estimate where that is another answer.
    """
    rng = np.random.default_rng(seed)
    searches: list[FinishedSearch] = []
    questions: list[int] = []
    right: list[bool] = []
    for samples in training.samples:
        prior = _estimate(question[samples.question])
        for chosen in _subsets(len(samples.rows), rng):
            candidates = tuple(
                Candidate(NodeId(i), samples.answers[i], _estimate(finished[samples.rows[i]])) for i in chosen
            )
            for groups in _chosen_groups(candidates):
                searches.append(FinishedSearch(prior, candidates, groups))
                questions.append(samples.question)
                right.append(samples.right[groups[0].nodes[0]])
    return StageData(
        answer_evidence(searches),
        np.array(questions, int),
        np.array(right, float),
        np.ones(len(searches)),
        # Larger searches are made of the same samples, which would be counted several times.
        np.array([len(search.candidates) == 1 for search in searches], bool),
    )


def _chosen_groups(candidates: tuple[Candidate, ...]) -> Iterator[tuple[AnswerGroup, ...]]:
    vote, best = (choose(candidates, rule).groups for rule in ("vote", "best"))
    if vote:
        yield vote
        if best[0].answer != vote[0].answer:
            yield best


def _subsets(count: int, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    for size in range(1, count + 1):
        if comb(count, size) <= _SUBSETS:
            yield from combinations(range(count), size)
        else:
            for _ in range(_SUBSETS):
                yield tuple(int(i) for i in np.sort(rng.choice(count, size, replace=False)))


def _estimate(quantiles: Array) -> Estimate:
    lower, median, upper = (float(q) for q in quantiles)
    return Estimate(lower, median, upper, calibrated=True)
