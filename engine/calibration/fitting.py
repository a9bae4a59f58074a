"""From rollouts to a calibration, with estimates for every prefix by models that never saw its outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..answers.lookahead import seating
from ..answers.votes import choose, equal_answers, group_answers
from ..types import (
    PROFILES,
    AnswerGroup,
    Candidate,
    Estimate,
    FinishedSearch,
    Mode,
    ModeProfile,
    NodeId,
)
from . import Method
from .agreement import agreement_evidence, agreement_row, bound, group_numbers
from .calibration import Calibration, Domain
from .features import (
    ANSWER_FEATURES,
    FINISHED,
    QUESTION,
    STAGES_OF,
    Array,
    Stage,
    answer_evidence,
    sigmoid,
    vote_evidence,
    without_prior,
)
from .head import HeadConfig
from .metrics import Predictions
from .model_size import UNKNOWN
from .models import StageData, StageModel, fit_model, reward_logits

_SUBSETS = 4
"""Searches of each size that are played back from the samples of one question."""

_SPREADS = np.geomspace(0.5, 50.0, 81)

_PRIOR_PAIRS = 10.0
"""Pairs of wrong trajectories that a mode's usual spread counts as."""

_ANSWER_CONFIG = HeadConfig(components=0)


@dataclass(frozen=True, slots=True)
class Sample:
    """An independent finished trajectory.

    Attributes:
        row: Among the finished trajectories of its mode.
        answer: None where there was none.
        right: P(it is right): 0 or 1 where the answer is known.
        tokens: Of it.
        mode: How it reasons.
        passed: Tests that the program of a code task passes.
    """

    row: int
    answer: str | None
    right: float
    tokens: int
    mode: Mode = "prose"
    passed: int = 0


@dataclass(frozen=True, slots=True)
class QuestionSamples:
    """The independent finished trajectories of one question, and its index."""

    question: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Data that a calibration is fitted on, or measured on.

    Attributes:
        stages: Prefixes of each stage; row i of a question's stages is question i.
        samples: For the answer's own probability.
        models: ``[questions]``, the model that drew each; None where the base rate of the one model counts.
        is_portable: Whether answers are judged by what holds for every model (``VOTE_FEATURES``).
    """

    stages: Mapping[Stage, StageData]
    samples: Sequence[QuestionSamples]
    models: NDArray[np.int64] | None = None
    is_portable: bool = False

    @property
    def modes(self) -> list[Mode]:
        """The modes that were drawn."""
        return [mode for mode, stage in FINISHED.items() if stage in self.stages]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFit:
    """A calibration, and estimates of its own training prefixes by heads that never saw their outcomes.

    The principal components of the states are fitted on all questions, without labels.
    """

    calibration: Calibration
    held_out: Mapping[str, Predictions]


def fit_calibration(training: Training, method: Method, config: HeadConfig, seed: int) -> CalibrationFit:
    """Fit all stages, the domains, and the answer on the stages' estimates of held-out questions."""
    models: dict[Stage, StageModel] = {}
    held_out: dict[str, Predictions] = {}
    for mode in training.modes:
        questions = training.stages[QUESTION[mode]]
        base_rate = float(np.mean(questions.right / questions.total))
        for stage in STAGES_OF[mode]:
            data = training.stages[stage]
            models[stage], quantiles = fit_model(data, method, config, seed, base_rate, training.models)
            held_out[stage] = data.predictions(quantiles)
    profiles = {mode: mode_profile(training.samples, mode) for mode in training.modes}
    answers = answer_data(training, held_out, profiles, len(ANSWER_FEATURES), seed)
    of_answers = replace(_ANSWER_CONFIG, folds=config.folds, decay=config.decay, anchor=config.anchor)
    answer, quantiles = fit_model(answers, "beta", of_answers, seed, models=training.models)
    held_out["answer"] = answers.predictions(quantiles)
    domains = {
        mode: Domain.fit(training.stages[QUESTION[mode]].evidence.states[0]) for mode in training.modes
    }
    return CalibrationFit(Calibration(models, answer, domains, profiles), held_out)


def mode_profile(questions: Sequence[QuestionSamples], mode: Mode) -> ModeProfile:
    """How the trajectories of a mode are: the spread under which their mistakes are likeliest.

    Some pairs that agree as often as is usual stand beside them: on few questions none may agree.
    """
    samples = [[s for s in each.samples if s.mode == mode] for each in questions]
    tokens = [sample.tokens for own in samples for sample in own]
    tables = [_wrong_groups(own) for own in samples]
    usual = PROFILES[mode].spread
    mean = float(np.mean(tokens)) if tokens else PROFILES[mode].tokens
    likelihoods = [
        sum(seating(sizes, spread) for sizes in tables)
        + _PRIOR_PAIRS * (seating([2], spread) + usual * seating([1, 1], spread)) / (1.0 + usual)
        for spread in _SPREADS
    ]
    return ModeProfile(float(_SPREADS[int(np.argmax(likelihoods))]), mean)


def _wrong_groups(samples: Sequence[Sample]) -> list[int]:
    """Sizes of the groups of equal wrong answers of one question."""
    return [len(places) for places in equal_answers([s.answer for s in samples if s.right < 0.5])]


