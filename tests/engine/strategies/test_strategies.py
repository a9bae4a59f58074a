"""Strategies by hand: what they ask for, and what they do with what they get."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import scripted_step

from adascale.engine.errors import UsageError
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import (
    Beam,
    Cut,
    Expand,
    strategy_named,
)
from adascale.engine.strategies.beam import prefixes_to_keep, required_samples, samples_of_each
from adascale.engine.types import ROOT, Estimate, NodeId, Problem


def grow(tree: Tree, parent: NodeId, score: float, finish: str = "step") -> NodeId:
    node = tree.add(parent, scripted_step("x\n\n", finish))
    node.estimate = Estimate(score, score, score, calibrated=False)
    return node.id


@pytest.fixture
def tree() -> Tree:
    return Tree(Problem("p", "?"))


def test_beam_keeps_the_best_cuts_the_rest_and_lets_answers_take_places(tree: Tree) -> None:
    plan = Beam(beams=2, branching=2).plan(tree)
    assert next(plan) == (Expand(ROOT, 4),)
    low, high, answer, middle = (
        grow(tree, ROOT, s, f) for s, f in ((0.1, "step"), (0.9, "step"), (0.99, "stop"), (0.5, "step"))
    )
    assert plan.send([low, high]) == ()
    # One of two places is taken by the answer, so one open prefix is kept.
    assert plan.send([answer, middle]) == (Cut((low, middle), "outside the beam"), Expand(high, 2))
    a, b = grow(tree, high, 0.2), grow(tree, high, 0.3)
    assert plan.send([a, b]) == (Cut((a,), "outside the beam"), Expand(b, 2))
    ends = [grow(tree, b, 0.3, "stop"), grow(tree, b, 0.4)]
    assert plan.send(ends) == [Cut((ends[1],), "the beam is full of answers")]
    with pytest.raises(StopIteration):
        plan.send([])


def between(tree: Tree, node: NodeId, lower: float, median: float) -> NodeId:
    tree[node].estimate = Estimate(lower, median, 1.0, calibrated=True)
    return node


@pytest.mark.parametrize(("lower", "samples"), [(0.5, 7), (0.1, 16), (0.9, 2)])
def test_ias_draws_as_many_samples_as_the_question_requires(tree: Tree, lower: float, samples: int) -> None:
    between(tree, ROOT, lower, 0.9)
    for name in ("vote", "best-of-n"):
        plan = strategy_named(name, samples=16, adapt="n").plan(tree)
        assert next(plan) == (Expand(ROOT, samples, "answer"),)


def test_ias_of_k_keeps_fewer_prefixes_where_the_best_are_sure(tree: Tree) -> None:
    plan = Beam(beams=3, branching=4, adapt="k").plan(tree)
    assert next(plan) == (Expand(ROOT, 12),)
    nodes = [between(tree, grow(tree, ROOT, 0), 0.45 - at / 100, 0.9 - at / 10) for at in range(4)]
    rest = [between(tree, grow(tree, ROOT, 0), 0.01, 0.01) for _ in range(8)]
    # .45 needs 8 samples and gets 4; .44 needs 8 and would be the second: 2 x 4 = 8 covers it.
    kept = nodes[:2]
    assert plan.send([*nodes, *rest]) == (
        Cut((*nodes[2:], *rest), "outside the beam"),
        *(Expand(n, 4) for n in kept),
    )


def test_ias_of_m_draws_fewer_children_where_the_worst_is_sure(tree: Tree) -> None:
    plan = Beam(beams=2, branching=4, adapt="m").plan(tree)
    next(plan)
    a, b = (between(tree, grow(tree, ROOT, 0), lower, 0.9) for lower in (0.9, 0.6))
    rest = [between(tree, grow(tree, ROOT, 0), 0.0, 0.1) for _ in range(6)]
    # The worst kept one needs ln(.01)/ln(.4) = 5.03 samples, over two prefixes: 3 each.
    assert plan.send([a, b, *rest]) == (
        Cut(tuple(rest), "outside the beam"),
        Expand(a, 3),
        Expand(b, 3),
    )


@pytest.mark.parametrize(
    ("strategy", "parameters", "said"),
    [
        ("bon", {}, "no strategy called"),
        ("vote", {"samples": 4, "lead": 2}, "vote has no `lead`"),
        ("vote", {"samples": 0}, "samples is 0"),
        ("readings", {"votes": 0}, "votes is 0"),
        ("adaptive", {"lead": 0}, "lead is 0"),
        ("beam", {"adapt": "km", "confidence": 1.0}, "confidence is 1"),
        ("vote", {"adapt": "km"}, "vote has no rule km"),
    ],
)
def test_what_a_strategy_could_not_run_with_is_refused(
    strategy: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        strategy_named(strategy, **parameters)


@pytest.mark.parametrize(
    ("p", "confidence", "samples"),
    [
        (0.9, 0.99, 2), (0.5, 0.99, 7), (0.05, 0.99, 90), (0.5, 0.95, 5), (0.1, 0.9, 22),
        (1.0, 0.99, 1), (0.0, 0.99, 46050),
    ],
)  # fmt: skip
def test_required_samples_as_in_the_paper(p: float, confidence: float, samples: int) -> None:
    assert required_samples(p, confidence) == samples


@pytest.mark.parametrize(
    ("lowers", "kept"),
    [
        ([0.438, 0.1, 0.1], 1),  # 1 x 8 covers the 8 that .438 needs
        ([0.437, 0.43, 0.1], 2),  # .437 needs 9; 2 x 8 covers the 9 that .43 needs
        ([0.2, 0.19, 0.17, 0.17], 4),  # 21, 22, 25, 25: only 4 x 8 covers one of them
        ([0.2, 0.19, 0.18], 3),  # 3 x 8 = 24 covers .18 exactly
        ([0.01] * 20, 8),  # never covered: as many as allowed
        ([0.01, 0.02], 2),  # there are no more
        ([0.1, 0.9], 1),  # sorted first
    ],
)
def test_ias_of_k_keeps_the_first_rank_that_is_covered(lowers: list[float], kept: int) -> None:
    assert prefixes_to_keep(lowers, branching=8, confidence=0.99, most=8) == kept


@pytest.mark.parametrize(
    ("worst", "each"),
    [(0.438, 1), (0.437, 2), (0.079, 7), (0.0694, 8), (0.02, 8), (0.25, 3), (1.0, 1)],
)
def test_ias_of_m_goes_by_the_worst_prefix(worst: float, each: int) -> None:
    # ln(.01) / ln(1 - worst) / 8, rounded up: .079 needs 55.96 / 8 = 6.995, .0694 needs 64.03 / 8 = 8.004.
    assert samples_of_each([0.9, worst, 0.95], width=8, branching=8, confidence=0.99) == each
