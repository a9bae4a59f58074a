"""The calibration of models that nobody fitted: it reads nothing that belongs to a single model.

Hidden states mean something else in every model, so they are left out. What remains are log-probabilities,
entropies, lengths, positions, executions, and how the solutions of a question agree (self-consistency as a
soft label, as CaTS has it: arXiv 2503.00031). A question is known by its text, and a model by its size.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..answers.choosing import group_answers, odds_over_peers
from ..answers.lookahead import log_odds
from ..ports import AnswerEstimates, Prefix
from ..types import Estimate, FinishedSearch, NodeId
from .calibration import Calibration, widen
from .features import (
    FINISHED,
    QUESTION,
    Array,
    Evidence,
    Observation,
    Stage,
    States,
    logit,
    sigmoid,
    supports_over_question,
    vote_numbers,
)
from .fitting import (
    CalibrationFit,
    QuestionSamples,
    Training,
    answer_examples,
    candidates_of,
    domains,
    fit_stages,
    mode_profiles,
    question_estimates,
)
from .head import HeadModel
from .head_fit import Example, HeadConfig, StageData, fit_stage
from .metrics import Predictions

TEXT_FEATURES = ("english", "number", "plain")
"""Numbers by which a question is known, each in [0, 1]: the share of common English words over ``_ENOUGH``, 1
where it has a number, the share of words in ASCII.

Its length is left out: a short question is as good as a long one.
"""

_WORD = re.compile(r"[^\W\d_]+|\d[\d.,]*")

_ENGLISH = """
a all an and are as at be by did do does each every find for from given had has have he her his how if in is
it its let many more much number of on one or she than that the their then there they this to total two was
were what when where which who will with
"""
_COMMON = frozenset(_ENGLISH.split())

_ENOUGH = 0.3
"""Share of common words from which on a text is English."""

VOTE_FEATURES = ("share", "lead", "samples", "groups", "programs", "both modes", "odds")
"""Numbers that an answer is judged by: its votes, and how far its solutions' own estimates lie above the
question's."""

AGREEMENT_FEATURES = ("support", "lead", "both modes", "program", "odds")
"""Numbers that a solution is judged by among others: the share of the others with the same answer, their lead
over the most frequent other answer, 1 where one of them reasons in another mode, 1 for a program, and how far
its own estimate lies above the question's."""

_RISING = 3
"""``AGREEMENT_FEATURES``, from the first on, that only rise where one more solution agrees: their weights are
kept at 0 or more, so that agreement never lowers an estimate."""

_CONFIG = HeadConfig(components=0, decay=1.0, anchor=10.0, sureness=0.0)
"""Few inputs, whose weights must not be so small that a constant speaks for them, and wide intervals."""

UNKNOWN = 0.5
"""Prior accuracy of a model of unknown size: even odds, which portable heads are fitted at."""

# By published scores of instruction-tuned models on GSM8K and MATH: the logit of their mean rises with the
# logarithm of the parameters. The line goes through 27 models of .3 to 5 billion, which lie .5 logits off it;
# 22 of 7 to 15 billion, which are no better than those of 3, say where it ends
# (``python -m bench.evidence.model_sizes``).
AT_ONE_BILLION = -0.16
RISE = 0.89
"""Logits for each factor of e."""
FROM = 0.1e9
"""Parameters where the line begins, below any model of the table: smaller ones are hardly ever right."""
UNTIL = 2.7e9
"""Parameters where it ends: there it reaches the mean of the larger models."""


def rate_of_size(parameters: float) -> float:
    """Prior accuracy of a model of so many parameters, .1 to .67; ``UNKNOWN`` where the count is 0."""
    if parameters <= 0:
        return UNKNOWN
    at = AT_ONE_BILLION + RISE * math.log(min(max(parameters, FROM), UNTIL) / 1e9)
    return 1.0 / (1.0 + math.exp(-at))


