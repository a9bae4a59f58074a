"""P(a solution is right) by what the other solutions of its question say; a solution has no vote on itself.

What agreement means is fitted on models whose answers are known. Where no answer is known, it takes the place
of labels (self-consistency as a soft label, as CaTS has it: arXiv 2503.00031).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ..answers.lookahead import log_odds
from ..types import AnswerGroup, Candidate, Estimate, FinishedSearch, Mode, NodeId
from .features import Array, Evidence, logit, without_prior
from .model_size import UNKNOWN
from .models import StageModel

FEATURES = ("support", "lead", "both modes", "program", "odds")
"""Numbers that agreement is judged by: the share of the others with the same answer, their lead over the most
frequent other answer, whether one of them reasons in another mode, the solution's own mode, and how far its
own estimate lies above the question's."""

RISING = 3
"""How many of ``FEATURES``, from the first on, only rise where one more of the others agrees: their weights
are kept at 0 or more, so that agreement never lowers an estimate."""


def group_numbers(candidates: Sequence[Candidate], groups: Sequence[AnswerGroup]) -> list[int]:
    """Number of the group that each candidate is in; -1 for one without an answer."""
    number = {node: at for at, group in enumerate(groups) for node in group.nodes}
    return [number.get(candidate.node, -1) for candidate in candidates]


def agreement_row(
    candidates: Sequence[Candidate],
    numbers: Sequence[int],
    at: int,
    others: Sequence[int],
    questions: Mapping[Mode, Estimate],
) -> Array:
    """``[len(FEATURES)]`` of candidate ``at``, which has an answer, beside at least one of the ``others``.

    Args:
        candidates: Solutions of one question with the estimates that each has alone.
        numbers: ``group_numbers`` of them.
        at: Position of the one that is judged.
        others: Positions of those that it is judged by.
        questions: Estimate of the question in each of their modes.
    """
    own, counts = candidates[at], Counter(numbers[other] for other in others)
    support = counts[numbers[at]]
    against = max((n for number, n in counts.items() if number not in (-1, numbers[at])), default=0)
    supporters = {candidates[other].mode for other in others if numbers[other] == numbers[at]}
    return np.array(
        [
            float(logit(np.array((support + 0.5) / (len(others) + 1)))),
            (support - against) / np.sqrt(len(others)),
            float(bool(supporters - {own.mode})),
            float(own.mode == "program"),
            log_odds(own.estimate.median) - log_odds(questions[own.mode].median),
        ]
    )


def agreement_evidence(rows: Sequence[Array], most: Sequence[float] | float = np.inf) -> Evidence:
    """Of solutions beside others.

    Args:
        rows: ``[n, len(FEATURES)]``, of estimates without a prior (``features.without_prior``).
        most: ``[n]`` or one for all, ``bound`` of each.
    """
    return Evidence(np.array(rows).reshape(-1, len(FEATURES)), (), most=np.asarray(most))


def bound(candidates: Sequence[Candidate], numbers: Sequence[int], at: int, others: Sequence[int]) -> float:
    """Logit that candidate ``at`` does not exceed: what it is worth alone, where none of the others agrees.

    A prior of the generator counts in estimates of what stands alone and not beside others, so that a weak
    model's solution would gain by company alone. Arguments are those of ``agreement_row``, with the prior.
    """
    is_supported = any(numbers[other] == numbers[at] for other in others)
    alone = float(logit(np.array(candidates[at].estimate.median)))
    return np.inf if is_supported else alone


def revise(model: StageModel, finished: FinishedSearch, prior: float = UNKNOWN) -> dict[NodeId, Estimate]:
    """Estimate of each solution with an answer that has others beside it, by what all of them say.

    Args:
        model: ``Calibration.agreement``.
        finished: Its candidates have the estimates that each has alone, so that no vote counts twice.
        prior: How often a model of the generator's size is right, which these estimates begin from.
    """
    candidates = finished.candidates
    numbers = group_numbers(candidates, finished.groups)
    answered = [at for at, number in enumerate(numbers) if number >= 0]
    if not answered or len(candidates) < 2:
        return {}
    even = without_prior(finished, prior)
    others = {at: [other for other in range(len(candidates)) if other != at] for at in answered}
    rows = [agreement_row(even.candidates, numbers, at, others[at], even.questions) for at in answered]
    most = [bound(candidates, numbers, at, others[at]) for at in answered]
    quantiles = model.quantiles(agreement_evidence(rows, most))
    return {
        candidates[at].node: Estimate.of_quantiles(own) for at, own in zip(answered, quantiles, strict=True)
    }
