"""Both formats on searches of a known world; ``pytest --update-golden`` accepts a change."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sampled
import worlds
from sampled import node, question

from adascale.engine.types import Estimate, Turn
from adascale.export import (
    FORMATS,
    FormatName,
    Row,
    SampledNode,
    SampledQuestion,
    read_rollouts,
    write_preferences,
    write_stepwise,
)
from adascale.models.calibration.rollouts import Rollouts, RolloutStore

GOLDEN = Path(__file__).parents[1] / "golden" / "datasets"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_written_as_before(name: FormatName, request: pytest.FixtureRequest) -> None:
    items = [item for asked in sampled.world() for item in FORMATS[name](asked.merged())]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in items if not isinstance(row, str))
    path = GOLDEN / f"{name}.jsonl"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def stepwise(asked: SampledQuestion) -> list[Any]:
    return list(write_stepwise(asked))


def preferences(*nodes: SampledNode) -> list[Any]:
    return list(write_preferences(question(*nodes)))


def test_a_path_ends_before_its_first_unknown_step() -> None:
    reason, row = stepwise(question(node(0, "a\n\n", 0.4), node(1, "b", 0.9, calibrated=False)))
    assert reason == "steps without a probability"
    assert (row["completions"], row["labels"], row["probabilities"]) == (["a"], [False], [0.4])


def test_steps_after_a_conversation_are_left_out() -> None:
    tree = question(node(0, "a", 0.9))
    turns = (Turn("user", "What is 17 * 23?"), Turn("assistant", "391"))
    [reason] = stepwise(replace(tree, problem=replace(tree.problem, history=turns)))
    assert "conversation" in reason


def test_solutions_are_paired_from_the_outside_inwards() -> None:
    ends = [
        node(0, text, p, ended=True)
        for text, p in (("fair", 0.6), ("bad", 0.1), ("good", 0.9), ("poor", 0.2))
    ]
    pairs = [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in preferences(*ends)]
    assert pairs == [("good", "bad"), ("fair", "poor")]


@pytest.mark.parametrize(
    "other",
    [
        node(0, "print(1)", 0.1, mode="program", ended=True),
        node(0, "b", 0.1),
        node(0, "b", 0.8, ended=True),
        node(0, "b", 0.1, calibrated=False, ended=True),
    ],
    ids=["another mode", "no end", "as likely", "unknown"],
)
def test_what_does_not_compare_is_no_pair(other: SampledNode) -> None:
    assert preferences(node(0, "a", 0.9, ended=True), other) == [
        "questions whose solutions do not differ enough"
    ]


def test_equal_continuations_are_one_with_all_outcomes() -> None:
    tree = question(
        node(0, "a", None, (1, 1)),
        node(0, "a", None, (0, 2)),
        node(1, "b", None, (1, 1), ended=True),
        node(2, "b", None, (1, 1), ended=True),
        node(2, "c", None, (0, 1), ended=True),
    )
    kept = [(each.text, each.parent, each.outcome) for each in tree.merged().nodes[1:]]
    assert kept == [
        (each.text, each.parent, each.outcome)
        for each in (node(0, "a", None, (1, 3)), node(1, "b", None, (2, 2)), node(1, "c", None, (0, 1)))
    ]


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 0, 0.7, 0.7), (0, 1, 0.0, 0.6), (1, 1, 0.75, 1.0), (0, 9, 0.0, 0.2)],
)
def test_what_became_of_a_prefix_updates_its_estimate(
    right: int, total: int, low: float, high: float
) -> None:
    step = replace(node(0, "a", None, (right, total)), estimate=Estimate(0.3, 0.7, 0.95, calibrated=True))
    assert step.probability is not None
    assert low <= step.probability <= high


def test_rollouts_give_the_rows_that_their_search_gives(tmp_path: Path) -> None:
    records = worlds.searched(worlds.problems(3), programs=2)
    with closing(RolloutStore(tmp_path / "x.jsonl")) as store:
        store.put_models(sampled.MODELS)
        for record in records.values():
            for mode in ("prose", "program"):
                store.put(Rollouts.of(record, mode))

    def rows(questions: list[SampledQuestion]) -> list[str]:
        found: list[Row] = [
            item
            for asked in questions
            for item in write_stepwise(asked.merged())
            if not isinstance(item, str)
        ]
        return sorted(json.dumps(row) for row in found)

    live = [replace(SampledQuestion.of(record), model="tiny") for record in records.values()]
    assert rows(list(read_rollouts(tmp_path / "x.jsonl"))) == rows(live) != []
