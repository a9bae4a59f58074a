"""The account of a search: the question's estimate, the draws, the stop reason, the tokens saved."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean
from typing import Any

from ..answers.choosing import AnswerGroup, Candidate, SearchResult
from ..types import ROOT, NodeId, probability_of
from .record import Record
from .tree import Tree


def fixed_tokens(record: Record) -> int | None:
    """Generated tokens that ``samples`` trajectories would have cost; None if unknown.

    By the mean length of the drawn ones, from the question to their end. A trajectory that was cut or stopped
    counts as the mean of those that ended, or its own length if that is more: short trajectories are the ones
    that end. One that goes on with another draw of a step counts once, with that draw.
    """
    if record.samples is None:
        return None
    tree = record.tree
    tips = [node for node in tree if node.depth and not tree.children(node.id)]
    lengths = {
        node.id: sum(len(step.token_ids) for step in tree.steps(node.id))
        for node in tips
        if not _is_redrawn(tree, node.id)
    }
    ended = [length for id_, length in lengths.items() if tree[id_].status == "terminal"]
    if not ended:
        return None
    usual = fmean(ended)
    whole = [n if tree[id_].status == "terminal" else max(n, usual) for id_, n in lengths.items()]
    return round(record.samples * fmean(whole))


def _is_redrawn(tree: Tree, tip: NodeId) -> bool:
    """True if a step on the way to ``tip`` was cut, and drawn again below the same parent."""
    path = tree.path(tip)
    cut = [(below, above.id) for above, below in pairwise(path) if below.status == "pruned"]
    return any(tree.children(parent)[-1] != node.id for node, parent in cut)


def plain_vote(record: Record) -> AnswerGroup | None:
    """The answer that most of the finished trajectories have; of equal votes the first drawn."""

    def votes(group: AnswerGroup) -> tuple[int, tuple[int, int]]:
        return -len(group.nodes), min(map(record.tree.draw_order, group.nodes))

    return min(record.groups, key=votes, default=None)


def greedy_answer(record: Record) -> Candidate | None:
    """The greedy trajectory, if one was drawn and has an answer."""
    return next((each for each in record.candidates if each.greedy and each.answer is not None), None)


def account(record: Record) -> dict[str, Any]:
    """Why a search has ended, as JSON has it; unknown is None."""
    question, result = record.tree[ROOT].estimate, record.result
    vote, greedy = plain_vote(record), greedy_answer(record)
    return {
        "stop_reason": result.stop_reason if result else None,
        "question_p": probability_of(question),
        "required": record.required,
        "at_most": record.samples,
        "started": len(record.branches),
        "finished": len(record.candidates),
        "fixed_tokens": fixed_tokens(record),
        "vote": vote.answer if vote else None,
        "vote_agrees": vote.nodes[0] in record.leading if vote else None,
        "greedy": greedy.answer if greedy else None,
        "greedy_agrees": greedy.node in record.leading if greedy else None,
    }


def confidence(result: SearchResult) -> dict[str, Any]:
    """Confidence in the answer of a search as JSON has it; an uncalibrated number is a score."""
    estimate = result.confidence
    calibrated = estimate is not None and estimate.calibrated
    p = estimate if calibrated else None
    return {
        "p": p.median if p else None,
        "lo": p.lower if p else None,
        "hi": p.upper if p else None,
        "level": 0.8,
        "calibrated": calibrated,
        "score": estimate.median if estimate is not None and not calibrated else None,
        "vote_share": next((each.share for each in result.groups if each.answer == result.answer), None),
    }
