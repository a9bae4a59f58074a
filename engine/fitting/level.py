"""Level of a model: the share of its solutions that are correct, on the questions that its user asks.

Agreement tells it without labels: the posterior of the votes (``votes``) of the first solutions of each
search, one step from the prior by size. On the frozen questions that is .59, .44, .20 and .18 where .54, .43,
.16 and .15 are correct, and the sizes say .56 and .31. Further steps run away from the truth.
Agreement only says when to ask; known answers move the level, and by little (decision 0032).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from ..answers.lookahead import STRENGTH
from ..answers.result import Candidate, FinishedSearch
from ..calibration.votes import VotePosterior
from ..search.record import Record

APART = 0.1
"""Difference between agreement and the level in use from which answers are asked for."""

FEWEST = 10
"""Questions below which agreement says nothing, and known answers that are asked for."""

_FIRST = 4
"""Solutions of a search that count: which others were drawn depends on what these have said."""

_MOST = 1.0
"""Logits by which known answers move the level at most: ten of them are off by .05 themselves."""


def first_solutions(record: Record) -> Sequence[Candidate]:
    """The solutions of a search that count, in drawing order."""
    return record.candidates[:_FIRST]


def level_by_agreement(votes: VotePosterior, records: Sequence[Record]) -> float:
    """Share of correct solutions, by their agreement.

    Args:
        votes: Posterior with the prior by the model's size.
        records: Searches of different questions, at least one, each with a solution.
    """
    return fmean(_correct(votes, record) for record in records)


def _correct(votes: VotePosterior, record: Record) -> float:
    """Expected share of correct ones among the first solutions."""
    first = first_solutions(record)
    counted = {candidate.node for candidate in first}
    among = [tuple(node for node in group.nodes if node in counted) for group in record.groups]
    groups = [replace(group, nodes=nodes) for group, nodes in zip(record.groups, among, strict=True) if nodes]
    if not groups:
        return 0.0
    return sum(votes.chances(FinishedSearch({}, tuple(first), tuple(groups))).values()) / len(first)


def shift_by_answers(prior: float, shares: Sequence[float]) -> float:
    """Logits from the prior to the level, at most one, once some answers are known.

    Args:
        prior: The level by the model's size, in (0, 1).
        shares: Share of correct solutions of each question whose answer is known.
    """
    level = (sum(shares) + STRENGTH * prior) / (len(shares) + STRENGTH)
    shift = math.log(level / (1.0 - level) * (1.0 - prior) / prior)
    return min(max(shift, -_MOST), _MOST)