def measure(calibration: Calibration | None, training: Training, seed: int) -> dict[str, Predictions]:
    """Estimates of an existing calibration for questions it was not fitted on; None takes the raw rewards."""
    if calibration is None:
        asked = set(QUESTION.values())
        written = {stage: data for stage, data in training.stages.items() if stage not in asked}
        return {stage: raw_predictions(data) for stage, data in written.items()}
    predictions: dict[str, Predictions] = {
        stage: data.predictions(calibration.quantiles(stage, data.evidence))
        for stage, data in training.stages.items()
        if stage in calibration.stages
    }
    answer, training = calibration.answer, replace(training, is_portable=calibration.is_portable)
    profiles, prior = calibration.profiles, calibration.prior
    answers = answer_data(training, predictions, profiles, answer.features, seed, prior)
    predictions["answer"] = answers.predictions(answer.quantiles(answers.evidence))
    if calibration.agreement is not None:
        solutions, _ = agreement_data(training, predictions, seed, prior)
        predictions["agreement"] = solutions.predictions(calibration.agreement.quantiles(solutions.evidence))
    return predictions


def raw_predictions(data: StageData) -> Predictions:
    """The raw reward itself, read as if it were a probability."""
    p: Array = sigmoid(reward_logits(data.evidence))
    return data.predictions(np.column_stack([p, p, p]))


def answer_data(
    training: Training,
    estimates: Mapping[str, Predictions],
    profiles: Mapping[Mode, ModeProfile],
    features: int,
    seed: int,
    prior: float = UNKNOWN,
) -> StageData:
    """Searches of every size, played back from the samples of each question, and whether they were right.

    Each chooses by votes, and once more by the best estimate where that is another answer; among programs of
    a code task by the tests that they pass. A search of both modes knows the estimates of both, one of a
    single mode only its own.

    Args:
        training: Has the samples.
        estimates: Of the questions and the finished trajectories, by stage.
        profiles: Of the modes that count.
        features: As ``answer_evidence``.
        seed: Of the choice of samples.
        prior: As ``vote_evidence``.
    """
    profiles = {mode: each for mode, each in profiles.items() if QUESTION[mode] in estimates}
    rng = np.random.default_rng(seed)
    searches: list[FinishedSearch] = []
    questions: list[int] = []
    right: list[float] = []
    for each in training.samples:
        known = [sample for sample in each.samples if sample.mode in profiles]
        candidates = candidates_of(known, estimates)
        asked = question_estimates(each.question, profiles, estimates)
        for chosen in _subsets(len(known), rng):
            of_search = tuple(candidates[at] for at in chosen)
            modes = {candidate.mode for candidate in of_search}
            for groups in _chosen_groups(of_search):
                own = {mode: estimate for mode, estimate in asked.items() if mode in modes}
                searches.append(FinishedSearch(own, of_search, groups))
                questions.append(each.question)
                right.append(known[groups[0].nodes[0]].right)
    if training.is_portable:
        evidence = vote_evidence(searches, prior)
    else:
        evidence = answer_evidence(searches, profiles, features)
    return StageData(
        evidence,
        np.array(questions, int),
        np.array(right, float),
        np.ones(len(searches)),
        # Larger searches are made of the same samples, which would be counted several times.
        np.array([len(search.candidates) == 1 for search in searches], bool),
    )


def agreement_data(
    training: Training, estimates: Mapping[str, Predictions], seed: int, prior: float = UNKNOWN
) -> tuple[StageData, NDArray[np.int64]]:
    """Solutions beside 1, 2, ... others of their question, whether they are right, and how many others.

    Args:
        training: Has the samples.
        estimates: Of the questions and the finished trajectories, by stage.
        seed: Of the choice of others.
        prior: Which these estimates begin from, as ``revise``.
    """
    rng = np.random.default_rng(seed)
    rows, most, questions, right, beside, is_whole = [], [], [], [], [], []
    for each in training.samples:
        candidates = candidates_of(each.samples, estimates)
        asked = question_estimates(each.question, training.modes, estimates)
        even = without_prior(FinishedSearch(asked, tuple(candidates), ()), prior)
        numbers = group_numbers(candidates, group_answers(candidates))
        for at in (at for at, number in enumerate(numbers) if number >= 0):
            others = [other for other in range(len(candidates)) if other != at]
            for count in range(1, len(others) + 1):
                chosen = [int(other) for other in rng.choice(others, count, replace=False)]
                rows.append(agreement_row(even.candidates, numbers, at, chosen, even.questions))
                most.append(bound(candidates, numbers, at, chosen))
                questions.append(each.question)
                right.append(each.samples[at].right)
                beside.append(count)
                # The same solution beside fewer others is no further outcome.
                is_whole.append(count == len(others))
    evidence, ones = agreement_evidence(rows, most), np.ones(len(rows))
    data = StageData(evidence, np.array(questions), np.array(right), ones, np.array(is_whole, bool))
    return data, np.array(beside)


def candidates_of(samples: Sequence[Sample], estimates: Mapping[str, Predictions]) -> list[Candidate]:
    """Samples of one question as a search has them, each with the estimate that it has alone."""
    quantiles = [estimates[FINISHED[sample.mode]].quantiles[sample.row] for sample in samples]
    return [
        Candidate(NodeId(at), sample.answer, Estimate.of_quantiles(own), sample.mode, sample.passed)
        for at, (sample, own) in enumerate(zip(samples, quantiles, strict=True))
    ]


def question_estimates(
    question: int, modes: Iterable[Mode], estimates: Mapping[str, Predictions]
) -> dict[Mode, Estimate]:
    """Estimates of a question in its modes."""
    return {mode: Estimate.of_quantiles(estimates[QUESTION[mode]].quantiles[question]) for mode in modes}


def _chosen_groups(candidates: tuple[Candidate, ...]) -> Iterator[tuple[AnswerGroup, ...]]:
    if candidates[0].mode == "code":
        if groups := choose(candidates, "passing").groups:
            yield groups
        return
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
