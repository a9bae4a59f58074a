"""The cost of a decode step by its number of branches, and the cheapest way to split a batch.

The cost is a staircase, not a line: repacked CPU kernels prefer multiples of 16, so 15 branches can cost more
than 16, and one batch of 12 more than batches of 8 and 4. It is measured once for each model, machine and
kind of context, and saved unless other work disturbed the measurement.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.types import Schedule

from .. import machine
from ..storage import atomic_write, cache_folder, keyed_path, read_json
from .context import LlamaContext, Run

SIZES = (1, 2, 3, 4, 6, 8, 12, 15, 16, 17, 20, 24, 28, 31, 32, 33, 40, 47, 48, 64)
"""Branches at which the curve is measured; it is linear between them."""

# A split must cost less than this share of one call; 17 as 1 + 16 on the 1.5B, at .98, saved nothing.
_WORTH = 0.95

SCHEDULES = Path(__file__).with_name("schedules.json")

_DEPTH = 64
_REPEATS = 3
_ENOUGH = 3.0
"""Seconds after which no further repeat begins: a person waits."""
_WORST_STAIR = 1.6
"""Largest cost of a step relative to one of more branches (15 to 16: 1.3); above, the machine was busy."""


@functools.cache
def _recorded_steps() -> list[dict[str, Any]]:
    """Mean steps of n branches (index n - 1) by schedule, to the first and to the firm answer.

    ``python -m bench.evidence.schedules`` writes the file.
    """
    steps: list[dict[str, Any]] = json.loads(SCHEDULES.read_text())
    return steps


class StepCosts:
    """Seconds of a decode step for 1, 2, ... branches, and the calls that cost least (``cheapest``).

    Args:
        curve: Seconds by number of branches. Empty without a measurement: then batches are never split.
        is_rough: Other work disturbed the measurement.
    """

    def __init__(self, curve: Mapping[int, float], *, is_rough: bool = False) -> None:
        self.curve = dict(sorted(curve.items()))
        self.is_rough = is_rough
        self.cheapest = functools.cache(self._cheapest)

    def seconds(self, branches: int) -> float:
        """Cost of one step in one call, interpolated; 0 without a measurement."""
        if not self.curve:
            return 0.0
        within = float(np.interp(branches, [*self.curve], [*self.curve.values()]))
        return within * max(1.0, branches / max(self.curve))

    def best_schedule(self, most: int) -> Schedule:
        """The schedule with the earliest first and firm answers; the first one counts twice.

        It has at most ``most`` branches; without a measurement at most 8.
        """
        if not self.curve:
            return Schedule.even(8).within(most)

        def seconds(steps: Mapping[str, Any]) -> float:
            """Twice the mean seconds to the first answer, and those to the firm one."""
            widths = range(1, len(steps["first"]) + 1)
            costs = [self.cheapest(min(branches, most))[0] for branches in widths]
            return float(np.dot(costs, 2 * np.array(steps["first"]) + steps["firm"]))

        return Schedule(*min(_recorded_steps(), key=seconds)["schedule"]).within(most)

    def _cheapest(self, branches: int) -> tuple[float, tuple[int, ...]]:
        """Seconds of a step, and widths of its calls; the last call may have more rows than branches."""
        if not branches:
            return 0.0, ()
        widths = branches, *(size for size in self.curve if size > branches)
        one: tuple[float, tuple[int, ...]] = min((self.seconds(width), (width,)) for width in widths)
        splits = [one]
        for size in self.curve:
            if size < branches:
                seconds, others = self.cheapest(branches - size)
                splits.append((self.seconds(size) + seconds, (size, *others)))
        best = min(splits)
        return best if best[0] < _WORTH * one[0] else one


def measure(context: LlamaContext, sizes: Sequence[int] = SIZES) -> StepCosts:
    """Time decode steps of these numbers of branches on an empty context; leaves it empty."""
    sizes = [size for size in sizes if size <= context.sequences]
    lengths = [min(_DEPTH, context.window // 2)] * sizes[-1]
    curve: dict[int, float] = {}
    context.decode([Run(0, 0, [0] * lengths[0])])
    prompt = context.snapshot(0)
    for sequence in range(1, len(lengths)):
        context.restore(sequence, prompt)
    start = time.perf_counter()
    for repeat in range(_REPEATS):
        if repeat and time.perf_counter() - start > _ENOUGH:
            break
        for size in sizes:  # so that a second of other work disturbs each size once at most
            started = time.perf_counter()
            context.decode([Run(sequence, lengths[sequence], [0]) for sequence in range(size)])
            context.wait()
            curve[size] = min(time.perf_counter() - started, curve.get(size, math.inf))
            lengths[:size] = [length + 1 for length in lengths[:size]]
    context.reset()
    # Other work only adds to a cost. It disturbed a size that costs far more than a larger one, to which the
    # smaller could be padded.
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
    """The curve of a file up to these sequences; None without a file, or if the curve is too short.

    It need not reach further than a schedule: beyond its end it is extrapolated.
    """
    stored = read_json(path) or {}
    curve = {int(size): float(cost) for size, cost in stored.get("seconds", {}).items()}
    if max(curve, default=0) < min(sequences, len(_recorded_steps()[0]["first"])):
        return None
    costs = StepCosts(curve)
    return StepCosts({size: costs.seconds(size) for size in (*curve, sequences) if size <= sequences})


def save(path: Path, costs: StepCosts) -> None:
    """Write a curve, unless it is rough; without a file the next session measures again."""
    if not costs.is_rough:
        with contextlib.suppress(OSError), atomic_write(path) as file:
            file.write(json.dumps({"seconds": costs.curve}).encode())
