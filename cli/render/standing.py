"""Which answer leads while a search is still running."""

from __future__ import annotations

from collections.abc import Sequence

from adascale.engine.types import AnswerGroup, Candidate


def standing(candidates: Sequence[Candidate], select: str) -> tuple[AnswerGroup, ...]:
    """Answer groups, the leading one first, in the order in which the search itself will choose.

    Answers count as equal when their words are. The search's own comparison may ask math-verify, for
    seconds; its verdict comes with the result.

    Args:
        candidates: Finished trajectories; those without an answer do not count.
        select: ``vote`` for the largest group, ``best`` for the group of the best single estimate.
    """
    members: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.answer is not None:
            members.setdefault(" ".join(candidate.answer.split()).casefold(), []).append(candidate)
    total = sum(len(group) for group in members.values())
    ranked = [sorted(group, key=_rank) for group in members.values()]
    groups = [_group(group, total) for group in ranked]
    groups.sort(key=lambda g: (-len(g.nodes), -g.weight, g.nodes[0]))
    if select == "best" and ranked:
        first = min((group[0] for group in ranked), key=_rank).node
        groups.sort(key=lambda g: first not in g.nodes)
    return tuple(groups)


def _rank(candidate: Candidate) -> tuple[float, int]:
    return (-candidate.estimate.median, candidate.node)


def _group(ranked: Sequence[Candidate], total: int) -> AnswerGroup:
    return AnswerGroup(
        answer=ranked[0].answer or "",
        nodes=tuple(candidate.node for candidate in ranked),
        share=len(ranked) / total,
        weight=sum(candidate.estimate.median for candidate in ranked),
    )
