"""Formats that become stepwise supervision again: the same steps and labels that ``trl-prm`` has."""

from __future__ import annotations

from typing import Any

import sampled

from adascale.engine.datasets.dataset import Recipe, Tally, rows_of
from adascale.engine.datasets.formats import FORMATS, FormatName
from bench.evidence.stepwise import from_math_shepherd, from_prm800k, from_soft_step

COLUMNS = ("prompt", "completions", "labels")


def rows(name: FormatName) -> list[Any]:
    questions = [*sampled.world(), sampled.prose_search()]
    return [row for _, row in rows_of(questions, Recipe(FORMATS[name]), Tally())]


def stepwise() -> list[dict[str, Any]]:
    return [{name: row[name] for name in COLUMNS} for row in rows("trl-prm")]


def test_math_shepherd_gives_the_same_rows() -> None:
    found = [new for row in rows("math-shepherd") for new in from_math_shepherd(row)]
    assert found == [
        {**row, "completions": [text.strip() for text in row["completions"]]} for row in stepwise()
    ]


def test_prm800k_gives_beginnings_of_the_same_rows() -> None:
    found = [new for row in rows("prm800k") for new in from_prm800k(row)]
    assert found
    for new in found:
        length = len(new["labels"])
        assert new in [
            {**row, "completions": row["completions"][:length], "labels": row["labels"][:length]}
            for row in stepwise()
        ]


def test_a_soft_step_is_one_step_and_a_question_alone_is_none() -> None:
    soft = rows("soft-steps")
    found = [new for row in soft for new in from_soft_step(row)]
    assert len(found) == sum(bool(row["reasoning_prefix"]) for row in soft)
    assert {tuple(new) for new in found} == {COLUMNS}
    assert {new["labels"][0] for new in found} == {True, False}
