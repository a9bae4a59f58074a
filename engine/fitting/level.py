"""Level of a model: the share of its solutions that are correct on its user's questions.

Agreement estimates it without labels, by one step of the posterior (``calibration.votes``) from the prior of
the model's size. On the frozen questions it gives .59, .44, .20 and .18; in truth .54, .43, .16 and .15 are
correct, and the priors are .56 and .31. Further steps diverge. Agreement decides only when to ask the user;
known answers move the level, and by little.
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
"""Difference between the two levels above which the user is asked for answers."""

FEWEST = 10
"""Least number of questions to judge agreement by, and number of answers to ask for."""

_FIRST = 4
"""Solutions of a search that count; how many more there are depends on their answers."""

_MOST = 1.0
"""Largest shift of the level by known answers, in logits: ten answers have an error of .05 themselves."""


def first_solutions(record: Record) -> Sequence[Candidate]:
    """The solutions of a search that count, in the order in which they began."""
    return record.candidates[:_FIRST]


def level_by_agreement(votes: VotePosterior, records: Sequence[Record]) -> float:
    """Share of correct solutions, by their agreement.

    Args:
        votes: Posterior with the prior by the model's size.
        records: Searches of different questions, at least one, each with a solution.
    """
    return fmean(_correct(votes, record) for record in records)


def _correct(votes: VotePosterior, record: Record) -> float:
    """Expected share of correct solutions among the first ones."""
    first = first_solutions(record)
    counted = {candidate.node for candidate in first}
    among = [tuple(node for node in group.nodes if node in counted) for group in record.groups]
    groups = [replace(group, nodes=nodes) for group, nodes in zip(record.groups, among, strict=True) if nodes]
    if not groups:
        return 0.0
    return sum(votes.chances(FinishedSearch({}, tuple(first), tuple(groups))).values()) / len(first)


def shift_by_answers(prior: float, shares: Sequence[float]) -> float:
    """Shift from the prior to the level, in logits, -1 to 1.

    Args:
        prior: The level of models of this size, in (0, 1).
        shares: Share of correct solutions of each question with a known answer.
    """
    level = (sum(shares) + STRENGTH * prior) / (len(shares) + STRENGTH)
    shift = math.log(level / (1.0 - level) * (1.0 - prior) / prior)
    return min(max(shift, -_MOST), _MOST)
