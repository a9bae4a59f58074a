"""From rollouts to a calibration, with estimates for every prefix by models that never saw its outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np

from ..answers.votes import choose
from ..types import AnswerGroup, Candidate, Estimate, Finished, NodeId
from .answer import FEATURES, answer_features
from .calibration import Calibration
from .domain import Domain
from .features import STAGES, Evidence, Stage
from .head import HeadConfig
from .logits import Array, sigmoid
from .metrics import Scored
from .models import Fitting, StageModel, fit_model, rewards

_SUBSETS = 4
"""Searches of each size that are played back from the samples of one question."""

_ANSWER_CONFIG = HeadConfig(hidden=0, components=0)


@dataclass(frozen=True, slots=True)
class Sampled:
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
    """What a calibration is fitted on, or measured on.

    Attributes:
        stages: Prefixes of each stage; row i of ``question`` is question i.
        samples: For the answer's own probability.
    """

    stages: Mapping[Stage, Fitting]
    samples: Sequence[Sampled]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A calibration, and estimates of its own training prefixes by heads that never saw their outcomes.

    The components of the states are those of all questions, without labels.
    """

    calibration: Calibration
    held_out: Mapping[str, Scored]


def fit_calibration(training: Training, method: str, config: HeadConfig, seed: int) -> Fitted:
    """Fit all stages, the domain, and the answer on what the stages say of held-out questions."""
    models: dict[Stage, StageModel] = {}
    held_out: dict[str, Scored] = {}
    questions = training.stages["question"]
    base_rate = float(np.mean(questions.right / questions.total))
    for stage in STAGES:
        data = training.stages[stage]
        # Nothing is written yet that a map of the reward could read: it knows the base rate.
        at = "isotonic" if stage == "question" and method == "temperature" else method
        models[stage], quantiles = fit_model(data, at, config, seed, base_rate)
        held_out[stage] = scored(data, quantiles)
    answers = answer_fitting(training, held_out["question"].quantiles, held_out["finished"].quantiles, seed)
    answer, quantiles = fit_model(answers, "beta", replace(_ANSWER_CONFIG, folds=config.folds), seed)
    held_out["answer"] = scored(answers, quantiles)
    domain = Domain.fit(training.stages["question"].evidence.states[0])
    return Fitted(Calibration(models, answer, domain), held_out)


def measure(calibration: Calibration | None, training: Training, seed: int) -> dict[str, Scored]:
    """Estimates of an existing calibration for questions it was not fitted on; None takes the raw rewards."""
    if calibration is None:
        written = {stage: data for stage, data in training.stages.items() if stage != "question"}
        return {stage: raw_scored(data) for stage, data in written.items()}
    found: dict[str, Scored] = {
        stage: scored(data, calibration.stages[stage].quantiles(data.evidence))
        for stage, data in training.stages.items()
    }
    answers = answer_fitting(training, found["question"].quantiles, found["finished"].quantiles, seed)
    found["answer"] = scored(answers, calibration.answer.quantiles(answers.evidence))
    return found


def raw_scored(data: Fitting) -> Scored:
    """The raw reward itself, read as if it were a probability."""
    p: Array = sigmoid(rewards(data.evidence))
    return scored(data, np.column_stack([p, p, p]))


def scored(data: Fitting, quantiles: Array) -> Scored:
    """Estimates beside their outcomes."""
    return Scored(data.question, quantiles, data.right, data.total, independent=data.independent)


def answer_fitting(training: Training, question: Array, finished: Array, seed: int) -> Fitting:
    """Searches of every size, played back from the samples of each question, and whether they were right.

    Each chooses by votes, and once more by the best estimate where that is another answer.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[Array, int, bool, bool]] = []
    for sampled in training.samples:
        prior = _estimate(question[sampled.question])
        for chosen in _subsets(len(sampled.rows), rng):
            candidates = tuple(
                Candidate(NodeId(i), sampled.answers[i], _estimate(finished[sampled.rows[i]])) for i in chosen
            )
            for groups in _choices(candidates):
                features = answer_features(Finished(prior, candidates, groups))
                right = sampled.right[groups[0].nodes[0]]
                rows.append((features, sampled.question, right, len(chosen) == 1))
    return Fitting(
        Evidence(np.array([row[0] for row in rows]).reshape(-1, len(FEATURES)), ()),
        np.array([row[1] for row in rows], int),
        np.array([float(row[2]) for row in rows]),
        np.ones(len(rows)),
        # Larger searches are made of the same samples: they would be counted over and over.
        np.array([row[3] for row in rows], bool),
    )


def _choices(candidates: tuple[Candidate, ...]) -> Iterator[tuple[AnswerGroup, ...]]:
    vote, best = (choose(candidates, rule, "exhausted").groups for rule in ("vote", "best"))
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
