"""Whole trajectories from the root: greedy, self-consistency and best-of-n, with IAS where asked for."""

from __future__ import annotations

from ..search.tree import Tree
from ..types import ROOT
from .allocation import required_samples
from .base import Expand, Plan, SearchParams, Strategy, gather


def greedy(tree: Tree, params: SearchParams) -> Plan:
    """One trajectory of most likely tokens."""
    yield from gather(tree, [Expand(ROOT, 1, until="answer", greedy=True)])
    return None


def independent_samples(tree: Tree, params: SearchParams) -> Plan:
    """Independent trajectories (self-consistency: Wang et al., arXiv 2203.11171).

    ``samples`` of them, or with ``adapt="n"`` as many as the question's own lower estimate requires
    (arXiv 2506.09338: best-of-n with IAS), never more than ``samples``.
    """
    yield from gather(tree, [_samples_of_question(tree, params)])
    return None


def _samples_of_question(tree: Tree, params: SearchParams) -> Expand:
    estimate = tree[ROOT].estimate
    if params.adapt != "n" or estimate is None:
        return Expand(ROOT, params.samples, until="answer")
    required = required_samples(estimate.lower, params.confidence)
    granted = min(required, params.samples)
    return Expand(ROOT, granted, until="answer", lower=estimate.lower, required=required)


GREEDY = Strategy("greedy", greedy, select="vote", width=lambda params: 1)
VOTE = Strategy(
    "vote",
    independent_samples,
    select="vote",
    width=lambda params: params.samples,
    used=("samples",),
    adapts=("n",),
)
BEST_OF_N = Strategy(
    "best-of-n",
    independent_samples,
    select="best",
    width=lambda params: params.samples,
    used=("samples",),
    adapts=("n",),
)
