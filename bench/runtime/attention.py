"""A decode step with and without flash attention, the two alternating.

Usage: ``python -m bench.runtime.attention MODEL [--branches 32] [--depth 350] [--rounds 3]``
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

from adascale.models.llama.native import AbortFlag
from adascale.models.llama.runtime import LlamaContext, LlamaModel, Run
from adascale.models.machine import physical_cores

from ..common import close, model_path, table

STEPS = 5


def step_seconds(model: LlamaModel, head_size: int, branches: int, depth: int) -> float:
    """Median of a few steps of all branches, as for a model with heads of this size."""
    model.info = replace(model.info, head_size=head_size)
    context = LlamaContext(model, 1024, branches, physical_cores(), AbortFlag(), states=True)
    context.decode([Run(0, 0, [0] * depth)])
    state = context.snapshot(0)
    for sequence in range(1, branches):
        context.restore(sequence, state)
    times = []
    for at in range(depth, depth + STEPS):
        started = time.perf_counter()
        context.decode([Run(sequence, at, [0]) for sequence in range(branches)])
        times.append(time.perf_counter() - started)
    context.close()
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--branches", type=int, default=32)
    parser.add_argument("--depth", type=int, default=350)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    model = LlamaModel(model_path(args.model))
    own = model.info.head_size
    found: dict[str, list[float]] = {"plain": [], "flash": []}
    for _ in range(args.rounds):
        for name, head_size in (("plain", 64), ("flash", 128)):
            found[name].append(1000 * step_seconds(model, head_size, args.branches, args.depth))
    table(
        ["attention", "ms a step"], [[n, " ".join(f"{t:.0f}" for t in times)] for n, times in found.items()]
    )
    plain, flash = (statistics.median(found[name]) for name in ("plain", "flash"))
    close({"flash_over_plain": round(flash / plain, 2), "head_size": own, "model": args.model})


if __name__ == "__main__":
    main()
