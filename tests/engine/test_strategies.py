"""Strategies by hand: what they ask for, and what they do with what they get."""

from __future__ import annotations

import pytest

from adascale.engine.errors import UsageError
from adascale.engine.scripted import scripted_step
from adascale.engine.strategies import STRATEGIES, Cut, Expand, SearchParams, gather, strategy_named
from adascale.engine.tree import Tree
from adascale.engine.types import ROOT, Estimate, NodeId, Problem

PARAMS = SearchParams(samples=3, beam_width=2, branching=2)


def grow(tree: Tree, parent: NodeId, score: float, finish: str = "step") -> NodeId:
    node = tree.add(parent, scripted_step("x\n\n", finish))
    node.estimate = Estimate(score, score, score, calibrated=False)
    return node.id


@pytest.fixture
def tree() -> Tree:
    return Tree(Problem("p", "?"))


def test_greedy_asks_for_one_trajectory_of_most_likely_tokens(tree: Tree) -> None:
    assert next(STRATEGIES["greedy"].plan(tree, PARAMS)) == (Expand(ROOT, 1, "answer", greedy=True),)


@pytest.mark.parametrize("name", ["vote", "best-of-n"])
def test_samples_are_asked_for_at_once_and_waited_for(tree: Tree, name: str) -> None:
    plan = STRATEGIES[name].plan(tree, PARAMS)
    assert next(plan) == (Expand(ROOT, 3, "answer"),)
    step = grow(tree, ROOT, 0.5)
    assert plan.send([step]) == ()
    done = [grow(tree, step, 0.5, "stop"), grow(tree, ROOT, 0.1, "stop")]
    assert plan.send(done) == ()
    with pytest.raises(StopIteration):
        plan.send([grow(tree, ROOT, 0.1, "length")])


def test_beam_keeps_the_best_cuts_the_rest_and_lets_answers_take_places(tree: Tree) -> None:
    plan = STRATEGIES["beam"].plan(tree, PARAMS)
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


def test_ties_keep_the_older_node(tree: Tree) -> None:
    plan = STRATEGIES["beam"].plan(tree, SearchParams(beam_width=1, branching=3))
    next(plan)
    nodes = [grow(tree, ROOT, 0.5) for _ in range(3)]
    assert plan.send(nodes) == (Cut((nodes[1], nodes[2]), "outside the beam"), Expand(nodes[0], 3))


def test_gather_counts_pruned_children_as_ended(tree: Tree) -> None:
    waiting = gather(tree, [Expand(ROOT, 2, "answer")])
    next(waiting)
    cut = grow(tree, ROOT, 0.5)
    tree[cut].status = "pruned"
    assert waiting.send([cut]) == ()
    with pytest.raises(StopIteration) as done:
        waiting.send([end := grow(tree, ROOT, 0.5, "stop")])
    assert done.value.value == [cut, end]


def test_an_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        strategy_named("bon")
    assert "best-of-n" in caught.value.hint
