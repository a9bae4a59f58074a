"""Splitting and padding a batch by its measured cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.types import Schedule
from adascale.models.llama import stepcost
from adascale.models.llama.context import LlamaContext, Run
from adascale.models.llama.model import AbortFlag, LlamaModel
from adascale.models.llama.stepcost import StepCosts

STAIRS = {1: 34.0, 4: 98.0, 8: 237.0, 15: 334.0, 16: 256.0, 32: 403.0}


@pytest.mark.parametrize(
    ("curve", "branches", "widths"),
    [
        (STAIRS, 15, (16,)),  # padded
        (STAIRS, 8, (4, 4)),  # split
        ({}, 13, (13,)),
        ({}, 0, ()),
    ],
)
def test_a_batch_is_split_and_padded_by_its_curve(
    curve: dict[int, float], branches: int, widths: tuple[int, ...]
) -> None:
    assert StepCosts(curve).cheapest(branches)[1] == widths


curves = st.dictionaries(st.integers(1, 24), st.floats(0.5, 50), min_size=1).map(lambda c: {1: 1.0, **c})


@given(curve=curves, branches=st.integers(1, 24))
def test_the_cheapest_calls_have_every_branch_once_and_cost_no_more_than_one_call(
    curve: dict[int, float], branches: int
) -> None:
    costs = StepCosts(curve)
    seconds, widths = costs.cheapest(branches)
    assert sum(widths[:-1]) < branches <= sum(widths)
    assert seconds == pytest.approx(sum(map(costs.seconds, widths)))
    assert seconds <= costs.seconds(branches) + 1e-9


def test_a_measured_curve_is_saved_and_loaded(random_gguf: Path, tmp_path: Path) -> None:
    model = LlamaModel(random_gguf)
    context = LlamaContext(model, 256, 4, 2, AbortFlag())
    costs = stepcost.measure(context)
    context.close()
    model.close()
    assert list(costs.curve) == [1, 2, 3, 4]
    assert all(cost > 0 for cost in costs.curve.values())
    path = tmp_path / "deep" / "curve.json"
    stepcost.save(path, StepCosts(STAIRS))
    kept = stepcost.load(path, 32)
    assert kept is not None
    assert kept.curve == STAIRS
    assert stepcost.load(path, 64) is not None  # a batch goes on from the last size
    narrow = stepcost.load(path, 6)
    assert narrow is not None
    assert list(narrow.curve) == [1, 4, 6]  # padding has no more sequences
    stepcost.save(path, StepCosts({1: 1.0, 2: 2.0}))
    assert stepcost.load(path, 8) is None


class BusyForAWhile:
    """A context whose steps take 1 + size / 10 seconds, and thrice as long for some of them in a row."""

    sequences, window = 16, 256

    def __init__(self, busy: range) -> None:
        self._now, self._calls, self._busy = 0.0, 0, busy

    def reset(self) -> None: ...

    def wait(self) -> None: ...

    def snapshot(self, sequence: int) -> None: ...

    def restore(self, sequence: int, snapshot: None) -> None: ...

    def decode(self, runs: Sequence[Run]) -> None:
        """A step."""
        self._calls += len(runs[0].tokens) == 1
        self._now += (1 + len(runs) / 10) * (3 if self._calls in self._busy else 1)

    def clock(self) -> float:
        """Seconds."""
        return self._now


@pytest.mark.parametrize(
    ("busy", "is_rough", "four"),
    [
        (range(4, 99, 6), True, 1.6),  # whenever it steps 4 branches of at most 8
        (range(4), False, 1.4),
    ],
)
def test_a_disturbed_measurement_is_corrected_and_marked(
    busy: range, is_rough: bool, four: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = BusyForAWhile(busy)
    context.sequences = 8
    monkeypatch.setattr(stepcost.time, "perf_counter", context.clock)
    monkeypatch.setattr(stepcost, "_ENOUGH", 1000.0)
    costs = stepcost.measure(context)  # type: ignore[arg-type]
    assert costs.is_rough == is_rough
    assert costs.curve[4] == pytest.approx(four)


@pytest.mark.parametrize(
    ("curve", "most", "schedule"),
    [
        ({1: 66, 2: 96, 4: 119, 8: 141, 16: 178, 32: 253}, 32, (16, 16)),  # two cores with AMX
        ({1: 10, 2: 10.2, 4: 10.5, 8: 11, 16: 12, 32: 14}, 64, (16, 16)),  # a step costs nearly the same
        ({1: 7, 2: 7.4, 4: 8, 8: 10.5, 12: 26, 16: 28}, 32, (8, 8)),
        ({1: 32, 2: 57, 4: 109, 8: 262, 12: 314, 16: 258}, 32, (1, 16)),  # two cores without AMX
        ({1: 34, 2: 57, 4: 92, 8: 215, 12: 267, 16: 253}, 32, (1, 16)),  # where (4, 4) is firm 3 s sooner
        ({1: 10, 2: 10.2, 4: 10.5, 8: 11}, 6, (6, 6)),  # no more than there are
        ({}, 32, (8, 8)),
    ],
)
def test_a_machine_has_the_schedule_with_the_earliest_answers(
    curve: dict[int, float], most: int, schedule: tuple[int, int]
) -> None:
    assert StepCosts(curve).best_schedule(most) == Schedule(*schedule)
