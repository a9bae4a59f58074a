"""The cost of a decode step by its number of branches, and the cheapest way to split a batch.

The cost is a staircase, not a line: repacked CPU kernels like multiples of 16, so that 15 branches can cost
more than 16, and one batch of 12 more than 8 and 4. It is measured once for a model, a machine and the work
of a context in a step, and kept; what other work disturbed is not kept.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.errors import MemoryOverflowError
from adascale.engine.types import Schedule

from .. import machine
from ..storage import atomic_write, cache_folder, keyed_path, read_json
from .context import LlamaContext, Run

SIZES = (1, 2, 3, 4, 6, 8, 12, 15, 16, 17, 20, 24, 28, 31, 32, 33, 40, 47, 48, 64)
"""Branches at which the curve is measured; between them it is a line."""

# A split that promised less than this gained nothing when it was timed (17 as 1 + 16 on the 1.5B: 0.98).
_WORTH = 0.95

SCHEDULES = Path(__file__).with_name("schedules.json")

_DEPTH = 64
_REPEATS = 3
_ENOUGH = 3.0
"""Seconds after which no further repeat begins: a person waits for it."""
_WORST_STAIR = 1.6
"""Largest cost of a step relative to one of more branches: 15 cost 1.3 of 16; above, the machine was busy."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One decode call: ``size`` branches, and rows in all, the rest of them padding."""

    size: int
    rows: int


Batching = Callable[[int, int], tuple[Chunk, ...]]
"""Splits a step of so many branches into decode calls of so many rows at most."""


def even_width(branches: int, rows: int) -> tuple[Chunk, ...]:
    """One call of all rows: a branch gets the same numbers, bit for bit, whichever others run.

    Kernels round by the shape of the batch.
    """
    return (Chunk(branches, rows),) if branches else ()


@functools.cache
def _recorded_steps() -> list[dict[str, Any]]:
    """Steps of recorded searches by schedule: with n branches at place n - 1, to the first and firm answer.

    ``python -m bench.evidence.schedules`` writes the file.
    """
    steps: list[dict[str, Any]] = json.loads(SCHEDULES.read_text())
    return steps


class StepCosts:
    """Seconds of a decode step for 1, 2, ... branches, and the batching that costs least (``partition``).

    Args:
        curve: Branches to seconds. Empty when nothing was measured: then batches are never split.
        is_rough: Other work disturbed the measurement.
    """

    def __init__(self, curve: Mapping[int, float], *, is_rough: bool = False) -> None:
        self.curve = dict(sorted(curve.items()))
        self.is_rough = is_rough
        self._plan = functools.lru_cache(maxsize=None)(self._cheapest)

    def seconds(self, branches: int) -> float:
        """Cost of one step in one call, interpolated; 0 when nothing was measured."""
        if not self.curve:
            return 0.0
        sizes, costs = list(self.curve), list(self.curve.values())
        if branches > sizes[-1]:
            return costs[-1] * branches / sizes[-1]
        return float(np.interp(branches, sizes, costs))

    def best_schedule(self, most: int) -> Schedule:
        """The schedule whose first and firm answers come soonest; the first one counts twice.

        At most ``most`` branches run side by side; 8 when nothing was measured.
        """
        if not self.curve:
            return Schedule.even(8).within(most)
        steps = {Schedule(*known["schedule"]): known for known in _recorded_steps()}
        return min(steps, key=lambda schedule: self._seconds_of(steps[schedule], most)).within(most)

    def _seconds_of(self, steps: Mapping[str, Sequence[float]], most: int) -> float:
        """Twice the mean seconds to the first answer, and those to the firm one."""
        costs = [
            self.step_seconds(min(branches, most), most) for branches in range(1, len(steps["first"]) + 1)
        ]
        return float(np.dot(costs, 2 * np.array(steps["first"]) + steps["firm"]))

    def partition(self, branches: int, rows: int) -> tuple[Chunk, ...]:
        """Cheapest split of a batch into calls; the last may be padded up to ``rows`` rows in all."""
        return self._plan(branches, rows)[1]

    def step_seconds(self, branches: int, rows: int) -> float:
        """Cost of one step over the cheapest split, by which widths are compared and replays are timed."""
        return self._plan(branches, rows)[0]

    def _cheapest(self, branches: int, rows: int) -> tuple[float, tuple[Chunk, ...]]:
        """Dynamic programme over the size of the first call; only the last call may hold padding."""
        if not branches:
            return 0.0, ()
        widths = (branches, *(size for size in self.curve if branches < size <= rows))
        best: tuple[float, tuple[Chunk, ...]] = min(
            ((self.seconds(width), (Chunk(branches, width),)) for width in widths), key=lambda plan: plan[0]
        )
        for size in range(1, branches):
            if size in self.curve:
                rest, chunks = self._plan(branches - size, rows - size)
                total = self.seconds(size) + rest
                if total < _WORTH * best[0]:
                    best = (total, (Chunk(size, size), *chunks))
        return best


