"""Which answer leads while a search is still running."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from adascale.engine.answers.votes import choose
from adascale.engine.types import AnswerGroup, Candidate, SelectRule


def standing(candidates: Sequence[Candidate], select: str) -> tuple[AnswerGroup, ...]:
    """Answer groups, the leading one first, as the search itself will choose.

    Answers count as equal when their words are. The search's own comparison may ask math-verify, for
    seconds; its verdict comes with the result.

    Args:
        candidates: Finished trajectories; those without an answer do not count.
        select: A ``SelectRule``.
    """
    return choose(candidates, cast(SelectRule, select), "exhausted", _same_words).groups


def _same_words(a: str, b: str) -> bool:
    return a.casefold().split() == b.casefold().split()