def text_features(question: str) -> States:
    """``[len(TEXT_FEATURES)]`` of a question's text."""
    words = _WORD.findall(question.lower()) or [""]
    english = sum(word in _COMMON for word in words) / len(words)
    plain = sum(word.isascii() for word in words) / len(words)
    number = any(word[:1].isdigit() for word in words)
    return np.array([min(english / _ENOUGH, 1.0), float(number), plain], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class PortableCalibration(Calibration):
    """Implements ``engine.ports.Calibrator`` for every generator, with models that were fitted on others.

    Attributes:
        agreement: Model of a solution among others of its question.
        prior: Prior accuracy of the generator. It counts for what stands alone, and not where solutions of a
            question can be compared.
    """

    agreement: HeadModel
    prior: float = UNKNOWN

    def of_size(self, parameters: float) -> PortableCalibration:
        """The calibration of a generator of so many parameters."""
        return replace(self, prior=rate_of_size(parameters))

    def quantiles(self, stage: Stage, evidence: Evidence) -> Array:
        """``[n, 3]`` lower, median and upper of prefixes of a stage that stand alone."""
        shifted = replace(evidence, offset=evidence.offset + log_odds(self.prior))
        return self.stages[stage].quantiles(shifted)

    def answer_observation(self, finished: FinishedSearch) -> Observation:
        """``VOTE_FEATURES`` of a finished search."""
        return vote_observation(finished, self.prior)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        """Estimates for the chosen answer, and for each solution with an answer by what the others say.

        Candidates have the estimates that each has alone, so that no vote counts twice.
        """
        peers, distance = Peers(finished, self.prior), self.distance(prefix)
        evidence = Evidence.stack([self.answer_observation(finished)], self.answer.inputs.names)
        [answer] = self.answer.quantiles(evidence)
        revised = {}
        if len(finished.candidates) > 1:
            found = [peers.observe(at, peers.others(at)) for at in peers.answered]
            nodes = [finished.candidates[at].node for at in peers.answered]
            quantiles = self.agreement.quantiles(Evidence.stack(found, AGREEMENT_FEATURES))
            estimates = map(Estimate.of_quantiles, quantiles)
            revised = {node: widen(own, distance) for node, own in zip(nodes, estimates, strict=True)}
        return AnswerEstimates(widen(Estimate.of_quantiles(answer), distance), revised)

    def odds(self, finished: FinishedSearch) -> Mapping[NodeId, float]:
        """Log-odds of each trajectory over the mean of its question's.

        Solutions of a model that it was not fitted on may all lie above the question's estimate, or below.
        """
        return odds_over_peers(finished)

    def labels(self, finished: FinishedSearch, voters: Sequence[int]) -> Array:
        """``[candidates]`` P(it is correct) by what the voters among the others say.

        It takes the place of labels where no answer is known.

        Args:
            finished: Candidates with the estimates that each has alone, without a prior.
            voters: Positions of the candidates that have a vote.

        Returns:
            Probabilities; 0 without an answer, or where no other has a vote.
        """
        peers, labels = Peers(finished, UNKNOWN), np.zeros(len(finished.candidates))
        others = {at: [voter for voter in voters if voter != at] for at in peers.answered}
        judged = [at for at, own in others.items() if own]
        found = [replace(peers.observe(at, others[at]), most=np.inf) for at in judged]
        labels[judged] = self.agreement.quantiles(Evidence.stack(found, AGREEMENT_FEATURES))[:, 1]
        return labels

    def _known_by(self, prefix: Prefix) -> States:
        return text_features(prefix.problem.question)


def _without_prior(finished: FinishedSearch, prior: float) -> FinishedSearch:
    """A search whose estimates are those of a model of unknown size.

    Differences of log-odds are taken before the prior is added, because clipping near 0 and 1 could then hit
    only one of the two.
    """
    if prior == UNKNOWN:
        return finished

    def even(estimate: Estimate) -> Estimate:
        found = logit(np.array([estimate.lower, estimate.median, estimate.upper])) - log_odds(prior)
        return Estimate.of_quantiles(sigmoid(found))

    questions = {mode: even(estimate) for mode, estimate in finished.questions.items()}
    candidates = tuple(replace(each, estimate=even(each.estimate)) for each in finished.candidates)
    return replace(finished, questions=questions, candidates=candidates)


def vote_observation(finished: FinishedSearch, prior: float = UNKNOWN) -> Observation:
    """``VOTE_FEATURES`` of a finished search that has an answer.

    The prior counts until another solution has an answer. An answer without a second vote is no likelier than
    its solution is alone.
    """
    even = _without_prior(finished, prior)
    odds = supports_over_question(even)[0].odds if even.questions else 0.0
    answered = sum(c.answer is not None for c in finished.candidates)
    node, *more = finished.groups[0].nodes
    [alone] = [c.estimate.median for c in finished.candidates if c.node == node]
    return Observation(
        {**vote_numbers(finished), "odds": odds},
        offset=log_odds(prior) if answered == 1 else 0.0,
        most=np.inf if more else float(logit(np.array(alone))),
    )


class Peers:
    """The solutions of one question, to judge each by the others; a solution has no vote on itself.

    Args:
        finished: Its candidates have the estimates that each has alone.
        prior: Prior accuracy that these estimates begin from.

    Attributes:
        answered: Positions of the candidates with an answer.
    """

    def __init__(self, finished: FinishedSearch, prior: float) -> None:
        group = {node: at for at, group in enumerate(finished.groups) for node in group.nodes}
        self._alone = finished.candidates
        self._even = _without_prior(finished, prior)
        self._groups = [group.get(candidate.node) for candidate in finished.candidates]
        self.answered = [at for at, own in enumerate(self._groups) if own is not None]

    def others(self, at: int) -> list[int]:
        """Positions of all candidates but one."""
        return [other for other in range(len(self._alone)) if other != at]

    def observe(self, at: int, others: Sequence[int]) -> Observation:
        """``AGREEMENT_FEATURES`` of a candidate with an answer among others, at least one.

        Where none of them agrees, its estimate does not exceed the one that it has alone: the prior counts in
        that one, and a weak model's solution would gain by company alone.
        """
        own, counts = self._even.candidates[at], Counter(self._groups[other] for other in others)
        support = counts[self._groups[at]]
        against = max((n for group, n in counts.items() if group not in (None, self._groups[at])), default=0)
        supporters = {self._alone[other].mode for other in others if self._groups[other] == self._groups[at]}
        numbers = {
            "support": float(logit(np.array((support + 0.5) / (len(others) + 1)))),
            "lead": (support - against) / np.sqrt(len(others)),
            "both modes": float(bool(supporters - {own.mode})),
            "program": float(own.mode == "program"),
            "odds": log_odds(own.estimate.median) - log_odds(self._even.questions[own.mode].median),
        }
        alone = float(logit(np.array(self._alone[at].estimate.median)))
        return Observation(numbers, most=np.inf if support else alone)


def without_states(training: Training, questions: Sequence[str]) -> Training:
    """Training data of a model without its states; texts take the place of those of questions.

    Args:
        training: Data of one model.
        questions: Text of each question.
    """
    texts = np.stack([text_features(question) for question in questions])
    asked = set(QUESTION.values())

    def portable(stage: Stage, data: StageData) -> StageData:
        states = {"question": texts[data.question]} if stage in asked else {}
        return replace(data, evidence=replace(data.evidence, states=states))

    return replace(training, stages={s: portable(s, data) for s, data in training.stages.items()})


def join(trainings: Sequence[Training]) -> Training:
    """Data of models with the same stages as one; a fit on several holds out one after the other."""
    first = np.cumsum([0, *(len(each.samples) for each in trainings[:-1])])
    stages = {
        stage: _join_stage([each.stages[stage] for each in trainings], first) for stage in trainings[0].stages
    }
    samples: list[QuestionSamples] = []
    rows = dict.fromkeys(trainings[0].modes, 0)
    for training, start in zip(trainings, first, strict=True):
        for each in training.samples:
            moved = tuple(replace(sample, row=sample.row + rows[sample.mode]) for sample in each.samples)
            samples.append(QuestionSamples(each.question + int(start), moved))
        rows = {mode: before + len(training.stages[FINISHED[mode]].right) for mode, before in rows.items()}
    return Training(stages, samples)


def _join_stage(parts: Sequence[StageData], first: NDArray[np.int64]) -> StageData:
    """The rows of one model after those of another; ``first`` are the numbers of their first questions."""
    found = [part.evidence for part in parts]
    evidence = Evidence(
        found[0].names,
        np.concatenate([each.numbers for each in found]),
        {name: np.concatenate([each.states[name] for each in found]) for name in found[0].states},
        np.concatenate([each.offset for each in found]),
        np.concatenate([each.most for each in found]),
    )
    return StageData(
        evidence,
        np.concatenate([part.question + start for part, start in zip(parts, first, strict=True)]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.total for part in parts]),
        np.concatenate([part.independent for part in parts]),
        np.repeat(np.arange(len(parts)), [len(part.right) for part in parts]),
    )


