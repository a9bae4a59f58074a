"""Both formats on searches of a known world; ``pytest --update-golden`` accepts a change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sampled
from sample_log import Log
from sampled import prefix, question

from adascale.engine.search.events import SearchStarted
from adascale.engine.search.record import Record
from adascale.engine.types import ROOT, Estimate, Turn
from adascale.export import (
    FORMATS,
    FormatName,
    Prefix,
    SampledQuestion,
    write_preferences,
    write_stepwise,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "datasets"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_written_as_before(name: FormatName, request: pytest.FixtureRequest) -> None:
    items = [item for asked in sampled.world() for item in FORMATS[name](asked)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in items if not isinstance(row, str))
    path = GOLDEN / f"{name}.jsonl"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def stepwise(asked: SampledQuestion) -> list[Any]:
    return list(write_stepwise(asked))


def preferences(*nodes: Prefix) -> list[Any]:
    return list(write_preferences(question(*nodes)))


def test_a_path_ends_before_its_first_unknown_step() -> None:
    first = prefix("a\n\n", 0.4)
    reason, row = stepwise(question(first, prefix("b", 0.9, below=first, calibrated=False)))
    assert reason == "steps without a probability"
    assert (row["completions"], row["labels"], row["probabilities"]) == (("a",), [False], (0.4,))


def test_steps_after_a_conversation_are_left_out() -> None:
    tree = question(prefix("a", 0.9))
    turns = (Turn("user", "What is 17 * 23?"), Turn("assistant", "391"))
    [reason] = stepwise(replace(tree, problem=replace(tree.problem, history=turns)))
    assert "conversation" in reason


def test_solutions_are_paired_from_the_outside_inwards() -> None:
    ends = [
        prefix(text, p, ended=True) for text, p in (("fair", 0.6), ("bad", 0.1), ("good", 0.9), ("poor", 0.2))
    ]
    pairs = [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in preferences(*ends)]
    assert pairs == [("good", "bad"), ("fair", "poor")]


@pytest.mark.parametrize(
    "other",
    [
        prefix("print(1)", 0.1, mode="program", ended=True),
        prefix("b", 0.1),
        prefix("b", 0.8, ended=True),
        prefix("b", 0.1, calibrated=False, ended=True),
    ],
    ids=["another mode", "no end", "as likely", "unknown"],
)
def test_what_does_not_compare_is_no_pair(other: Prefix) -> None:
    assert preferences(prefix("a", 0.9, ended=True), other) == [
        "questions whose solutions do not differ enough"
    ]


def test_equal_continuations_are_one_with_all_outcomes() -> None:
    log = Log()
    for text, answer in (("b", "6"), ("b", "7"), ("c", "6")):
        branch = log.start(ROOT)
        log.finish_path(log.step(ROOT, "a", 0.5, branch=branch), text, 0.5, answer, branch=branch)
    log.end()
    started, *events = log.events
    assert isinstance(started, SearchStarted)
    started = replace(started, problem=replace(started.problem, answer="6"))
    first, *ends = SampledQuestion.of(Record.of([started, *events])).prefixes
    counts = [(each.step, each.parent, each.outcome.right, each.outcome.total) for each in ends]
    assert counts == [("b", first, 1, 2), ("c", first, 1, 1)]
    assert (first.parent, first.step, first.outcome.total) == (None, "a", 3)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 0, 0.7, 0.7), (0, 1, 0.0, 0.6), (1, 1, 0.75, 1.0), (0, 9, 0.0, 0.2)],
)
def test_what_became_of_a_prefix_updates_its_estimate(
    right: int, total: int, low: float, high: float
) -> None:
    step = replace(prefix("a", None, (right, total)), estimate=Estimate(0.3, 0.7, 0.95, calibrated=True))
    assert step.probability is not None
    assert low <= step.probability <= high
