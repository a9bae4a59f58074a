"""Fits a calibration on finished solutions of questions, with held-out estimates of each (cross-fitting)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import comb

import numpy as np

from ..answers.choosing import choose, equal_answers
from ..answers.posterior import seating
from ..answers.result import PROFILES, AnswerGroup, Candidate, FinishedSearch, ModeProfile
from ..calibration.calibration import Calibration, Domain
from ..calibration.features import (
    ANSWER_FEATURES,
    FINISHED,
    QUESTION,
    STAGES_OF,
    Observation,
    Stage,
    answer_observation,
)
from ..calibration.head import HeadModel
from ..types import Estimate, Mode, NodeId
from .head import Example, HeadConfig, StageData, fit_stage
from .metrics import Predictions

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
        tokens: Its length.
        mode: How it reasons.
    """

    row: int
    answer: str | None
    right: float
    tokens: int
    mode: Mode = "prose"


@dataclass(frozen=True, slots=True)
class QuestionSamples:
    """The independent finished solutions of one question, and its index."""

    question: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Data to fit or measure a calibration on.

    Attributes:
        stages: Prefixes of each stage; in the question stages, row i is question i.
        samples: Finished solutions by question, from which searches are replayed.
    """

    stages: Mapping[Stage, StageData]
    samples: Sequence[QuestionSamples]

    @property
    def modes(self) -> list[Mode]:
        """The modes of the solutions."""
        return [mode for mode, stage in FINISHED.items() if stage in self.stages]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFit:
    """A calibration, and held-out estimates of its training data: by heads that did not see the question.

    The principal components of the states are fitted on all questions, without labels.
    """

    calibration: Calibration
    held_out: Mapping[str, Predictions]


def fit_calibration(training: Training, config: HeadConfig, seed: int) -> CalibrationFit:
    """Fit all stages and domains, and the answer on the held-out estimates of the stages."""
    stages, held_out = fit_stages(training, config, seed)
    profiles = {mode: mode_profile(training.samples, mode) for mode in training.modes}
    read = partial(answer_observation, profiles=profiles)
    answers = StageData.stack([*answer_examples(training, held_out, read, seed)], ANSWER_FEATURES)
    of_answers = HeadConfig(components=0, decay=config.decay, folds=config.folds)
    answer, quantiles = fit_stage(answers, of_answers, seed)
    held_out["answer"] = answers.predictions(quantiles)
    asked = {mode: training.stages[QUESTION[mode]].evidence for mode in training.modes}
    domains = {mode: Domain.fit(evidence.states["question"]) for mode, evidence in asked.items()}
    return CalibrationFit(Calibration(stages, answer, domains, profiles), held_out)


def fit_stages(
    training: Training, config: HeadConfig, seed: int
) -> tuple[dict[Stage, HeadModel], dict[str, Predictions]]:
    """A model of each stage, and held-out estimates of its prefixes."""
    models: dict[Stage, HeadModel] = {}
    held_out: dict[str, Predictions] = {}
    for mode in training.modes:
        questions = training.stages[QUESTION[mode]]
        base_rate = float(np.mean(questions.right / questions.total))
        for stage in STAGES_OF[mode]:
            data = training.stages[stage]
            models[stage], quantiles = fit_stage(data, config, seed, base_rate)
            held_out[stage] = data.predictions(quantiles)
    return models, held_out


def mode_profile(questions: Sequence[QuestionSamples], mode: Mode) -> ModeProfile:
    """Mean length of a mode's solutions, and the maximum-likelihood spread of their mistakes.

    Adds pseudo-pairs at the default agreement rate, since few questions may show no agreement at all.
    """
    samples = [[s for s in each.samples if s.mode == mode] for each in questions]
    tokens = [sample.tokens for own in samples for sample in own]
    wrong = [[sample.answer for sample in own if sample.right < 0.5] for own in samples]
    tables = [[len(places) for places in equal_answers(answers)] for answers in wrong]
    usual = PROFILES[mode].spread
    mean = float(np.mean(tokens)) if tokens else PROFILES[mode].tokens
    likelihoods = [
        sum(seating(sizes, spread) for sizes in tables)
        + _PRIOR_PAIRS * (seating([2], spread) + usual * seating([1, 1], spread)) / (1.0 + usual)
        for spread in _SPREADS
    ]
    return ModeProfile(float(_SPREADS[int(np.argmax(likelihoods))]), mean)


def answer_examples(
    training: Training,
    estimates: Mapping[str, Predictions],
    read: Callable[[FinishedSearch], Observation],
    seed: int,
) -> Iterator[Example]:
    """Searches of every size, replayed from the solutions of each question, with their outcomes.

    Each gives an example with the answer by votes, and another with that of the best estimate if it differs.
    A search has the question's estimates of its own modes only.

    Args:
        training: Has the solutions.
        estimates: Estimates of questions and finished solutions, by stage; modes without any are left out.
        read: Reads a finished search.
        seed: Seed of the choice of solutions.
    """
    rng = np.random.default_rng(seed)
    modes = [mode for mode, stage in QUESTION.items() if stage in estimates]
    for each in training.samples:
        known = [sample for sample in each.samples if sample.mode in modes]
        candidates = candidates_of(known, estimates)
        asked = {
            mode: Estimate.of_quantiles(estimates[QUESTION[mode]].quantiles[each.question]) for mode in modes
        }
        for places in _subsets(len(known), rng):
            chosen = tuple(candidates[at] for at in places)
            own = {mode: asked[mode] for mode in modes if any(c.mode == mode for c in chosen)}
            for groups in _chosen_groups(chosen):
                right = known[groups[0].nodes[0]].right
                # Larger searches reuse the same solutions, which would be counted several times.
                alone = len(chosen) == 1
                found = read(FinishedSearch(own, chosen, groups))
                yield Example(found, each.question, right, independent=alone)


def candidates_of(samples: Sequence[Sample], estimates: Mapping[str, Predictions]) -> list[Candidate]:
    """Solutions of one question in the form of a search, each with its own estimate."""
    quantiles = [estimates[FINISHED[sample.mode]].quantiles[sample.row] for sample in samples]
    return [
        Candidate(NodeId(at), sample.answer, Estimate.of_quantiles(own), sample.mode)
        for at, (sample, own) in enumerate(zip(samples, quantiles, strict=True))
    ]


def _chosen_groups(candidates: tuple[Candidate, ...]) -> Iterator[tuple[AnswerGroup, ...]]:
    vote, best = (choose(candidates, rule).groups for rule in ("vote", "best"))
    if vote:
        yield vote
        if best[0].answer != vote[0].answer:
            yield best


def _subsets(count: int, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    for size in range(1, count + 1):
        if size == 1 or comb(count, size) <= _SUBSETS:  # each alone once: those are independent
            yield from combinations(range(count), size)
        else:
            for _ in range(_SUBSETS):
                yield tuple(int(i) for i in np.sort(rng.choice(count, size, replace=False)))
