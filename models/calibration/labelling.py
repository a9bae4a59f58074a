"""Solutions that label each other, where nobody knows the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adascale.engine.answers.votes import equal_answers, group_answers
from adascale.engine.calibration.agreement import agreement_evidence, agreement_row, group_numbers
from adascale.engine.calibration.calibration import Calibration
from adascale.engine.calibration.features import FINISHED, QUESTION, Stage
from adascale.engine.types import Candidate, Estimate, Mode, NodeId

from .rollouts import Rollouts
from .training import portable_training_set


def agrees(question: Sequence[Rollouts]) -> bool:
    """Whether any two solutions of a question, in whatever mode, have the same answer."""
    answers = [rollouts.answers[end] for rollouts in question for end in rollouts.ends()]
    return any(len(places) > 1 for places in equal_answers(answers))


def label_by_agreement(question: Sequence[Rollouts], calibration: Calibration) -> list[Rollouts]:
    """The rollouts of a question with probabilities in the place of outcomes; 0 without an answer.

    Trajectories from the question itself vote; those that were drawn again from a prefix of one do not.

    Args:
        question: Its prose, then its programs if there are any; two solutions at least.
        calibration: A portable one, which knows what agreement means.
    """
    assert calibration.agreement is not None, "only a portable calibration knows what agreement means"
    ends = [(place, end) for place, rollouts in enumerate(question) for end in rollouts.ends()]
    candidates, questions = _judged_alone(question, calibration)
    numbers = group_numbers(candidates, group_answers(candidates))
    of_samples = [_voters(rollouts) for rollouts in question]
    voters = [at for at, (place, end) in enumerate(ends) if end in of_samples[place]]
    chances = np.zeros(len(ends))
    if answered := [at for at, number in enumerate(numbers) if number >= 0 and any(v != at for v in voters)]:
        rows = [
            agreement_row(candidates, numbers, at, [v for v in voters if v != at], questions)
            for at in answered
        ]
        chances[answered] = calibration.agreement.quantiles(agreement_evidence(rows))[:, 1]
    labels: list[dict[int, float]] = [{} for _ in question]
    for (place, end), chance in zip(ends, chances, strict=True):
        labels[place][end] = float(chance)
    return [rollouts.label(own) for rollouts, own in zip(question, labels, strict=True)]


def _voters(rollouts: Rollouts) -> frozenset[int]:
    """Ends that ``adaptive`` comes to from the question itself, and counts."""
    return frozenset(filter(rollouts.counts, map(rollouts.replacement_of, rollouts.samples())))


def _judged_alone(
    question: Sequence[Rollouts], calibration: Calibration
) -> tuple[list[Candidate], dict[Mode, Estimate]]:
    """All ends with the estimates that each has alone, and the estimates of the question."""
    prose, *programs = question
    stages = portable_training_set([prose], programs).stages

    def estimates(stage: Stage) -> Iterator[Estimate]:
        return map(Estimate.of_quantiles, calibration.stages[stage].quantiles(stages[stage].evidence))

    candidates: list[Candidate] = []
    for rollouts in question:
        # The finished trajectories of a stage are the ends of its rollouts, in this order.
        for end, estimate in zip(rollouts.ends(), estimates(FINISHED[rollouts.mode]), strict=True):
            node = NodeId(len(candidates))
            candidates.append(Candidate(node, rollouts.answers[end], estimate, rollouts.mode))
    return candidates, {rollouts.mode: next(estimates(QUESTION[rollouts.mode])) for rollouts in question}