def fit_portable(training: Training, seed: int) -> CalibrationFit[PortableCalibration]:
    """Fit all stages on what ``join`` gives; the held-out estimates of a model are by the others alone."""
    stages, held_out = fit_stages(training, "beta", _CONFIG, seed)
    drawn_by = training.stages[QUESTION[training.modes[0]]].drawn_by

    def fit(
        examples: Iterator[Example], names: Sequence[str], config: HeadConfig
    ) -> tuple[HeadModel, Predictions]:
        data = StageData.stack([*examples], names)
        if drawn_by is not None:
            data = replace(data, drawn_by=drawn_by[data.question])
        model, quantiles = fit_stage(data, "beta", config, seed)
        return model, data.predictions(quantiles)

    answers = answer_examples(training, held_out, vote_observation, seed)
    answer, held_out["answer"] = fit(answers, VOTE_FEATURES, replace(_CONFIG, sureness=math.inf))
    solutions = agreement_examples(training, held_out, seed)
    rising = replace(_CONFIG, rising=_RISING)
    agreement, held_out["agreement"] = fit(solutions, AGREEMENT_FEATURES, rising)
    found = PortableCalibration(stages, answer, domains(training), mode_profiles(training), agreement)
    return CalibrationFit(found, held_out)


def agreement_examples(
    training: Training, estimates: Mapping[str, Predictions], seed: int, prior: float = UNKNOWN
) -> Iterator[Example]:
    """Solutions among 1, 2, ... others of their question, with their outcomes.

    Each has one more number, ``others``: how many there are.

    Args:
        training: It has the samples.
        estimates: Estimates of the questions and the finished trajectories, by stage.
        seed: Seed of the choice of others.
        prior: Prior accuracy that these estimates begin from.
    """
    rng = np.random.default_rng(seed)
    for each in training.samples:
        candidates = tuple(candidates_of(each.samples, estimates))
        asked = question_estimates(each.question, training.modes, estimates)
        peers = Peers(FinishedSearch(asked, candidates, tuple(group_answers(candidates))), prior)
        for at in peers.answered:
            others = peers.others(at)
            for count in range(1, len(others) + 1):
                found = peers.observe(at, [int(other) for other in rng.choice(others, count, replace=False)])
                found = replace(found, numbers={**found.numbers, "others": count})
                # The same solution among fewer others is no further outcome.
                is_whole = count == len(others)
                yield Example(found, each.question, each.samples[at].right, independent=is_whole)
