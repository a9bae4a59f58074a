"""Rows of formats that no trainer of TRL reads, as rows of ``trl-prm`` without what trainers drop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adascale.engine.datasets.steps import STEP_MARK

Row = dict[str, Any]


def from_soft_step(row: Row) -> Iterator[Row]:
    """The prefix as one step; the question alone has none."""
    if row["reasoning_prefix"]:
        good = row["success_prob"] >= 0.5
        yield {"prompt": row["question"], "completions": [row["reasoning_prefix"]], "labels": [good]}


def from_math_shepherd(row: Row) -> Iterator[Row]:
    """``input`` cut at its marks; ``label`` has one character where that has a mark of two."""
    first, *rest = row["input"].split(f" {STEP_MARK}")[:-1]
    prompt, _, first_step = first.partition(" Step 1: ")
    labels, at = [], -1
    for part in (first, *rest):
        at += len(part) + len(" +")
        labels.append(row["label"][at] == "+")
    steps = [first_step, *(part.partition(": ")[2] for part in rest)]
    yield {"prompt": prompt, "completions": steps, "labels": labels}


def from_prm800k(row: Row) -> Iterator[Row]:
    """Every alternative behind the steps that were chosen before it."""
    texts, labels = list[str](), list[bool]()
    for step in row["label"]["steps"]:
        for each in step["completions"]:
            yield {
                "prompt": row["question"]["problem"],
                "completions": [*texts, each["text"]],
                "labels": [*labels, each["rating"] == 1],
            }
        chosen = step["completions"][step["chosen_completion"]]
        texts.append(chosen["text"])
        labels.append(chosen["rating"] == 1)
