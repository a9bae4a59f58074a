"""Draw until the answer is known well enough, or not worth more: adaptive best-of-n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..allocate import WIDEST, majority_confidence, required_samples, wave_width
from ..tree import Tree
from ..types import ROOT, NodeId, StopReason
from .base import Cut, Expand, Plan, SearchParams, Strategy

Verdict = Callable[[Tree, SearchParams], StopReason | None]

_MAJORITY = 0.95
"""Posterior that ends a vote (Aggarwal et al., arXiv 2305.11860)."""


def adaptive(tree: Tree, params: SearchParams) -> Plan:
    """Draw trajectories until the answer's own probability decides, or ``samples`` are drawn."""
    return (yield from _draw_until(tree, params, _by_probability))


def adaptive_consistency(tree: Tree, params: SearchParams) -> Plan:
    """The same by votes alone (arXiv 2305.11860): no estimate is looked at."""
    return (yield from _draw_until(tree, replace(params, cut=0.0), _by_votes))


def _draw_until(tree: Tree, params: SearchParams, verdict: Verdict) -> Plan:
    drawn = running = 0
    while (found := verdict(tree, params)) is None:
        n = max(0, min(_wave(tree, params) - running, params.samples - drawn))
        drawn, running = drawn + n, running + n
        if not running:
            return None
        scored = yield [_more(tree, params, n)] if n else []
        running -= _ended(tree, scored)
        while doomed := _doomed(tree, scored, params.cut):
            # What a cut branch had begun to write comes back as a pruned node, which is not counted again.
            scored = yield [Cut(doomed, f"less than {params.cut:g} of what the question promised")]
            running -= len(doomed) + _ended(tree, scored)
    return found


def _ended(tree: Tree, scored: Sequence[NodeId]) -> int:
    return sum(tree[node].status == "terminal" for node in scored)


def _wave(tree: Tree, params: SearchParams) -> int:
    finished = tree.standing.finished if tree.standing else 0
    return max(params.wave, wave_width(params.costs, finished))


def _more(tree: Tree, params: SearchParams, n: int) -> Expand:
    """Fresh trajectories, with what the paper's rule would have asked for beside them."""
    estimate = tree[ROOT].estimate
    if estimate is None:
        return Expand(ROOT, n, until="answer")
    required = required_samples(estimate.lower, params.confidence)
    return Expand(ROOT, n, until="answer", lower=estimate.lower, required=required)


def _doomed(tree: Tree, scored: Sequence[NodeId], share: float) -> tuple[NodeId, ...]:
    """What is worth less than a fresh trajectory, by far."""
    question = tree[ROOT].estimate
    if question is None or not question.calibrated:
        return ()
    estimates = ((node, tree[node].estimate) for node in scored if tree[node].status == "open")
    return tuple(node for node, e in estimates if e is not None and e.median < share * question.median)


def _by_probability(tree: Tree, params: SearchParams) -> StopReason | None:
    """Sure enough, or nothing to be gained, by calibrated numbers; by votes where there are none."""
    standing = tree.standing
    if standing is None or standing.finished < params.least:
        return None
    if standing.answer is None and _has_solution(tree):
        return "exhausted"  # a question without a checkable answer: more solutions would not agree either
    if standing.gain is None:
        return _by_votes(tree, params)
    p = standing.confidence.median if standing.answer is not None and standing.confidence else 0.0
    if p >= params.stop_at:
        return "confident"
    if standing.gain >= params.min_gain:
        return None
    return "hopeless" if p < params.hopeless else "settled"


def _has_solution(tree: Tree) -> bool:
    return any(node.status == "terminal" and node.step and node.step.finish == "stop" for node in tree)


def _by_votes(tree: Tree, params: SearchParams) -> StopReason | None:
    standing = tree.standing
    if standing is None or standing.votes == 0:
        return None
    return "confident" if majority_confidence(standing.votes, standing.second) >= _MAJORITY else None


_USED = ("samples", "least", "wave", "costs", "stop_at", "min_gain", "hopeless", "cut")


def _width(params: SearchParams) -> int:
    return min(params.samples, WIDEST)


ADAPTIVE = Strategy("adaptive", adaptive, select="weighted", width=_width, used=_USED)
ADAPTIVE_CONSISTENCY = Strategy(
    "adaptive-consistency",
    adaptive_consistency,
    select="vote",
    width=_width,
    used=("samples", "wave", "costs"),
)
