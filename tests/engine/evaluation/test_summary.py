"""What a fixed width would have cost, from the trajectories that were drawn."""

from __future__ import annotations

import pytest

from adascale.engine.evaluation.summary import Account
from adascale.engine.scripted import scripted_step
from adascale.engine.search.events import AnswerFound, BranchStarted
from adascale.engine.search.tree import Tree
from adascale.engine.types import ROOT, BranchId, Estimate, Problem


def drawn(*trajectories: tuple[int, bool]) -> tuple[Account, Tree]:
    """Trajectories of so many tokens, ended by themselves or cut; at most 16."""
    account, tree = Account(at_most=16), Tree(Problem("p", "?"))
    for at, (tokens, ended) in enumerate(trajectories):
        branch = BranchId(at)
        account.add(BranchStarted(seq=0, t=0.0, branch=branch, parent=ROOT))
        first = tree.add(ROOT, scripted_step("x" * (tokens - 1)), branch)
        last = tree.add(first.id, scripted_step("x", "stop" if ended else "step"), branch)
        if ended:
            estimate = Estimate(0.5, 0.5, 0.5, calibrated=False)
            account.add(AnswerFound(seq=0, t=0.0, node=last.id, answer="1", estimate=estimate))
        else:
            last.status = "pruned"
    return account, tree


@pytest.mark.parametrize(
    ("trajectories", "mean"),
    [
        (((10, True), (30, True)), 20),
        (((10, True), (90, False)), 50),  # one that was cut has written 90 all the same
        (((10, True), (30, True), (5, False)), 20),  # and else counts as long as the others
    ],
)
def test_what_was_cut_counts_as_long_as_it_was_or_as_the_others(
    trajectories: tuple[tuple[int, bool], ...], mean: float
) -> None:
    account, tree = drawn(*trajectories)
    assert account.fixed_tokens(tree) == 16 * mean


def test_a_fixed_width_never_costs_less_than_what_was_drawn() -> None:
    trajectories = ((54, True), *[(300, False)] * 7)
    account, tree = drawn(*trajectories)
    assert (account.fixed_tokens(tree) or 0) > sum(tokens for tokens, _ in trajectories)


def test_where_none_has_ended_nothing_is_known() -> None:
    account, tree = drawn((10, False))
    assert account.fixed_tokens(tree) is None
