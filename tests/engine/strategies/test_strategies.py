"""Strategies by hand: what they ask for, and what they do with what they get."""

from __future__ import annotations

from typing import Any

import pytest

from adascale.engine.errors import UsageError
from adascale.engine.request import SearchRequest
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import (
    Adaptive,
    Beam,
    Cut,
    Expand,
    Greedy,
    Margin,
    ModeChoice,
    Strategy,
    Vote,
    strategy_named,
)
from adascale.engine.types import ROOT, Estimate, Mode, NodeId, Problem
from bench.scripted import scripted_step


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


@pytest.mark.parametrize(("lower", "granted", "required"), [(0.5, 7, 7), (0.1, 16, 44), (0.9, 2, 2)])
def test_ias_draws_what_the_question_requires(tree: Tree, lower: float, granted: int, required: int) -> None:
    between(tree, ROOT, lower, 0.9)
    for name in ("vote", "best-of-n"):
        plan = strategy_named(name, samples=16, adapt="n").plan(tree)
        assert next(plan) == (Expand(ROOT, granted, "answer", required=required),)


def test_ias_of_k_keeps_fewer_prefixes_where_the_best_are_sure(tree: Tree) -> None:
    plan = Beam(beams=3, branching=4, adapt="k").plan(tree)
    assert next(plan) == (Expand(ROOT, 12),)
    nodes = [between(tree, grow(tree, ROOT, 0), 0.45 - at / 100, 0.9 - at / 10) for at in range(4)]
    rest = [between(tree, grow(tree, ROOT, 0), 0.01, 0.01) for _ in range(8)]
    # .45 needs 8 samples and gets 4; .44 needs 8 and would be the second: 2 x 4 = 8 covers it.
    kept = nodes[:2]
    assert plan.send([*nodes, *rest]) == (
        Cut((*nodes[2:], *rest), "outside the beam"),
        *(Expand(n, 4, required=8) for n in kept),
    )


def test_ias_of_m_draws_fewer_children_where_the_worst_is_sure(tree: Tree) -> None:
    plan = Beam(beams=2, branching=4, adapt="m").plan(tree)
    next(plan)
    a, b = (between(tree, grow(tree, ROOT, 0), lower, 0.9) for lower in (0.9, 0.6))
    rest = [between(tree, grow(tree, ROOT, 0), 0.0, 0.1) for _ in range(6)]
    # The worst kept one needs ln(.01)/ln(.4) = 5.03 samples, over two prefixes: 3 each.
    assert plan.send([a, b, *rest]) == (
        Cut(tuple(rest), "outside the beam"),
        Expand(a, 3, required=2),
        Expand(b, 3, required=6),
    )


def test_a_beam_prunes_every_few_steps_only(tree: Tree) -> None:
    plan = Beam(beams=1, branching=2, prune_every=2).plan(tree)
    assert next(plan) == (Expand(ROOT, 2),)
    a, b = grow(tree, ROOT, 0.2), grow(tree, ROOT, 0.1)
    assert plan.send([a, b]) == (Expand(a), Expand(b))
    deep, best = grow(tree, a, 0.3), grow(tree, b, 0.8)
    assert plan.send([deep, best]) == (Cut((deep,), "outside the beam"), Expand(best, 2))


@pytest.mark.parametrize(
    ("strategy", "most", "branches"),
    [
        (Greedy(), 1, 1),
        (Vote(40), 40, 40),
        (Adaptive(40), 40, 40),
        (Margin(4), 4, 4),
        (Beam(8, 8), 64, 64),
    ],
)
def test_a_strategy_knows_what_it_draws_at_most(strategy: Strategy, most: int | None, branches: int) -> None:
    assert (strategy.at_most, strategy.branches) == (most, branches)


@pytest.mark.parametrize(
    ("name", "mode", "among", "modes"),
    [
        ("adaptive", "auto", ("prose", "program"), ("prose", "program")),
        ("adaptive", "auto", ("prose",), ("prose",)),
        ("adaptive", "auto", (), ("prose",)),
        ("adaptive", "program", ("prose",), ("program",)),
        ("adaptive", "prose", ("prose", "program"), ("prose",)),
        ("vote", "auto", ("prose", "program"), ("prose",)),
        ("vote", "program", (), ("program",)),
        ("beam", "auto", ("prose", "program"), ("prose",)),
    ],
)
def test_auto_leaves_the_modes_to_who_weighs_them(
    name: str, mode: ModeChoice, among: tuple[Mode, ...], modes: tuple[Mode, ...]
) -> None:
    assert (
        SearchRequest(strategy=name, mode=mode).settings(Problem("1", ""), modes=among).strategy.modes
        == modes
    )


def test_a_mode_that_a_strategy_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError) as refusal:
        SearchRequest(strategy=Beam(), mode="program").strategy_for()
    assert "mode=" in refusal.value.hint


@pytest.mark.parametrize(
    ("strategy", "parameters", "said"),
    [
        ("bon", {}, "no strategy called"),
        ("vote", {"samples": 4, "lead": 2}, "vote has no `lead`"),
        ("vote", {"samples": 0}, "samples is 0"),
        ("readings", {"votes": 0}, "votes is 0"),
        ("margin", {"lead": 0}, "lead is 0"),
        ("beam", {"prune_every": 0}, "prune_every is 0"),
        ("beam", {"redraws": 1}, "none of them is drawn again"),
        ("beam", {"adapt": "km", "confidence": 1.0}, "confidence is 1"),
        ("vote", {"adapt": "km"}, "vote has no rule km"),
    ],
)
def test_what_a_strategy_could_not_run_with_is_refused(
    strategy: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        strategy_named(strategy, **parameters)