def measure(context: LlamaContext, sizes: Sequence[int] = SIZES) -> StepCosts:
    """Time decode steps of these numbers of branches on an empty context; leaves it empty.

    The curve is empty where memory is short.
    """
    sizes = [size for size in sizes if size <= context.sequences]
    lengths = [min(_DEPTH, context.window // 2)] * sizes[-1]
    curve: dict[int, float] = {}
    try:
        context.reserve(len(lengths), lengths[0])
        context.decode([Run(0, 0, [0] * lengths[0])])
        prompt = context.snapshot(0)
        for sequence in range(1, len(lengths)):
            context.restore(sequence, prompt)
        begun = time.perf_counter()
        for repeat in range(_REPEATS):
            if repeat and time.perf_counter() - begun > _ENOUGH:
                break
            for size in sizes:  # what else the machine does for a second meets each size but once
                started = time.perf_counter()
                context.decode([Run(sequence, lengths[sequence], [0]) for sequence in range(size)])
                context.wait()
                curve[size] = min(time.perf_counter() - started, curve.get(size, math.inf))
                lengths[:size] = [length + 1 for length in lengths[:size]]
    except MemoryOverflowError:
        return StepCosts({})
    finally:
        context.reset()
    # Other work disturbed it where many branches cost far less than few. It only adds to a cost, and few
    # branches that are padded cost what many do.
    least = {size: min(cost for many, cost in curve.items() if many >= size) for size in curve}
    is_rough = any(cost > _WORST_STAIR * least[size] for size, cost in curve.items())
    return StepCosts(least if is_rough else curve, is_rough=is_rough)


def curve_path(model_sha256: str, context: LlamaContext, gpu_layers: int) -> Path:
    """File of the curve of such a context of a model on this machine, with this version of llama.cpp."""
    import llama_cpp

    work = (context.threads, context.has_flash_attention, context.states)
    parts = (model_sha256, machine.cpu_name(), *work, gpu_layers, llama_cpp.__version__)
    return keyed_path(cache_folder() / "stepcost", parts, ".json")


def load(path: Path, sequences: int) -> StepCosts | None:
    """The curve of a file; None if it has none, or one that ends below what ``sequences`` branches need.

    A batch with more goes on from the last one: nobody waits for a second measurement.
    """
    kept = read_json(path) or {}
    curve = {int(size): float(cost) for size, cost in kept.get("seconds", {}).items()}
    if max(curve, default=0) < min(sequences, len(_recorded_steps()[0]["first"])):
        return None
    return StepCosts(curve)


def save(path: Path, costs: StepCosts) -> None:
    """Write a curve, unless other work disturbed it; without a file the next session measures again."""
    if costs.curve and not costs.is_rough:
        with contextlib.suppress(OSError), atomic_write(path) as file:
            file.write(json.dumps({"seconds": costs.curve}).encode())
