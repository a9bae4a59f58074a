from collections import Counter

import pytest
from sampled import node, question

from adascale.engine.execution import Execution
from adascale.engine.search.prefix_outcomes import PrefixOutcome
from adascale.engine.types import Estimate
from adascale.export.dataset import Card, Recipe, rows_of
from adascale.export.filters import Filters
from adascale.export.sampled import SampledNode, SampledQuestion, question_number

TREE = question(
    node(0, "a", 0.9, (3, 4)),
    node(1, "b", 0.9, (1, 2), calibrated=False),
    node(2, "c", 0.9, (1, 1), answer="1"),
    node(0, "print(1)", 0.9, (1, 1), mode="program", answer="1", execution=Execution("1", "", 0.1)),
    node(0, "1 / 0", 0.0, (0, 1), mode="program", ended=True, execution=Execution("", "failed", 0.1)),
)


def texts(filters: Filters, asked: SampledQuestion = TREE) -> list[str] | None:
    kept = filters.select(asked, Counter())
    return None if kept is None else [each.text for each in kept.nodes[1:]]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(), ["a", "b", "c", "print(1)", "1 / 0"]),
        (Filters(calibrated=True), ["a", "print(1)", "1 / 0"]),
        (Filters(min_count=2), ["a", "b"]),
        (Filters(max_tokens=20), ["a", "b", "print(1)", "1 / 0"]),
        (Filters(ran=True), ["a", "b", "c", "print(1)"]),
        (Filters(mode="program"), ["print(1)", "1 / 0"]),
    ],
)
def test_filters_drop_nodes_and_what_is_below(filters: Filters, kept: list[str]) -> None:
    assert texts(filters) == kept


def test_what_is_left_out_is_counted_by_reason() -> None:
    omissions: Counter[str] = Counter()
    Filters(calibrated=True).select(TREE, omissions)
    assert omissions == {"steps without a calibrated estimate": 1, "steps behind one that is left out": 1}


def test_kept_nodes_name_their_parents_in_the_new_tree() -> None:
    kept = Filters(mode="program").select(TREE, Counter())
    assert kept is not None
    assert [each.parent for each in kept.nodes] == [-1, 0, 0]
    assert kept.ends() == [1, 2]


@pytest.mark.parametrize(("in_domain", "passes"), [(True, True), (False, False), (None, False)])
def test_a_domain_that_is_not_known_is_not_assumed(in_domain: bool | None, passes: bool) -> None:
    asked = question(node(0, "a", 0.5), in_domain=in_domain)
    assert (texts(Filters(in_domain=True), asked) is not None) == passes


def test_known_answers_only() -> None:
    assert texts(Filters(known_answers=True)) is None
    assert texts(Filters(known_answers=True), question(node(0, "a"), answer="1")) == ["a"]


def test_splits_are_by_question_and_stay() -> None:
    asked = [question(node(0, "a", 0.9), node(0, "b", 0.1), name=str(at)) for at in range(400)]
    recipe = Recipe("trl-prm", train_share=0.8)
    split_of: dict[str, set[str]] = {}
    for split, row in rows_of(asked, Card(recipe)):
        split_of.setdefault(row["prompt"], set()).add(split)  # type: ignore[typeddict-item,arg-type]
    assert all(len(splits) == 1 for splits in split_of.values())
    train = {name for name, splits in split_of.items() if splits == {"train"}}
    assert 0.7 < len(train) / len(asked) < 0.9
    assert {name for name in split_of if recipe.split_of(name) == "train"} == train
    other = Recipe("trl-prm", train_share=0.8, seed=1)
    assert {name for name in split_of if other.split_of(name) == "train"} != train


def test_a_question_is_known_by_its_words() -> None:
    assert question_number("What  is\n1?") == question_number("What is 1?") != question_number("What is 2?")
    assert 0 <= question_number("What?") < 2**63


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 0, 0.7, 0.7), (0, 1, 0.0, 0.6), (1, 1, 0.75, 1.0), (0, 9, 0.0, 0.2)],
)
def test_what_became_of_a_prefix_updates_its_estimate(
    right: int, total: int, low: float, high: float
) -> None:
    estimate = Estimate(0.3, 0.7, 0.95, calibrated=True)
    step = SampledNode(0, "a", "prose", False, 1, estimate, PrefixOutcome(right, total))
    assert step.probability is not None
    assert low <= step.probability <= high


def test_a_sure_estimate_is_moved_less_than_a_vague_one() -> None:
    def moved(lower: float, upper: float) -> float:
        estimate = Estimate(lower, 0.7, upper, calibrated=True)
        step = SampledNode(0, "a", "prose", False, 1, estimate, PrefixOutcome(0, 1))
        assert step.probability is not None
        return 0.7 - step.probability

    assert moved(0.6, 0.8) < moved(0.4, 0.9) < moved(0.05, 0.99)
