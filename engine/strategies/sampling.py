"""Whole trajectories from the root: greedy, self-consistency and best-of-n."""

from __future__ import annotations

from ..tree import Tree
from ..types import ROOT
from .base import Expand, Plan, SearchParams, Strategy, gather


def greedy(tree: Tree, params: SearchParams) -> Plan:
    """One trajectory of most likely tokens."""
    yield from gather(tree, [Expand(ROOT, 1, until="answer", greedy=True)])


def independent_samples(tree: Tree, params: SearchParams) -> Plan:
    """``samples`` independent trajectories (self-consistency: Wang et al., arXiv 2203.11171)."""
    yield from gather(tree, [Expand(ROOT, params.samples, until="answer")])


GREEDY = Strategy("greedy", greedy, select="vote", width=lambda params: 1)
VOTE = Strategy(
    "vote", independent_samples, select="vote", width=lambda params: params.samples, used=("samples",)
)
BEST_OF_N = Strategy(
    "best-of-n", independent_samples, select="best", width=lambda params: params.samples, used=("samples",)
)
