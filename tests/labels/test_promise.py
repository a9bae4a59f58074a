"""Promises: known rows vouch for a threshold, and 95 of 100 promises are kept."""

from __future__ import annotations

import random

import pytest

from adascale.labels.promise import Known, promise, rows_needed


@pytest.mark.parametrize(("rows", "correct", "least"), [(100, 95, 0.8977), (10, 5, 0.2224)])
def test_a_bound_is_that_of_clopper_and_pearson(rows: int, correct: int, least: float) -> None:
    known = [(0.9, n < correct) for n in range(rows)]
    assert promise(known, known, least - 1e-4) is not None
    assert promise(known, known, least + 1e-4) is None


@pytest.mark.parametrize("wanted", [0.5, 0.9, 0.95, 0.99])
def test_rows_without_a_wrong_one_promise_as_soon_as_there_are_enough(wanted: float) -> None:
    known = [(0.9, True)] * rows_needed(wanted)
    kept = promise(known, known, wanted)
    assert kept is not None
    assert (kept.threshold, kept.rows, kept.correct) == (0.9, len(known), len(known))
    assert promise(known, known[1:], wanted) is None
    assert promise([], [], wanted) is None


def drawn(rng: random.Random, rows: int, excess: float) -> list[Known]:
    """Rows of which those with probability p are correct with probability p - excess."""
    return [(p, rng.random() < p - excess) for p in (rng.betavariate(4, 1) for _ in range(rows))]


@pytest.mark.parametrize("excess", [0.0, 0.05])
def test_few_promises_are_broken_also_those_of_a_model_that_is_too_sure(excess: float) -> None:
    rng = random.Random(7)
    crowd = [rng.betavariate(4, 1) for _ in range(4_000)]
    made = broken = 0
    for _ in range(200):
        known = drawn(rng, 200, excess)
        kept = promise(known[::2], known[1::2], 0.8)
        if kept is not None:
            above = [p - excess for p in crowd if p >= kept.threshold]
            made, broken = made + 1, broken + (sum(above) < 0.8 * len(above))
    assert made > 50
    assert broken <= 0.05 * made + 4


def test_a_lower_threshold_is_taken_while_its_test_passes() -> None:
    good, bad = [(0.9, True), (0.8, True)] * 40, [(0.7, False), (0.6, True)] * 40
    kept = promise(good + bad, good + bad, 0.9)
    assert kept is not None
    assert (kept.threshold, kept.rows) == (0.8, 80)
