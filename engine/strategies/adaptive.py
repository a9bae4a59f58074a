"""Draw until the answer is known well enough, or not worth more: adaptive best-of-n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..search.tree import Tree
from ..types import ROOT, NodeId, StopReason
from .allocation import majority_confidence, required_samples
from .base import Command, Cut, Expand, Plan, SearchParams, Strategy
from .redraw import slip

Verdict = Callable[[Tree, SearchParams], StopReason | None]

WIDEST = 16
"""Trajectories of one question that run at once at most."""

_UNKNOWN = 0.2
"""A probability below which an answer is not called known, however it came about."""

_MAJORITY = 0.95
"""Posterior that ends a vote (Aggarwal et al., arXiv 2305.11860)."""


def adaptive(tree: Tree, params: SearchParams) -> Plan:
    """Draw trajectories until the answer's own probability decides, or ``samples`` are drawn."""
    return (yield from _draw_until(tree, params, _by_probability))


def adaptive_consistency(tree: Tree, params: SearchParams) -> Plan:
    """The same by votes alone (arXiv 2305.11860): no estimate is looked at."""
    return (yield from _draw_until(tree, replace(params, cut=0.0, redraws=0), _by_votes))


def _draw_until(tree: Tree, params: SearchParams, verdict: Verdict) -> Plan:
    scored = yield [_trajectories(tree, params)]
    while (found := verdict(tree, params)) is None:
        if tree.standing is not None and tree.standing.finished >= params.samples:
            return None
        scored = yield [command for node in scored for command in _mended(tree, node, params)]
    return found


def _trajectories(tree: Tree, params: SearchParams) -> Expand:
    """As many as there may be, with what the paper's rule would have asked for beside them."""
    sure = min(params.least, params.samples)
    estimate = tree[ROOT].estimate
    if estimate is None:
        return Expand(ROOT, params.samples, until="answer", sure=sure)
    required = required_samples(estimate.lower, params.confidence)
    return Expand(ROOT, params.samples, until="answer", lower=estimate.lower, required=required, sure=sure)


def _mended(tree: Tree, node: NodeId, params: SearchParams) -> Sequence[Command]:
    """What becomes of a running trajectory that slips in arithmetic, or is worth less than a fresh one."""
    if (wrong := slip(tree, node, params.redraws)) is not None:
        parent, equation = wrong
        return Cut((node,), f"{equation} is wrong"), Expand(parent, 1, until="answer")
    if tree[node].status == "open" and _doomed(tree, node, params.cut):
        return (Cut((node,), f"p below {params.cut:g} of the question's"),)
    return ()


def _doomed(tree: Tree, node: NodeId, share: float) -> bool:
    question, estimate = tree[ROOT].estimate, tree[node].estimate
    if question is None or not question.calibrated or estimate is None:
        return False
    return estimate.median < share * question.median


def _by_probability(tree: Tree, params: SearchParams) -> StopReason | None:
    """Sure enough, or nothing to be gained, by calibrated numbers; by votes where there are none."""
    standing = tree.standing
    if standing is None or standing.finished < params.least:
        return None
    if standing.answer is None and standing.shown:
        return "exhausted"  # a question without a checkable answer: more solutions would not agree either
    if standing.gain is None or standing.reach is None:
        return _by_votes(tree, params)
    p = standing.confidence.median if standing.answer is not None and standing.confidence else 0.0
    if p >= params.stop_at:
        return "confident"
    if standing.reach < params.hopeless:
        return "hopeless"
    if standing.gain >= params.min_gain:
        return None
    return "hopeless" if p < _UNKNOWN else "settled"


def _by_votes(tree: Tree, params: SearchParams) -> StopReason | None:
    standing = tree.standing
    if standing is None or standing.votes == 0:
        return None
    return "confident" if majority_confidence(standing.votes, standing.second) >= _MAJORITY else None


_USED = ("samples", "least", "stop_at", "min_gain", "hopeless", "cut", "redraws")


def _width(params: SearchParams) -> int:
    return min(params.samples, WIDEST)


ADAPTIVE = Strategy("adaptive", adaptive, select="weighted", width=_width, used=_USED)
ADAPTIVE_CONSISTENCY = Strategy(
    "adaptive-consistency",
    adaptive_consistency,
    select="vote",
    width=_width,
    used=("samples",),
)
